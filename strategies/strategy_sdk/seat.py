"""A seat: one strategy at work, driven by a runner, a backtest or a rehearsal.

The driver brings messages and outcomes in their order and takes the orders; nothing here knows
where they come from or go to, nor what time it is.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from strategy_sdk import keeping
from strategy_sdk.account import Account, Ended, Fill, Modified, Position, Sized, Working
from strategy_sdk.blotter import Blotter
from strategy_sdk.market import Event
from strategy_sdk.strategy import Decision, Strategy
from trading.instruments import Instrument
from trading.signals import OrderType, Side, Signal


class UnknownInstrument(LookupError):
    """A symbol that the instrument catalogue lacks."""


class ForeignSignal(ValueError):
    """on_market_data answered something that buy, sell, close or cancel did not make."""


class Seat:
    """Seats `strategy` under `name` for `symbols`. Raises UnknownInstrument."""

    def __init__(
        self,
        strategy: Strategy,
        *,
        name: str,
        symbols: Sequence[str],
        instruments: Mapping[str, Instrument],
    ) -> None:
        self.strategy = strategy
        self.name = name
        self.symbols = tuple(symbols)
        self.running = False
        self.account = Account()
        self._instruments = instruments
        for symbol in self.symbols:
            self.instrument(symbol)
        self.blotter = Blotter(name, instruments, self.account)
        self._missing: dict[str, int] = {}
        self._made = self.blotter.made
        self._on_market_data = strategy.on_market_data
        strategy._seat = self

    @property
    def seen_enough(self) -> bool:
        """Whether each symbol has had `warm_up` messages."""
        return not self._missing

    def instrument(self, symbol: str) -> Instrument:
        found = self._instruments.get(symbol)
        if found is None:
            raise UnknownInstrument(f"instrument {symbol!r}: not in the catalogue")
        return found

    def symbol_of(self, signal_id: str) -> str:
        """Of an own order under way; of one that has ended already, any."""
        named = (order.symbol for order in self.account.working() if order.signal_id == signal_id)
        return next(named, self.symbols[0])

    def start(self) -> None:
        self.strategy.start()
        if self.strategy.warm_up > 0:
            self._missing = dict.fromkeys(self.symbols, self.strategy.warm_up)
        self.running = True

    def stop(self) -> None:
        self.running = False
        self.strategy.stop()

    def decide(self, event: Event) -> tuple[Signal, ...]:
        """The orders that the strategy makes on one message; none of them is expected yet.

        What the strategy raises is raised here, and the orders of that message are forgotten.
        """
        self.blotter.event = event
        try:
            decision = self._on_market_data(event)
            if decision is None and not self._made and not self._missing:
                return ()  # what nearly every message comes to
            return self._collect(decision, event)
        except BaseException:
            self._made.clear()
            raise

    def expect(self, signal: Signal) -> None:
        """The order is on its way: position() counts it from now on."""
        self.account.expect(signal)

    def fill(self, fill: Fill) -> None:
        position = self.account.fill(fill)
        with self.blotter.closed():
            self.strategy.on_fill(fill)
            self.strategy.on_position_update(position)

    def end(self, ended: Ended) -> None:
        self.account.end(ended)
        with self.blotter.closed():
            self.strategy.on_order_end(ended)

    def sized(self, sized: Sized) -> None:
        self.account.size(sized)
        with self.blotter.closed():
            self.strategy.on_order_sized(sized)

    def modified(self, modified: Modified) -> None:
        self.account.modify(modified)
        with self.blotter.closed():
            self.strategy.on_order_modified(modified)

    def set_holdings(self, positions: Mapping[str, Decimal], working: Iterable[Working]) -> None:
        """Takes the ledger's word, and tells the strategy which positions are new to it."""
        before = self.account.positions()
        self.account.set(positions, working)
        with self.blotter.closed():
            for symbol in sorted(before.keys() | positions.keys()):
                settled = self.account.settled(symbol)
                if settled != before.get(symbol, 0):
                    self.strategy.on_position_update(Position(symbol, settled))

    def snapshot(self) -> bytes:
        """All that a successor needs to go on. Raises CannotKeep for what does not travel."""
        orders = [
            [
                order.signal_id,
                order.symbol,
                order.side.value,
                order.order_type.value,
                order.quantity,
            ]
            for order in self.account.working()
        ]
        positions = sorted(self.account.positions().items())
        state = dict(self.strategy.get_state())
        document = [sorted(self._missing.items()), positions, orders, state]
        return keeping.pack(document, type(self.strategy).__module__)

    def restore(self, snapshot: bytes) -> None:
        """Becomes what `snapshot` was taken of. Raises CannotKeep."""
        document = keeping.unpack(snapshot, type(self.strategy).__module__)
        missing, positions, orders, state = document
        self._missing = dict(missing)
        working = (
            Working(id_, symbol, Side(side), OrderType(kind), quantity)
            for id_, symbol, side, kind, quantity in orders
        )
        self.account.set(dict(positions), working)
        self.strategy.restore(state)

    def digest(self) -> int:
        """A number that two seats share when they would go on alike; never 0."""
        return zlib.crc32(self.snapshot()) or 1

    def _collect(self, decision: Decision, event: Event) -> tuple[Signal, ...]:
        if self._missing:
            self._count(event.symbol)
        _drain(decision, self._made)
        signals = tuple(self._made)
        self._made.clear()
        return signals

    def _count(self, symbol: str) -> None:
        left = self._missing.get(symbol, 0) - 1
        if left > 0:
            self._missing[symbol] = left
        else:
            self._missing.pop(symbol, None)


def _drain(decision: Decision, made: list[Signal]) -> None:
    """Runs a generator to its end; everything in a decision must have been made by the blotter."""
    if decision is None:
        return
    for signal in (decision,) if isinstance(decision, Signal) else decision:
        if signal is not None and not any(signal is own for own in made):
            raise ForeignSignal(f"{signal!r}: make orders with self.buy, sell, close, cancel")
