"""The account as its strategy sees it: what is settled, and what it has asked for since.

The position a strategy reads is the ledger's plus its own market orders that are not yet filled;
a refusal takes them out again. With filled orders only, a reversal that comes before the fill of
the order before it would be lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.reasons import Reason
from trading.signals import Action, OrderType, Side, Signal

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """A part of an own order that was filled; or, with `busts`, one that the venue took back: then
    `side` is the other one, and the order is as it was."""

    signal_id: str
    fill_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    at_ns: int
    busts: str = ""  # id of the fill that is taken back


@dataclass(frozen=True, slots=True)
class Ended:
    """An own order that will be filled no further. `state` as trading.orders.OrderState has it."""

    signal_id: str
    state: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Modified:
    """An own order has other terms now. Of a refused modification its `Ended` tells."""

    signal_id: str
    order: str  # id of the signal that made it
    quantity: Decimal  # what is left of it
    price: Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """An intention was accepted: it is a market order of that side and quantity."""

    signal_id: str
    symbol: str
    side: Side
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """What is filled, signed: more than zero is long."""

    symbol: str
    quantity: Decimal

    @property
    def side(self) -> str:
        return "flat" if not self.quantity else "long" if self.quantity > 0 else "short"


@dataclass(frozen=True, slots=True)
class Working:
    """An own order that is asked for and not yet filled; `quantity` is what is left of it."""

    signal_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal


class Account:
    def __init__(self) -> None:
        self._settled: dict[str, Decimal] = {}
        self._working: dict[str, Working] = {}
        # Sums over the working orders, kept as they change: a burst has hundreds under way.
        self._market: dict[str, Decimal] = {}  # signed, by symbol
        self._resting: dict[tuple[str, Side], Decimal] = {}

    def settled(self, symbol: str) -> Decimal:
        """The ledger's position, signed."""
        return self._settled.get(symbol, _NONE)

    def position(self, symbol: str) -> Decimal:
        """Settled, and as if own market orders that are under way were filled."""
        settled = self._settled.get(symbol, _NONE)
        return settled + self._market[symbol] if symbol in self._market else settled

    def resting(self, symbol: str, side: Side) -> Decimal:
        """What own orders other than market orders are still to fill."""
        return self._resting.get((symbol, side), _NONE)

    def working(self, symbol: str | None = None) -> tuple[Working, ...]:
        """Own orders under way, oldest first."""
        orders = self._working.values()
        return tuple(order for order in orders if symbol is None or order.symbol == symbol)

    def positions(self) -> Mapping[str, Decimal]:
        return dict(self._settled)

    def expect(self, signal: Signal) -> None:
        """Counts an order that was just asked for."""
        if signal.action is Action.ORDER and signal.quantity:
            self._add(
                Working(signal.id, signal.symbol, signal.side, signal.order_type, signal.quantity)
            )

    def size(self, sized: Sized) -> None:
        """Counts an order that was not known before how large it is."""
        self._add(
            Working(sized.signal_id, sized.symbol, sized.side, OrderType.MARKET, sized.quantity)
        )

    def fill(self, fill: Fill) -> Position:
        self._settled[fill.symbol] = self.settled(fill.symbol) + fill.quantity * fill.side.sign
        if not fill.busts:
            order = self._take(fill.signal_id)
            if order is not None and order.quantity > fill.quantity:
                self._add(replace(order, quantity=order.quantity - fill.quantity))
        return Position(fill.symbol, self._settled[fill.symbol])

    def end(self, ended: Ended) -> None:
        self._take(ended.signal_id)

    def modify(self, modified: Modified) -> None:
        order = self._take(modified.order)
        if order is not None and modified.quantity:
            self._add(replace(order, quantity=modified.quantity))

    def set(self, positions: Mapping[str, Decimal], working: Iterable[Working]) -> None:
        """Takes the ledger's word for everything."""
        self._settled = dict(positions)
        self._working, self._market, self._resting = {}, {}, {}
        for order in working:
            self._add(order)

    def _add(self, order: Working) -> None:
        self._working[order.signal_id] = order
        self._count(order, order.quantity)

    def _take(self, signal_id: str) -> Working | None:
        order = self._working.pop(signal_id, None)
        if order is not None:
            self._count(order, -order.quantity)
        return order

    def _count(self, order: Working, change: Decimal) -> None:
        symbol, side = order.symbol, order.side
        if order.order_type is OrderType.MARKET:
            self._market[symbol] = self._market.get(symbol, _NONE) + change * side.sign
        else:
            self._resting[symbol, side] = self.resting(symbol, side) + change
