"""A rehearsal: a strategy at work without servers, for its author's tests.

Market orders are filled at once and in full at the touch; other orders stay working until the test
fills or ends them. The instrument's increments are those given, or 0.01 and 0.00001.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from strategy_sdk.account import Fill
from strategy_sdk.market import Event, Tick
from strategy_sdk.seat import Seat
from strategy_sdk.strategy import Strategy
from trading.instruments import Instrument
from trading.market import exact
from trading.signals import Action, OrderType, Side, Signal

_SECOND_NS = 1_000_000_000
_CENT, _LOT = Decimal("0.01"), Decimal("0.00001")


class Rehearsal:
    """`Rehearsal(MyStrategy(period=3)).tick(bid=99, ask=101)` answers the signals of that tick."""

    def __init__(
        self,
        strategy: Strategy,
        *symbols: str,
        instruments: Mapping[str, Instrument] | None = None,
        fills: bool = True,
    ) -> None:
        names = symbols or ("BTCUSDT",)
        known = instruments or {symbol: _instrument(symbol) for symbol in names}
        self.strategy = strategy
        self.seat = Seat(strategy, name="rehearsal", symbols=names, instruments=known)
        self.seat.start()
        self.signals: list[Signal] = []
        self._fills = fills
        self._sequence = 0

    def tick(self, bid: float, ask: float | None = None, **fields: Any) -> tuple[Signal, ...]:
        """One more tick, a second after the last one; `symbol` is the first if not given."""
        self._sequence += 1
        tick = Tick(
            symbol=fields.pop("symbol", self.seat.symbols[0]),
            sequence=self._sequence,
            timestamp=self._sequence * _SECOND_NS,
            bid_price=bid,
            ask_price=bid if ask is None else ask,
            **fields,
        )
        return self.event(tick)

    def event(self, event: Event) -> tuple[Signal, ...]:
        """Any message of market data."""
        signals = self.seat.decide(event)
        for signal in signals:
            self.signals.append(signal)
            self.seat.expect(signal)
        for signal in signals:
            if self._fills and isinstance(event, Tick) and _fills_at_once(signal):
                self.fill(signal, event.ask_price if signal.side is Side.BUY else event.bid_price)
        return signals

    def fill(self, signal: Signal, price: float, quantity: Decimal | None = None) -> None:
        """A part of an order, or all of it, is filled."""
        self.seat.fill(
            Fill(
                signal_id=signal.id,
                fill_id=f"{signal.id}-0-1",
                symbol=signal.symbol,
                side=signal.side,
                price=exact(float(price)),
                quantity=signal.quantity if quantity is None else quantity,
                fee=Decimal(0),
                at_ns=signal.at_ns,
            )
        )


def _fills_at_once(signal: Signal) -> bool:
    return signal.action is Action.ORDER and signal.order_type is OrderType.MARKET


def _instrument(symbol: str) -> Instrument:
    return Instrument(symbol, _CENT, _LOT, _LOT, Decimal(0), symbol[:-4] or symbol, symbol[-4:])
