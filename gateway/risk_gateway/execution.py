"""Orders at the venue: on their way out, and what the venue states about them.

Their fills come on a way of their own (`fill_book`); an end waits for those that were announced.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter_ns

import structlog

from handover.messages import Outcome
from risk_gateway.lanes import Leaving
from risk_gateway.records import (
    CancelledAll,
    Kind,
    OrderEnded,
    OrderModified,
    end_outcome,
    modification_key,
    modified_outcome,
    order_row,
    record,
)
from risk_gateway.state import State
from risk_gateway.strategy import Strategy
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import (
    ORDER_STATES,
    REASONS,
    InvalidMessage,
    decimal_from,
)
from trading.accounts import UnknownOrder
from trading.orders import IllegalTransition, Modification, Order, OrderEvent, OrderState
from trading.reasons import Reason

log = structlog.get_logger()

_EVENTS = {
    OrderState.REJECTED: OrderEvent.REJECT,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.EXPIRED: OrderEvent.EXPIRE,
}
EVENT_OF_END = _EVENTS
LATE_S = 5.0  # of an order behind others of its strategy: as long as a submit may take


class Execution:
    """Implements lanes.Sender. Call nothing concurrently."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sent_ns: dict[str, int] = {}

    # ---- on the way out

    def may_leave(self, leaving: Leaving, waited_s: float = 0.0) -> bool:
        """A halt and too long a wait stop orders and modifications here; a cancel passes while
        there is something to cancel: asked for again and again, it would keep others waiting.

        Nothing leaves while another gateway may lead: this one ends then, and whoever leads settles
        what was on its way.
        """
        if not self._state.journal.is_held:
            self.unanswered(leaving, "another gateway may lead")  # if none does, it is settled
            return False
        strategy = self._state.strategies[leaving.strategy]
        if leaving.is_cancel:
            order = strategy.account.orders.get(leaving.client_order_id)
            return order is not None and order.is_open
        if leaving.request is None:
            return self._modification_may_leave(strategy, leaving, waited_s)
        if stays := self._stays(strategy, leaving.request.symbol, waited_s):
            self._sent_ns.pop(leaving.client_order_id, None)
            log.info("order_expired", order=leaving.client_order_id, why=stays[1] or "halted")
            self.end(strategy, leaving.client_order_id, OrderState.EXPIRED, *stays)
            return False
        if leaving.client_order_id not in self._sent_ns:  # else its batch was refused: once more
            self._sent_ns[leaving.client_order_id] = perf_counter_ns()
            self._state.counts.orders[leaving.strategy, leaving.request.symbol] += 1
        return self._event(strategy, leaving.client_order_id, OrderEvent.SUBMIT) is not None

    def answered(self, leaving: Leaving, answer: pb.OrderResponse) -> None:
        sent_ns = self._sent_ns.pop(leaving.client_order_id, None)
        if sent_ns is not None:
            self._state.counts.order_latency.observe((perf_counter_ns() - sent_ns) / 1_000)
        strategy = self._state.strategies[leaving.strategy]
        self.settle(strategy, answer)
        if _asked_by(strategy, leaving):  # it did not say: it is to be asked
            strategy.modifying.add(leaving.client_order_id)

    def unanswered(self, leaving: Leaving, why: str) -> None:
        """It may be at the venue or not: the order stays in the books until GetOrder tells."""
        log.warning("venue_unanswered", order=leaving.client_order_id, why=why)
        self._sent_ns.pop(leaving.client_order_id, None)
        strategy = self._state.strategies[leaving.strategy]
        if leaving.modification is not None:
            if _asked_by(strategy, leaving):
                strategy.modifying.add(leaving.client_order_id)
        elif leaving.request is None:
            strategy.cancelling.add(leaving.client_order_id)
        else:
            self._event(strategy, leaving.client_order_id, OrderEvent.LOSE)

    def refused(self, leaving: Leaving, why: str) -> None:
        log.warning("venue_refused", order=leaving.client_order_id, why=why)
        self._sent_ns.pop(leaving.client_order_id, None)
        strategy = self._state.strategies[leaving.strategy]
        reason = Reason.VENUE_REJECTED
        if leaving.modification is not None:
            if _asked_by(strategy, leaving):
                self.refuse_modification(strategy, leaving.client_order_id, reason, why)
        elif leaving.request is not None:
            self.end(strategy, leaving.client_order_id, OrderState.REJECTED, reason, why)

    def _stays(self, strategy: Strategy, symbol: str, waited_s: float) -> tuple[Reason, str] | None:
        """Why what was accepted does not leave any more."""
        if self._state.halted_for(strategy, symbol):
            return Reason.HALTED, ""
        if waited_s > LATE_S:  # it was judged by another market
            return Reason.EXPIRED, f"waited {waited_s:.1f} s for the venue, at most {LATE_S:.0f} s"
        return None

    def _modification_may_leave(
        self, strategy: Strategy, leaving: Leaving, waited_s: float
    ) -> bool:
        order = _asked_by(strategy, leaving)
        if order is None:
            return False  # the order has ended, and its modification with it
        if stays := self._stays(strategy, order.symbol, waited_s):
            self.refuse_modification(strategy, leaving.client_order_id, *stays)
            return False
        return True

    def cancel_all(self, strategy: Strategy, reason: str) -> int:
        """Cancels what the strategy has at work, and what is on its way out; passes a halt. How
        many orders that are."""
        orders = [order for order in strategy.account.orders.values() if order.is_open]
        if orders:
            body, at_ns = CancelledAll(reason), self._state.wall_ns()
            log.warning("cancel_all", strategy=strategy.name, orders=len(orders), reason=reason)
            self._state.journal.append(
                [record(Kind.CANCELLED_ALL, body, at_ns, strategy.name)],
                lambda: self._cancel_each(strategy, orders),
            )
        return len(orders)

    def _cancel_each(self, strategy: Strategy, orders: Sequence[Order]) -> None:
        for order in orders:
            leaving = Leaving(strategy.name, order.client_order_id, None, venue=order.venue)
            self._state.outside.leave(leaving)

    # ---- modifications

    def refuse_modification(
        self, strategy: Strategy, client_order_id: str, reason: Reason, why: str = ""
    ) -> None:
        """It never reached the venue, or the venue does not do that: the terms are as they were."""
        order = strategy.account.orders.get(client_order_id)
        if order is None or order.asked is None:
            return
        number = order.asked.number
        after = strategy.account.on_modification(
            client_order_id, number, order.quantity, order.price
        )
        self._modified(strategy, order.asked, after, reason, why)

    def _take_terms(self, strategy: Strategy, answer: pb.OrderResponse, state: OrderState) -> None:
        """What the venue decided about the modification that is under way, if it did.

        Raises InvalidMessage.
        """
        order = strategy.account.orders.get(answer.client_order_id)
        if order is None or order.asked is None:
            return
        asked = order.asked
        if answer.modification < asked.number:
            if state.has_ended:
                why = f"the venue has the order as {state}"
                strategy.modifying.discard(order.client_order_id)
                self.refuse_modification(strategy, order.client_order_id, Reason.UNKNOWN_ORDER, why)
            return
        quantity = decimal_from("quantity", answer.quantity)
        price = decimal_from("price", answer.price)
        strategy.modifying.discard(order.client_order_id)
        after = strategy.account.on_modification(
            order.client_order_id, answer.modification, quantity, price
        )
        taken = (quantity, price) == (asked.quantity, asked.price)
        reason = None if taken else REASONS.maybe(answer.reason) or Reason.VENUE_REJECTED
        self._modified(strategy, asked, after, reason, answer.message)

    def _modified(
        self,
        strategy: Strategy,
        asked: Modification,
        after: Order,
        reason: Reason | None,
        message: str = "",
    ) -> None:
        body = OrderModified(
            after.client_order_id, asked.signal_id, after.modification, after.quantity,
            after.price, after.remaining, reason, message[:200],
        )  # fmt: skip
        if not after.is_open:
            strategy.keep_ended(after)
        outcome = modified_outcome(strategy.next_outcome(), body)
        written = record(
            Kind.MODIFIED,
            body,
            self._state.wall_ns(),
            strategy.name,
            key=modification_key(after.client_order_id, after.modification),
            outcome=outcome.number,
            order=order_row(after),
        )
        self._state.journal.append([written], lambda: self.tell(strategy, after, outcome))

    def end_modification(self, strategy: Strategy, order: Order) -> Order:
        """Of an order that has ended: nothing comes of what was under way."""
        if order.asked is None:
            return order
        strategy.modifying.discard(order.client_order_id)
        asked = order.asked
        after = replace(order, modification=asked.number, asked=None)
        if order.client_order_id in strategy.account.orders:
            strategy.account.on_modification(
                order.client_order_id, asked.number, order.quantity, order.price
            )
        if order.client_order_id in strategy.ended:
            strategy.keep_ended(after)
        self._modified(strategy, asked, after, Reason.UNKNOWN_ORDER, "the order ended before")
        return after

    # ---- what the venue states

    def settle(self, strategy: Strategy, answer: pb.OrderResponse) -> None:
        """Takes an order's state from the venue's word. Fills come on their own way."""
        client_order_id = answer.client_order_id
        try:
            state = ORDER_STATES.member("state", answer.state)
            filled = decimal_from("filled_quantity", answer.filled_quantity or "0")
            self._take_terms(strategy, answer, state)
            order = strategy.account.on_answer(client_order_id, state, filled, answer.order_id)
        except UnknownOrder:
            return  # it ended before this answer came
        except (InvalidMessage, IllegalTransition) as error:
            _contradiction(client_order_id, error)
            self._event(strategy, client_order_id, OrderEvent.LOSE)  # so that it is asked for
            return
        if not order.is_open and client_order_id not in strategy.ending:
            reason = REASONS.maybe(answer.reason) or _DEFAULT_REASON.get(order.state)
            ended = OrderEnded(client_order_id, order.state, reason, answer.message[:200])
            self._end(strategy, order, ended)

    def end(
        self,
        strategy: Strategy,
        client_order_id: str,
        state: OrderState,
        reason: Reason | None,
        message: str = "",
    ) -> None:
        """An end that we decide ourselves."""
        order = self._event(strategy, client_order_id, _EVENTS[state])
        if order is not None and not order.is_open:
            ended = OrderEnded(client_order_id, order.state, reason, message[:200])
            self._end(strategy, order, ended)

    def _event(self, strategy: Strategy, client_order_id: str, event: OrderEvent) -> Order | None:
        try:
            return strategy.account.on_event(client_order_id, event)
        except UnknownOrder:
            return None  # it ended meanwhile
        except IllegalTransition as error:
            _contradiction(client_order_id, error)
            return None

    def _end(self, strategy: Strategy, order: Order, ended: OrderEnded) -> None:
        if order.outstanding:  # fills were announced that have not come: they come first
            strategy.ending[order.client_order_id] = ended
            return
        strategy.cancelling.discard(order.client_order_id)
        order = self.end_modification(strategy, order)
        strategy.keep_ended(order)
        outcome = end_outcome(strategy.next_outcome(), ended)
        written = record(
            Kind.ENDED,
            ended,
            self._state.wall_ns(),
            strategy.name,
            key=order.client_order_id,
            outcome=outcome.number,
            order=order_row(order),
        )
        self._state.journal.append([written], lambda: self._ended(strategy, order, ended, outcome))

    def _ended(self, strategy: Strategy, order: Order, ended: OrderEnded, outcome: Outcome) -> None:
        if ended.state is OrderState.REJECTED and ended.reason is not None:
            self._state.counts.rejected[strategy.name, ended.reason] += 1
        self.tell(strategy, order, outcome)

    def end_if_complete(self, strategy: Strategy, client_order_id: str) -> None:
        """An order that ended with fills announced ends when the last of them is here."""
        ended = strategy.ending.get(client_order_id)
        if ended is None or client_order_id in strategy.account.orders:
            return
        del strategy.ending[client_order_id]
        order = strategy.ended[client_order_id]
        if order.state is not OrderState.FILLED:
            self._end(strategy, order, ended)

    def tell(self, strategy: Strategy, order: Order | None, outcome: Outcome) -> None:
        if order is not None:
            strategy.told.order(order)
        strategy.told.outcome(outcome)
        self._state.outside.outcomes(strategy, (outcome,))


def _asked_by(strategy: Strategy, leaving: Leaving) -> Order | None:
    """The order of a modification that is still under way: while its call hung, it may have been
    settled, and a newer one asked for."""
    order = strategy.account.orders.get(leaving.client_order_id)
    asked = leaving.modification
    return order if order is not None and asked is not None and order.asked == asked else None


_DEFAULT_REASON = {OrderState.REJECTED: Reason.VENUE_REJECTED}


def _contradiction(client_order_id: str, error: Exception) -> None:
    log.error("order_contradiction", order=client_order_id, error=str(error))
