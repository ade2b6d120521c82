"""Orders that somebody else sent: whether one is ours to look after, and what it is then.

An account belongs to exactly one gateway. So an order in an account of ours, for a strategy of the
desk that trades in it, is adopted on the venue's own terms; of every other one it is said why not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from risk_gateway.strategy import Strategy
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire import InvalidMessage
from stratops_wire.scalars import (
    ORDER_TYPES,
    SIDES,
    TIMES_IN_FORCE,
    decimal_from,
    optional_decimal_from,
    text_from,
)
from trading.fills import Fill, ForeignFill
from trading.ids import signal_of
from trading.orders import Order, OrderState
from trading.routes import Routes
from trading.signals import Cause

_LONGEST_ID = 150  # as a venue takes them


class NotOurs(Exception):
    """Why it is left as it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """An open order at a venue, which the journal does not have."""

    answer: pb.OrderResponse
    venue: str
    strategies: Mapping[str, Strategy]
    routes: Routes

    @property
    def strategy(self) -> Strategy | None:
        return self.strategies.get(self.answer.strategy_id)


Check = Callable[[Found, Strategy], str]


def claimed(found: Found) -> Strategy:
    """Whose it is. Raises NotOurs."""
    strategy = found.strategy
    if strategy is None:
        raise NotOurs(f"no strategy {found.answer.strategy_id!r} on this desk")
    for check in CHECKS:
        if why := check(found, strategy):
            raise NotOurs(why)
    return strategy


def _account_is_its_strategys(found: Found, strategy: Strategy) -> str:
    account, ours = found.answer.account, strategy.account.account
    if not account:
        return "the venue does not say of which account"
    return "" if account == ours else f"account {account!r}, its strategy's is {ours!r}"


def _symbol_is_traded_here(found: Found, strategy: Strategy) -> str:
    symbol = found.answer.symbol
    held_at = strategy.held_at(symbol)
    to = found.routes.destination(strategy.account.account, symbol, held_at)
    if to.venue == found.venue and not to.objection:
        return ""
    return to.objection or f"{symbol} of that account goes to venue {to.venue}"


def _instrument_is_known(found: Found, strategy: Strategy) -> str:
    known = found.answer.symbol in strategy.account.instruments
    return "" if known else f"symbol {found.answer.symbol!r} is not in the catalogue"


def _strategy_makes_orders(_: Found, strategy: Strategy) -> str:
    return f"{strategy.name} only observes" if strategy.observes else ""


CHECKS: tuple[Check, ...] = (
    _account_is_its_strategys,
    _instrument_is_known,
    _symbol_is_traded_here,
    _strategy_makes_orders,
)


def adopted(found: Found, strategy: Strategy, booked: list[Fill], at_ns: int) -> Order:
    """The order on the venue's terms, with the fills that were booked before it was known.

    Raises NotOurs.
    """
    try:
        order = _on_its_terms(found, strategy, at_ns)
        for fill in booked:
            order = order.after_fill(fill)
    except (InvalidMessage, ForeignFill) as error:
        raise NotOurs(str(error)) from error
    if not order.is_open:
        raise NotOurs("it has ended meanwhile")
    return order


def _on_its_terms(found: Found, strategy: Strategy, at_ns: int) -> Order:
    """Raises InvalidMessage."""
    answer = found.answer
    client_order_id = text_from("client_order_id", answer.client_order_id)
    if len(client_order_id) > _LONGEST_ID:
        raise InvalidMessage("client_order_id", client_order_id, f"at most {_LONGEST_ID}")
    quantity = decimal_from("quantity", answer.quantity)
    if quantity <= 0:
        raise InvalidMessage("quantity", answer.quantity, "more than 0")
    order = Order(
        client_order_id=client_order_id,
        signal_id=signal_of(client_order_id),
        strategy=strategy.name,
        revision="",
        epoch=0,
        symbol=answer.symbol,
        side=SIDES.member("side", answer.side),
        order_type=ORDER_TYPES.member("order_type", answer.order_type),
        quantity=quantity,
        cause=Cause(answer.symbol, "", 0, at_ns),
        at_ns=at_ns,
        price=optional_decimal_from("price", answer.price),
        stop_price=optional_decimal_from("stop_price", answer.stop_price),
        time_in_force=TIMES_IN_FORCE.member("time_in_force", answer.time_in_force),
        post_only=answer.post_only,
        modification=answer.modification,
        venue=found.venue,
        adopted=True,
    )
    filled = decimal_from("filled_quantity", answer.filled_quantity or "0")
    if filled < 0:
        raise InvalidMessage("filled_quantity", answer.filled_quantity, "0 or more")
    return order.after_answer(OrderState.ACCEPTED, filled, answer.order_id)
