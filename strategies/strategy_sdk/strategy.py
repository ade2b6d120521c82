"""Strategy: the class that an author derives from.

An author writes parameters as typed class attributes, `on_market_data`, and what else is wanted of
the hooks. A runner seats the strategy (see `seat`) before anything is asked of it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from strategy_sdk.account import Ended, Fill, Modified, Position, Sized, Working
from strategy_sdk.blotter import Number
from strategy_sdk.market import Event
from strategy_sdk.parameters import bind, declared
from trading.instruments import Instrument
from trading.signals import DEFAULT_PRIORITY, Direction, Side, Signal, TimeInForce

if TYPE_CHECKING:
    from strategy_sdk.seat import Seat

Decision = Signal | Iterable[Signal] | None


class NotSeated(RuntimeError):
    """A strategy that no runner, backtest or rehearsal has taken on yet."""


class Strategy:
    """One strategy: parameters, a decision on each message, and what it remembers.

    Everything that an instance keeps as an attribute is its state and travels to a successor: plain
    values, lists, dicts, deques, Decimals, messages of market data, dataclasses of its own module.
    """

    # The base keeps nothing in the instance's __dict__: that is the author's, whole.
    __slots__ = ("__dict__", "__weakref__", "_seat")

    #: Messages of each symbol that a fresh instance must have seen before it may decide. Where it
    #: depends on parameters, start() sets it.
    warm_up: int = 0

    _seat: "Seat | None"

    def __init__(self, **parameters: Any) -> None:
        self._seat = None
        vars(self).update(bind(type(self), parameters))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!s}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({values})"

    # ---- what an author writes

    def start(self) -> None:
        """Called once, before the first message. A place for what __init__ would do."""

    def on_market_data(self, event: Event) -> Decision:
        """One message of market data, each in its order. Orders made here are sent.

        Returning or yielding them as well changes nothing: each is sent once, as it was made.
        """
        raise NotImplementedError(f"{type(self).__name__}: on_market_data")

    def on_fill(self, fill: Fill) -> None:
        """A part of an own order was filled; position() counts it already."""

    def on_position_update(self, position: Position) -> None:
        """The settled position of a symbol changed."""

    def on_order_end(self, ended: Ended) -> None:
        """An own order will be filled no further: refused, rejected, cancelled, expired."""

    def on_order_modified(self, modified: Modified) -> None:
        """An own order has the price and quantity that `modify` asked for."""

    def on_order_sized(self, sized: Sized) -> None:
        """An own intention is an order of that side and quantity; position() counts it."""

    def stop(self) -> None:
        """Called once, after the last message."""

    def shutdown(self) -> None:
        """Called last, when the process ends: give back what was opened."""

    def is_warm(self) -> bool:
        """Whether a fresh instance has seen enough to decide as an older one would."""
        return self._seated.seen_enough

    def get_metrics(self) -> Mapping[str, float]:
        """Figures of the strategy's own, by name, for its metrics page."""
        return {}

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> Iterable[str]:
        """What is wrong between parameters that are each fine: `short_period: 9, expected ...`."""
        return ()

    # ---- what moves to a successor; to be replaced only by who needs more than plain attributes

    def get_state(self) -> Mapping[str, Any]:
        """Every attribute of the instance except its parameters."""
        return {name: value for name, value in vars(self).items() if name not in self.parameters}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `get_state` described. Called after start, before the first message."""
        vars(self).update(state)

    def hot_reload(self, parameters: Mapping[str, Any]) -> None:
        """Takes other parameter values; position and state stay. Raises InvalidParameters."""
        vars(self).update(bind(type(self), {**self.parameters, **parameters}))

    # ---- what an author asks

    @property
    def name(self) -> str:
        """The strategy's own, as its manifest says: `<name>` or `<namespace>/<name>`."""
        return self._seated.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in declared(type(self))}

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._seated.symbols

    @property
    def is_running(self) -> bool:
        return self._seat is not None and self._seat.running

    def instrument(self, symbol: str) -> Instrument:
        """Raises LookupError for a symbol that the catalogue lacks."""
        return self._seated.instrument(symbol)

    def position(self, symbol: str) -> Decimal:
        """Signed: the ledger's, plus own market orders under way, less those that were refused."""
        return self._seated.blotter.position(symbol)

    def settled(self, symbol: str) -> Decimal:
        """Signed: the ledger's position alone."""
        return self._seated.account.settled(symbol)

    def working(self, symbol: str | None = None) -> tuple[Working, ...]:
        """Own orders that were asked for and are not yet filled or ended, oldest first."""
        return self._seated.account.working(symbol)

    # ---- what an author does

    def buy(
        self,
        symbol: str,
        quantity: Number,
        price: Number | None = None,
        *,
        stop_price: Number | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        priority: int = DEFAULT_PRIORITY,
        max_slippage: Decimal | None = None,
        confidence: Decimal | None = None,
        expires_in_s: float | None = None,
        closing: bool | None = None,
        post_only: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Signal:
        """An order: market; with a price, limit; with a stop price, stop or stop_limit.

        The quantity is rounded down to the lot, a price to the safer side. `closing` (it only ever
        reduces the position) is found out for market orders when it is not said.
        """
        return self._seated.blotter.order(
            Side.BUY, symbol, quantity, price, stop_price, expires_in_s, closing,
            time_in_force=time_in_force, priority=priority, max_slippage=max_slippage,
            confidence=confidence, post_only=post_only, metadata=metadata or {},
        )  # fmt: skip

    def sell(
        self,
        symbol: str,
        quantity: Number,
        price: Number | None = None,
        *,
        stop_price: Number | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        priority: int = DEFAULT_PRIORITY,
        max_slippage: Decimal | None = None,
        confidence: Decimal | None = None,
        expires_in_s: float | None = None,
        closing: bool | None = None,
        post_only: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Signal:
        """As `buy`, the other way."""
        return self._seated.blotter.order(
            Side.SELL, symbol, quantity, price, stop_price, expires_in_s, closing,
            time_in_force=time_in_force, priority=priority, max_slippage=max_slippage,
            confidence=confidence, post_only=post_only, metadata=metadata or {},
        )  # fmt: skip

    def intend(
        self,
        symbol: str,
        direction: Direction,
        *,
        confidence: Decimal | None = None,
        size: Decimal | None = None,
        priority: int = DEFAULT_PRIORITY,
        max_slippage: Decimal | None = None,
        expires_in_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Signal:
        """To be LONG or SHORT by as much as the risk policy's sizing allows, times confidence and
        `size` (both 0 to 1); CLOSE: to hold nothing; NONE: no opinion. One market order to get
        there, or none. `on_order_sized` tells how large it is; position() counts it from then on.
        """
        return self._seated.blotter.intention(
            symbol, direction, expires_in_s, confidence=confidence, size=size, priority=priority,
            max_slippage=max_slippage, metadata=metadata or {},
        )  # fmt: skip

    def move(self, symbol: str, position: Number) -> Signal | None:
        """The one market order from the position now to the one wanted; None: it is there."""
        difference = Decimal(str(position)) - self.position(symbol)
        if not difference:
            return None
        return self.buy(symbol, difference) if difference > 0 else self.sell(symbol, -difference)

    def close(self, symbol: str) -> Signal | None:
        """The market order that leaves nothing of the position; None: there is none."""
        return self.move(symbol, 0)

    def cancel(self, signal: Signal | str, symbol: str = "") -> Signal:
        """Cancels what is left of an own order, given by its signal or the signal's id."""
        named = signal.symbol if isinstance(signal, Signal) else symbol
        return self._seated.blotter.cancel(signal, named or self._seated.symbol_of(str(signal)))

    def modify(
        self, signal: Signal | str, quantity: Number | None = None, price: Number | None = None
    ) -> Signal:
        """Gives an own limit order at work another price or quantity: of the whole order, what is
        filled included. `on_order_modified` tells when the venue has done it, `on_order_end` of
        this signal's id when it will not."""
        named = "" if isinstance(signal, str) else signal.symbol
        symbol = named or self._seated.symbol_of(str(signal))
        return self._seated.blotter.modify(signal, symbol, quantity, price)

    @property
    def _seated(self) -> "Seat":
        if self._seat is None:
            raise NotSeated(f"{type(self).__name__}: seat it first, see strategy_sdk.seat.Seat")
        return self._seat
