"""What a slow reading of docs/gateway.md says of orders that somebody else sent: which of them a
start takes over, and what they are then.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import model_venues
from trading.signals import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

ZERO = Decimal(0)


class Foreign(NamedTuple):
    """As it stands at its venue."""

    id: str
    strategy: str
    account: str
    symbol: str
    venue: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    filled: Decimal
    post_only: bool


def is_ours(model: "DeskModel", found: Foreign) -> bool:
    """In its strategy's account, of a strategy that makes orders, in a symbol that goes there."""
    if found.strategy not in model.strategies() or found.id in model.orders():
        return False
    if not found.account or found.account != model.account(found.strategy):
        return False
    if found.symbol not in model.instruments:
        return False
    if model.terms(found.strategy)["mode"] == "observation":
        return False
    return model_venues.goes_to(model, found.strategy, found.symbol) == (found.venue, False)


def adopt(model: "DeskModel", found: Foreign) -> bool:
    """With the fills that were booked before: whether it is taken over."""
    booked = [each for each in model.by_kind["fill"] if each["id"] == found.id]
    contradicts = any(_is_of_another(each, found) for each in booked)
    traded, busted = _quantity(booked, busts=False), _quantity(booked, busts=True)
    if not is_ours(model, found) or contradicts or traded >= found.quantity:
        return False
    model.note(
        "adopted",
        **found._asdict() | {"filled": traded - busted},
        busted=busted,
        type=found.order_type.value,
        announced=found.filled,
        notional=_worth(booked, busts=False) - _worth(booked, busts=True),
        fee=sum((each["fee"] for each in booked), ZERO),
        stays=found.time_in_force is TimeInForce.GTC,
        state="partially_filled" if booked else "accepted",
        own=False,
        closing=False,
    )
    return True


def _is_of_another(fill: "Fact", found: Foreign) -> bool:
    side = found.side.other if fill["busts"] else found.side
    return bool((fill["symbol"], fill["side"]) != (found.symbol, side))


def _quantity(fills: list["Fact"], *, busts: bool) -> Decimal:
    return sum((each["quantity"] for each in fills if bool(each["busts"]) is busts), ZERO)


def _worth(fills: list["Fact"], *, busts: bool) -> Decimal:
    mine = (each for each in fills if bool(each["busts"]) is busts)
    return sum((each["quantity"] * each["price"] for each in mine), ZERO)


def ids_taken(model: "DeskModel") -> set[str]:
    """Of signals whose orders would have the id of one that was adopted."""
    return {each["id"].removesuffix("-0") for each in model.by_kind["adopted"]}


def _adopted(orders: dict[str, "Fact"], fact: "Fact") -> None:
    usual: dict[str, Any] = {"reason": "", "over": False, "asked": None, "modification": 0}
    orders[fact["id"]] = {**fact, **usual}


STEPS = {"adopted": _adopted}
