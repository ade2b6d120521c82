"""The gateway's own closing orders, of a strategy that is flattened, reduced or stopped.

Market orders on the way of every other, with ids made of how many there were before, so that none
is made twice; what only closes never flips.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from handover.messages import Batch, Mark
from risk_gateway.admission import Admission
from risk_gateway.records import Decided
from risk_gateway.state import State
from risk_gateway.strategy import Closing, Strategy
from stratops_wire.scalars import text_of
from trading.ids import signal_id
from trading.instruments import Instrument
from trading.market import mid_of
from trading.orders import Order
from trading.signals import Cause, OrderType, Side, Signal

ORIGIN = {"origin": "gateway"}
PATIENCE_S = 10.0  # for an order of its own; then it is cancelled, and another one made
_FIRST = 10  # a priority
_WAIT_S = 0.5  # after the first attempt; doubled at each further one
_LONGEST_WAIT_S = 30.0
_UNLISTED = "not in the catalogue"
_TOO_FEW = "less than a lot"
_TOO_LITTLE = "worth less than an order may be"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What closing orders are for; a part of their ids."""

    name: str
    number: int = 0
    metadata: Mapping[str, str] = field(default_factory=lambda: ORIGIN)


class Closer:
    """Call nothing concurrently."""

    def __init__(self, state: State, admission: Admission) -> None:
        self._state = state
        self._admission = admission

    def cancel(
        self, strategy: Strategy, closing: Closing, now: float, which: Callable[[Order], bool]
    ) -> None:
        """Those, and what of its own had no answer for long."""
        orders = strategy.account.orders
        for gone in closing.placed_at.keys() - orders.keys():
            del closing.placed_at[gone]
        for order in orders.values():
            since = closing.placed_at.setdefault(order.client_order_id, now)
            theirs = order.epoch or order.adopted
            asked = which(order) if theirs else now - since >= PATIENCE_S
            if order.is_open and asked:
                strategy.cancelling.add(order.client_order_id)  # asked for until it is answered

    def close(
        self,
        strategy: Strategy,
        closing: Closing,
        purpose: Purpose,
        symbol: str,
        quantity: Decimal,
        now: float,
    ) -> str:
        """So much of what is held, signed like it, as soon as that can be; answers what is left."""
        why = self._obstacle(strategy, symbol, quantity)
        if not why and now >= closing.next_at.get(symbol, now):
            nth, tried = closing.attempts[symbol], closing.tries[symbol]
            closing.attempts[symbol] += 1
            closing.tries[symbol] += 1
            closing.next_at[symbol] = now + min(_WAIT_S * 2 ** min(tried, 10), _LONGEST_WAIT_S)
            self._place(strategy, closing, self._signal(strategy, purpose, symbol, quantity, nth))
        why = why or closing.told.get(symbol, "")
        return f"{symbol} {text_of(quantity)}" + (f" ({why})" if why else "")

    def _obstacle(self, strategy: Strategy, symbol: str, quantity: Decimal) -> str:
        """Why no order would do now."""
        instrument = strategy.account.instruments.get(symbol)
        if remainder := self._remainder(instrument, symbol, quantity):
            return remainder
        if halted := self._state.halted_for(strategy, symbol):
            return halted
        to = self._state.destination(strategy, symbol)
        if not to.venue:
            return to.objection
        available = self._state.outside.venue_available(to.venue)
        return "" if available else f"venue {to.venue} does not answer"

    def is_remainder(self, strategy: Strategy, symbol: str, quantity: Decimal) -> bool:
        """Whether no order ever would do."""
        instrument = strategy.account.instruments.get(symbol)
        return bool(self._remainder(instrument, symbol, quantity))

    def _remainder(self, instrument: Instrument | None, symbol: str, quantity: Decimal) -> str:
        if instrument is None:
            return _UNLISTED
        on_the_lot = instrument.quantity(abs(quantity))
        if not on_the_lot or on_the_lot < instrument.min_quantity:
            return _TOO_FEW
        mid = mid_of(self._state.market.latest(symbol))
        worth = None if mid is None else on_the_lot * mid * instrument.contract_multiplier
        return _TOO_LITTLE if worth is not None and worth < instrument.min_notional else ""

    def _signal(
        self, strategy: Strategy, purpose: Purpose, symbol: str, quantity: Decimal, nth: int
    ) -> Signal:
        latest = self._state.market.latest_at_ns(symbol)
        at_ns = self._state.wall_ns() if latest is None else latest
        return Signal(
            id=signal_id(strategy.name, purpose.name, symbol, purpose.number, nth),
            symbol=symbol,
            side=Side.SELL if quantity > 0 else Side.BUY,
            quantity=abs(quantity),
            cause=Cause(symbol, "", 0, at_ns),  # none: whatever the market is now
            at_ns=at_ns,
            order_type=OrderType.MARKET,
            priority=_FIRST,
            closing=True,
            metadata=purpose.metadata,
        )

    def _place(self, strategy: Strategy, closing: Closing, signal: Signal) -> None:
        def done(decision: Decided) -> None:
            closing.told[signal.symbol] = decision.message if decision.reason else ""

        self._admission.take(strategy, Batch(0, 0, Mark(), (signal,)), "", done)
