"""Orders whose state is not known, and orders that may have ended quietly: the venue is asked.

Never resent: an order that the venue does not know is cancelled by its id first, a tombstone that
refuses a late copy, and has then expired.
"""

import asyncio
from collections.abc import Awaitable, Iterable

import structlog

from risk_gateway.execution import Execution
from risk_gateway.state import State
from risk_gateway.strategy import Strategy
from risk_gateway.venue import Venue, VenueRefused, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES
from trading.orders import Modification, Order, OrderEvent, OrderState
from trading.reasons import Reason

LOOK_S = 0.1
SWEEP_S = 1.0
_PROBE = "probe-of-the-gateway"
_AT_VENUE = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)
_GONE = (OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED)

log = structlog.get_logger()


class Settler:
    """Of one venue. `run()` it as a task."""

    def __init__(self, state: State, venue: Venue, execution: Execution) -> None:
        self._state = state
        self._venue = venue
        self._execution = execution
        self._away = False
        self._unsettled: set[str] = set()  # the venue will not answer for these: logged once

    async def run(self) -> None:
        sweep_in_s = SWEEP_S
        while True:
            await asyncio.sleep(LOOK_S)
            sweep_in_s -= LOOK_S
            if not self._venue.may_be_asked:
                continue
            try:
                await self.look(sweep=sweep_in_s <= 0)
                if sweep_in_s <= 0:
                    sweep_in_s = SWEEP_S
                if not self._venue.available:
                    await self._venue.order(_PROBE)
            except (VenueUnavailable, VenueRefused) as error:
                self._note_away(str(error))
            else:
                self._away = False

    async def look(self, *, sweep: bool) -> None:
        """Raises VenueUnavailable, VenueRefused."""
        await self._settle_unknown()
        await self._cancel_again()
        await self._settle_modifications()
        if sweep:
            await self._sweep()

    def _note_away(self, error: str) -> None:
        if not self._away:  # once an outage
            log.warning("venue_away", venue=self._venue.name, error=error)
        self._away = True

    async def _settle_unknown(self) -> None:
        for strategy, order in self._orders((OrderState.UNKNOWN,)):
            await self._alone(order.client_order_id, self._settle(strategy, order))

    async def _settle(self, strategy: Strategy, order: Order) -> None:
        answer = await self._venue.order(order.client_order_id)
        if answer is None:
            await self._bury(strategy, order)
        else:
            self._execution.settle(strategy, answer)

    async def _alone(self, client_order_id: str, work: Awaitable[None]) -> None:
        """What the venue refuses to say of one order keeps no other one waiting."""
        try:
            await work
        except VenueRefused as error:
            if client_order_id not in self._unsettled:
                log.warning("order_unsettled", order=client_order_id, error=str(error))
            self._unsettled.add(client_order_id)
        else:
            self._unsettled.discard(client_order_id)

    async def _bury(self, strategy: Strategy, order: Order) -> None:
        answer = await self._venue.cancel(order.client_order_id, strategy.name)
        state = ORDER_STATES.maybe(answer.state)
        if state in _GONE and not _is_filled(answer):
            log.info("order_expired", order=order.client_order_id, why="the venue never had it")
            why = "the venue never had it"
            self._execution.end(strategy, order.client_order_id, OrderState.EXPIRED, None, why)
        else:
            self._execution.settle(strategy, answer)

    async def _cancel_again(self) -> None:
        for strategy in tuple(self._state.strategies.values()):
            for client_order_id in self._here(strategy, strategy.cancelling):
                await self._alone(client_order_id, self._cancel(strategy, client_order_id))

    async def _cancel(self, strategy: Strategy, client_order_id: str) -> None:
        answer = await self._venue.cancel(client_order_id, strategy.name)
        strategy.cancelling.discard(client_order_id)
        self._execution.settle(strategy, answer)

    async def _settle_modifications(self) -> None:
        for strategy in tuple(self._state.strategies.values()):
            for client_order_id in self._here(strategy, strategy.modifying):
                order = strategy.account.orders.get(client_order_id)
                if order is None or order.asked is None:
                    strategy.modifying.discard(client_order_id)
                elif order.state in _AT_VENUE:  # UNKNOWN is settled first
                    await self._alone(
                        client_order_id, self._settle_modification(strategy, order, order.asked)
                    )

    async def _settle_modification(
        self, strategy: Strategy, order: Order, asked: Modification
    ) -> None:
        """One that the venue has not decided is overtaken by a newer one, which changes nothing: a
        late copy is then the older. Never resent."""
        answer = await self._venue.order(order.client_order_id)
        if answer is not None and answer.modification < asked.number and order.price is not None:
            as_it_is = Modification(asked.number + 1, "", order.quantity, order.price)
            try:
                answer = await self._venue.modify(order.client_order_id, strategy.name, as_it_is)
            except VenueRefused as error:  # then it did not do the one before either
                reason = Reason.VENUE_REJECTED
                strategy.modifying.discard(order.client_order_id)
                self._execution.refuse_modification(
                    strategy, order.client_order_id, reason, str(error)
                )
                return
        if answer is not None:
            self._execution.settle(strategy, answer)

    async def _sweep(self) -> None:
        """Orders that the venue no longer has open, by its list: each is asked for."""
        ours = list(self._orders(_AT_VENUE))
        if not ours:
            return
        working = {each.client_order_id async for each in self._venue.orders(open_only=True)}
        for strategy, order in ours:
            if order.client_order_id not in working:
                await self._alone(order.client_order_id, self._ask(strategy, order.client_order_id))

    async def _ask(self, strategy: Strategy, client_order_id: str) -> None:
        answer = await self._venue.order(client_order_id)
        if answer is not None:
            self._execution.settle(strategy, answer)
        elif client_order_id in strategy.account.orders:
            log.error("order_lost_by_venue", order=client_order_id)
            strategy.account.on_event(client_order_id, OrderEvent.LOSE)

    def _here(self, strategy: Strategy, waiting: set[str]) -> list[str]:
        """Of these orders, those of this venue. What nobody remembers has ended long ago."""
        orders = [(each, strategy.order(each)) for each in waiting]
        waiting.difference_update(each for each, order in orders if order is None)
        return [each for each, order in orders if order and order.venue == self._venue.name]

    def _orders(self, states: Iterable[OrderState]) -> list[tuple[Strategy, Order]]:
        return [
            (strategy, order)
            for strategy in self._state.strategies.values()
            for order in strategy.account.orders.values()
            if order.state in states and order.venue == self._venue.name
        ]


def _is_filled(answer: pb.OrderResponse) -> bool:
    return answer.filled_quantity.strip("0.") != ""
