"""Self-trade prevention: an order that could trade with another one of the same account.

Two orders can only trade with each other if one of them may rest in the book while the other comes:
a limit order that stays until it is cancelled. Two market orders never meet, however opposed their
strategies are. A stop order waits outside the book and comes as a market order: what it meets then
lies beyond its trigger, since nothing better would be left. A stop-limit order may be triggered
already, and nobody has told us: it counts as the limit order that it becomes.
"""

from decimal import Decimal
from typing import Protocol

from trading.risk import PRICED
from trading.signals import OrderType, Side, TimeInForce

_ANY = Decimal("Infinity")


class Wish(Protocol):
    """An order, or the signal that asks for one."""

    @property
    def side(self) -> Side: ...

    @property
    def order_type(self) -> OrderType: ...

    @property
    def price(self) -> Decimal | None: ...

    @property
    def stop_price(self) -> Decimal | None: ...

    @property
    def time_in_force(self) -> TimeInForce: ...


def may_trade(one: Wish, other: Wish) -> bool:
    """Whether the two, of one symbol, could be each other's counterparty."""
    if one.side is other.side or not (rests(one) or rests(other)):
        return False
    buy, sell = (one, other) if one.side is Side.BUY else (other, one)
    return _pays(buy) >= _takes(sell) and _is_left_for(buy, sell) and _is_left_for(sell, buy)


def rests(wish: Wish) -> bool:
    """Whether it may stay in the book; else it only meets what does."""
    return wish.order_type in PRICED and wish.time_in_force is TimeInForce.GTC


def _pays(buy: Wish) -> Decimal:
    """The most; a market order's price is what its strategy saw, and binds nothing."""
    return buy.price if buy.order_type in PRICED and buy.price is not None else _ANY


def _takes(sell: Wish) -> Decimal:
    return sell.price if sell.order_type in PRICED and sell.price is not None else -_ANY


def _is_left_for(resting: Wish, stop: Wish) -> bool:
    """Whether it would still rest when the stop order is triggered."""
    if stop.order_type is not OrderType.STOP or stop.stop_price is None or resting.price is None:
        return True
    beyond = (resting.price - stop.stop_price) * stop.side.sign
    return beyond >= 0
