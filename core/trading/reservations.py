"""Reservations: approved orders count against the limits until they are filled or have ended."""

from decimal import Decimal

from trading.orders import Order
from trading.signals import OrderType, Side
from trading.values import value

_ZERO = Decimal(0)


@value(frozen=True, slots=True)
class Working:
    """What may still be bought and sold of one symbol. Both may happen, or only one of them."""

    buys: Decimal = _ZERO
    sells: Decimal = _ZERO
    market_buys: Decimal = _ZERO  # of the buys, those that will be filled at any price
    market_sells: Decimal = _ZERO

    def on(self, side: Side) -> Decimal:
        return self.buys if side is Side.BUY else self.sells

    def at_market(self, side: Side) -> Decimal:
        return self.market_buys if side is Side.BUY else self.market_sells


_NOTHING = Working()


class Reservations:
    """Mutable. What is held for an order is what is outstanding of it, neither more nor less."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Side, Decimal, bool]] = {}
        self._working: dict[str, Working] = {}

    def hold(self, order: Order) -> None:
        """Makes the reservation match the order as it stands now; none when nothing can come."""
        self.release(order.client_order_id)
        outstanding = order.outstanding
        if outstanding:
            at_market = order.order_type is OrderType.MARKET
            self._held[order.client_order_id] = (order.symbol, order.side, outstanding, at_market)
            self._add(order.symbol, order.side, outstanding, at_market)

    def release(self, client_order_id: str) -> None:
        held = self._held.pop(client_order_id, None)
        if held is not None:
            symbol, side, quantity, at_market = held
            self._add(symbol, side, -quantity, at_market)

    def working(self, symbol: str) -> Working:
        return self._working.get(symbol, _NOTHING)

    def reached(self, symbol: str, side: Side, held: Decimal) -> tuple[Decimal, Decimal]:
        """As that side sees it: the position once all that works on it is filled, and what is to
        be filled at any price on the other."""
        working = self._working.get(symbol, _NOTHING)
        if side is Side.BUY:
            return held + working.buys, working.market_sells
        return working.sells - held, working.market_buys

    @property
    def symbols(self) -> frozenset[str]:
        """Those of which something may still be bought or sold."""
        return frozenset(each for each, held in self._working.items() if held.buys or held.sells)

    def _add(self, symbol: str, side: Side, quantity: Decimal, at_market: bool) -> None:
        held, buys, sells = self.working(symbol), _ZERO, _ZERO
        if side is Side.BUY:
            buys = quantity
        else:
            sells = quantity
        self._working[symbol] = Working(
            held.buys + buys,
            held.sells + sells,
            held.market_buys + (buys if at_market else _ZERO),
            held.market_sells + (sells if at_market else _ZERO),
        )
