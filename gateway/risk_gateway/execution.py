"""Orders at the venue and their fills: what comes back, counted once and made durable.

A fill moves the books when it comes; its message is acknowledged, its outcome told and its
position published only when it is on disk.
"""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns

import structlog

from handover.messages import Outcome
from risk_gateway.journal import Record
from risk_gateway.lanes import Leaving
from risk_gateway.positions import PositionUpdate
from risk_gateway.records import (
    Decided,
    Kind,
    OrderEnded,
    Stray,
    body_of,
    end_outcome,
    fill_outcome,
    order_row,
    record,
)
from risk_gateway.state import State
from risk_gateway.strategy import LastTrade, Strategy
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import (
    ORDER_STATES,
    ORDER_TYPES,
    REASONS,
    SIDES,
    TIMES_IN_FORCE,
    InvalidMessage,
    cause_to_proto,
    decimal_from,
    text_of,
)
from trading.accounts import UnknownOrder
from trading.fills import Fill
from trading.ids import signal_of
from trading.ledger import Booking
from trading.orders import ForeignFill, IllegalTransition, Order, OrderEvent, OrderState
from trading.positions import Position
from trading.reasons import Reason

log = structlog.get_logger()

_EVENTS = {
    OrderState.REJECTED: OrderEvent.REJECT,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.EXPIRED: OrderEvent.EXPIRE,
}
EVENT_OF_END = _EVENTS


