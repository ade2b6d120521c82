"""A withdrawn strategy on its way: its orders cancelled and, to own nothing, its positions closed.

Level-triggered: each look does the next thing that can be done now, so a restart goes on where the
journal is. The closing orders are the gateway's own: market orders on the way of every other, with
ids made of how many there were before, so that none is made twice; what only closes never flips.
"""

from collections.abc import Iterator
from decimal import Decimal

from handover.messages import Batch, Mark
from risk_gateway.admission import Admission
from risk_gateway.records import Decided
from risk_gateway.state import State
from risk_gateway.strategy import Flattening, Strategy
from stratops_wire.scalars import text_of
from trading.ids import signal_id
from trading.instruments import Instrument
from trading.signals import Cause, OrderType, Side, Signal

ORIGIN = {"origin": "gateway"}
PATIENCE_S = 10.0  # for an order of its own; then it is cancelled, and another one made
_FIRST = 10  # a priority
_WAIT_S = 0.5  # after the first attempt; doubled at each further one
_LONGEST_WAIT_S = 30.0


class Flattener:
    """Call nothing concurrently."""

    def __init__(self, state: State, admission: Admission) -> None:
        self._state = state
        self._admission = admission

    def tick(self, now: float) -> None:
        for strategy in tuple(self._state.strategies.values()):
            if strategy.flattening is not None:
                strategy.flattening.left = self._go_on(strategy, strategy.flattening, now)

    def _go_on(self, strategy: Strategy, flattening: Flattening, now: float) -> str:
        """Does what can be done now; answers what there is still to do."""
        if strategy.grants.wanted or strategy.grants.epoch or strategy.submissions:
            return "not yet disarmed"
        if strategy.account.orders:
            self._cancel(strategy, flattening, now)
            return f"orders at work: {len(strategy.account.orders)}"
        held = dict(_held(strategy)) if flattening.closes else {}
        left = [self._close(strategy, flattening, symbol, held[symbol], now) for symbol in held]
        return "; ".join(left)

    def _cancel(self, strategy: Strategy, flattening: Flattening, now: float) -> None:
        for order in strategy.account.orders.values():
            since = flattening.placed_at.setdefault(order.client_order_id, now)
            theirs = order.epoch or order.adopted
            if order.is_open and (theirs or now - since >= PATIENCE_S):
                strategy.cancelling.add(order.client_order_id)  # asked for until it is answered

    def _close(
        self, strategy: Strategy, flattening: Flattening, symbol: str, held: Decimal, now: float
    ) -> str:
        instrument = strategy.account.instruments.get(symbol)
        why = self._obstacle(strategy, symbol, instrument, held)
        if not why and now >= flattening.next_at.get(symbol, now):
            nth = flattening.attempts[symbol]
            flattening.attempts[symbol] += 1
            flattening.next_at[symbol] = now + min(_WAIT_S * 2 ** min(nth, 10), _LONGEST_WAIT_S)
            self._place(strategy, flattening, self._signal(strategy, flattening, symbol, held, nth))
        why = why or flattening.told.get(symbol, "")
        return f"{symbol} {text_of(held)}" + (f" ({why})" if why else "")

    def _obstacle(
        self, strategy: Strategy, symbol: str, instrument: Instrument | None, held: Decimal
    ) -> str:
        """Why no order would do now."""
        if halted := self._state.halted_for(strategy, symbol):
            return halted
        to = self._state.destination(strategy, symbol)
        if not to.venue:
            return to.objection
        if not self._state.outside.venue_available(to.venue):
            return f"venue {to.venue} does not answer"
        if instrument is None:
            return "not in the catalogue"
        on_the_lot = instrument.quantity(abs(held))
        return "" if on_the_lot and on_the_lot >= instrument.min_quantity else "less than a lot"

    def _signal(
        self, strategy: Strategy, flattening: Flattening, symbol: str, held: Decimal, nth: int
    ) -> Signal:
        latest = self._state.market.latest_at_ns(symbol)
        at_ns = self._state.wall_ns() if latest is None else latest
        return Signal(
            id=signal_id(strategy.name, "flatten", symbol, flattening.number, nth),
            symbol=symbol,
            side=Side.SELL if held > 0 else Side.BUY,
            quantity=abs(held),
            cause=Cause(symbol, "", 0, at_ns),  # none: whatever the market is now
            at_ns=at_ns,
            order_type=OrderType.MARKET,
            priority=_FIRST,
            closing=True,
            metadata=ORIGIN,
        )

    def _place(self, strategy: Strategy, flattening: Flattening, signal: Signal) -> None:
        def done(decision: Decided) -> None:
            flattening.told[signal.symbol] = decision.message if decision.reason else ""

        self._admission.take(strategy, Batch(0, 0, Mark(), (signal,)), "", done)


def _held(strategy: Strategy) -> Iterator[tuple[str, Decimal]]:
    for symbol, position in strategy.account.positions.items():
        if position.quantity:
            yield symbol, position.quantity
