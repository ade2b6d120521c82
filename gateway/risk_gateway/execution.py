"""Orders at the venue: on their way out, and what the venue states about them.

Their fills come on a way of their own (`fill_book`); an end waits for those that were announced.
"""

from time import perf_counter_ns

import structlog

from handover.messages import Outcome
from risk_gateway.lanes import Leaving
from risk_gateway.records import (
    Kind,
    OrderEnded,
    end_outcome,
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
from trading.orders import IllegalTransition, Order, OrderEvent, OrderState
from trading.reasons import Reason

log = structlog.get_logger()

_EVENTS = {
    OrderState.REJECTED: OrderEvent.REJECT,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.EXPIRED: OrderEvent.EXPIRE,
}
EVENT_OF_END = _EVENTS


class Execution:
    """Implements lanes.Sender. Call nothing concurrently."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sent_ns: dict[str, int] = {}

    # ---- on the way out

    def may_leave(self, leaving: Leaving) -> bool:
        """A halt stops orders here too; a cancel always passes."""
        if leaving.request is None:
            return True
        strategy = self._state.strategies[leaving.strategy]
        if self._state.halted_for(strategy, leaving.request.symbol):
            self._sent_ns.pop(leaving.client_order_id, None)
            self.end(strategy, leaving.client_order_id, OrderState.EXPIRED, Reason.HALTED)
            return False
        if leaving.client_order_id not in self._sent_ns:  # else its batch was refused: once more
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


_DEFAULT_REASON = {OrderState.REJECTED: Reason.VENUE_REJECTED}


def _contradiction(client_order_id: str, error: Exception) -> None:
    log.error("order_contradiction", order=client_order_id, error=str(error))