class Execution:
    """Implements lanes.Sender, and takes fills. Call nothing concurrently."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._writing: dict[str, list[Callable[[], None]]] = {}  # by fill id: who waits for it
        self._sent_ns: dict[str, int] = {}

    # ---- on the way out

    def may_leave(self, leaving: Leaving) -> bool:
        """A halt stops orders here too; a cancel always passes."""
        if leaving.request is None:
            return True
        strategy = self._state.strategies[leaving.strategy]
        if self._state.halted:
            self.end(strategy, leaving.client_order_id, OrderState.EXPIRED, Reason.HALTED)
            return False
        self._sent_ns[leaving.client_order_id] = perf_counter_ns()
        self._state.counts.orders[leaving.strategy, leaving.request.symbol] += 1
        return self._event(strategy, leaving.client_order_id, OrderEvent.SUBMIT) is not None

    def answered(self, leaving: Leaving, answer: pb.OrderResponse) -> None:
        sent_ns = self._sent_ns.pop(leaving.client_order_id, None)
        if sent_ns is not None:
            self._state.counts.order_latency.observe((perf_counter_ns() - sent_ns) / 1_000)
        self.settle(self._state.strategies[leaving.strategy], answer)

    def unanswered(self, leaving: Leaving, why: str) -> None:
        """It may be at the venue or not: the order stays in the books until GetOrder tells."""
        log.warning("venue_unanswered", order=leaving.client_order_id, why=why)
        self._sent_ns.pop(leaving.client_order_id, None)
        strategy = self._state.strategies[leaving.strategy]
        if leaving.request is None:
            strategy.cancelling.add(leaving.client_order_id)
        else:
            self._event(strategy, leaving.client_order_id, OrderEvent.LOSE)

    def refused(self, leaving: Leaving, why: str) -> None:
        log.warning("venue_refused", order=leaving.client_order_id, why=why)
        self._sent_ns.pop(leaving.client_order_id, None)
        strategy = self._state.strategies[leaving.strategy]
        if leaving.request is not None:
            reason = Reason.VENUE_REJECTED
            self.end(strategy, leaving.client_order_id, OrderState.REJECTED, reason, why)

    # ---- what the venue states

    def settle(self, strategy: Strategy, answer: pb.OrderResponse) -> None:
        """Takes an order's state from the venue's word. Fills come on their own way."""
        client_order_id = answer.client_order_id
        try:
            state = ORDER_STATES.member("state", answer.state)
            filled = decimal_from("filled_quantity", answer.filled_quantity or "0")
            order = strategy.account.on_answer(client_order_id, state, filled, answer.order_id)
        except UnknownOrder:
            return  # it ended before this answer came
        except (InvalidMessage, IllegalTransition) as error:
            self._contradiction(client_order_id, error)
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
            self._contradiction(client_order_id, error)
            return None

    def _end(self, strategy: Strategy, order: Order, ended: OrderEnded) -> None:
        if order.outstanding:  # fills were announced that have not come: they come first
            strategy.ending[order.client_order_id] = ended
            return
        strategy.cancelling.discard(order.client_order_id)
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
        self._tell(strategy, order, outcome)

    # ---- fills

    def take_fill(self, fill: Fill, done: Callable[[], None]) -> None:
        """Calls `done` when the fill is on disk, also if it was there before."""
        waiting = self._writing.get(fill.fill_id)
        if waiting is not None:
            waiting.append(done)
            return
        if fill.fill_id in self._state.fills:
            done()
            return
        received_ns = perf_counter_ns()
        self._state.fills.add(fill.fill_id)
        self._writing[fill.fill_id] = [done]
        strategy, order = self._owner(fill)
        if strategy is None:
            self._stray(fill, f"no strategy {fill.strategy!r} and no order of that id")
            return
        if fill.strategy != strategy.name:
            fill = replace(fill, strategy=strategy.name)
        try:
            after = order.after_fill(fill) if order is not None else None
        except ForeignFill as error:
            self._stray(fill, str(error))
            return
        self._count(strategy, fill, after, received_ns)

    def _owner(self, fill: Fill) -> tuple[Strategy | None, Order | None]:
        """By client order id; the name in the fill counts only for what is not ours."""
        named = self._state.strategies.get(fill.strategy)
        order = named.order(fill.client_order_id) if named is not None else None
        if order is not None or not fill.client_order_id:
            return named, order
        row = self._state.archive.order(fill.client_order_id)
        if row is None:
            return named, None
        strategy = self._state.strategies[row.strategy]
        return strategy, strategy.order(fill.client_order_id) or self._old_order(fill)

    def _old_order(self, fill: Fill) -> Order:
        """An order that ended long ago, as it stood then."""
        made = self._state.archive.record(Kind.DECIDED, signal_of(fill.client_order_id))
        row = self._state.archive.order(fill.client_order_id)
        assert made is not None
        assert row is not None
        decided: Decided = body_of(made)
        assert decided.order is not None
        return replace(
            decided.order,
            state=OrderState(row.state),
            filled_quantity=row.filled_quantity,
            filled_notional=row.filled_notional,
            fee=row.fee,
        )

    def _count(self, strategy: Strategy, fill: Fill, after: Order | None, received_ns: int) -> None:
        booking = strategy.account.on_fill(fill)
        assert booking is not None
        outcome = fill_outcome(strategy.next_outcome(), fill)
        if after is not None and not after.is_open:
            strategy.keep_ended(strategy.account.orders.get(after.client_order_id, after))
        written = self._fill_record(strategy, fill, after, outcome)
        self._state.journal.append(
            [written], lambda: self._counted(strategy, booking, after, outcome, received_ns)
        )
        self._end_if_complete(strategy, fill.client_order_id)

    def _fill_record(
        self, strategy: Strategy, fill: Fill, after: Order | None, outcome: Outcome
    ) -> Record:
        return record(
            Kind.FILL,
            fill,
            self._state.wall_ns(),
            strategy.name,
            key=fill.fill_id,
            outcome=outcome.number,
            order=order_row(after) if after is not None else None,
        )

    def _end_if_complete(self, strategy: Strategy, client_order_id: str) -> None:
        """An order that ended with fills announced ends when the last of them is here."""
        ended = strategy.ending.get(client_order_id)
        if ended is None or client_order_id in strategy.account.orders:
            return
        del strategy.ending[client_order_id]
        order = strategy.ended[client_order_id]
        if order.state is not OrderState.FILLED:
            self._end(strategy, order, ended)

    def _counted(
        self,
        strategy: Strategy,
        booking: Booking,
        after: Order | None,
        outcome: Outcome,
        received_ns: int,
    ) -> None:
        fill, position = booking.fill, booking.position
        counts = self._state.counts
        strategy.tally.fills += 1
        counts.fills[strategy.name, fill.symbol, fill.side] += 1
        counts.position_updates += 1
        counts.fill_latency.observe((perf_counter_ns() - received_ns) / 1_000)
        strategy.told.position(fill.symbol, position.quantity)
        strategy.traded[fill.symbol] = LastTrade(outcome.number, fill.at_ns)
        self._tell(strategy, after, outcome)
        self._state.outside.publish(self._update(strategy, position))
        self._release(fill)

    def _tell(self, strategy: Strategy, order: Order | None, outcome: Outcome) -> None:
        if order is not None:
            strategy.told.order(order)
        strategy.told.outcome(outcome)
        self._state.outside.outcomes(strategy, (outcome,))

    def publish_positions(self) -> None:
        """All of them, as they stand: after a restart nobody knows which were published."""
        for strategy in self._state.strategies.values():
            for position in strategy.account.positions.values():
                self._state.outside.publish(self._update(strategy, position))

    def _update(self, strategy: Strategy, position: Position) -> PositionUpdate:
        touch = self._state.market.latest(position.symbol)
        last = strategy.traded[position.symbol]
        return PositionUpdate(
            strategy=strategy.name,
            symbol=position.symbol,
            number=last.outcome,
            quantity=position.quantity,
            average_price=position.average_entry,
            price=touch.mid if touch else None,
            realized_pnl=position.realized_pnl,
            unrealized_pnl=position.unrealized_pnl(touch.mid) if touch else None,
            at_ns=last.at_ns,
        )

    def _stray(self, fill: Fill, why: str) -> None:
        """Kept for a person to look at; it belongs to nobody's books."""
        log.warning("fill_stray", fill=fill.fill_id, why=why)
        self._state.counts.strays += 1
        written = record(Kind.STRAY, Stray(fill, why), self._state.wall_ns(), key=fill.fill_id)
        self._state.journal.append([written], lambda: self._release(fill))

    def _release(self, fill: Fill) -> None:
        for done in self._writing.pop(fill.fill_id):
            done()

    def _contradiction(self, client_order_id: str, error: Exception) -> None:
        self._state.counts.contradictions += 1
        log.error("order_contradiction", order=client_order_id, error=str(error))


_DEFAULT_REASON = {OrderState.REJECTED: Reason.VENUE_REJECTED}


def order_request(order: Order) -> pb.OrderRequest:
    return pb.OrderRequest(
        symbol=order.symbol,
        side=SIDES.number(order.side),  # type: ignore[arg-type]  # the stubs' own enum type
        order_type=ORDER_TYPES.number(order.order_type),  # type: ignore[arg-type]  # as above
        quantity=text_of(order.quantity),
        price=text_of(order.price),
        stop_price=text_of(order.stop_price),
        time_in_force=TIMES_IN_FORCE.number(order.time_in_force),  # type: ignore[arg-type]  # as above
        strategy_id=order.strategy,
        client_order_id=order.client_order_id,
        cause=cause_to_proto(order.cause),
    )
