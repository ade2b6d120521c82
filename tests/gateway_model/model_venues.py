"""What a slow reading of docs/gateway.md says of several venues: which one takes an order, that a
position is closed where it is, and when a venue may be told that an order only reduces.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from trading.signals import Side

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact
    from model_verdict import Asked

ZERO = Decimal(0)


class Route(NamedTuple):
    """What a venue takes; None: every one."""

    venue: str
    accounts: frozenset[str] | None = None
    symbols: frozenset[str] | None = None


EVERYTHING: tuple[Route, ...] = (Route("main"),)


def goes_to(model: "DeskModel", strategy: str, symbol: str) -> tuple[str, bool]:
    """The venue, empty for none, and whether only what closes may go there."""
    account = model.account(strategy)
    routed = ""
    for route in model.routes:
        of_account = route.accounts is None or account in route.accounts
        if of_account and (route.symbols is None or symbol in route.symbols):
            routed = route.venue
    held = held_at(model, strategy, symbol)
    if held and held not in {each.venue for each in model.routes}:
        return "", True
    return (held, held != routed) if held else (routed, not routed)


def takes(model: "DeskModel", strategy: str, symbol: str, *, closes: bool) -> bool:
    venue, only_closing = goes_to(model, strategy, symbol)
    return bool(venue) and (closes or not only_closing)


def refusal(asked: "Asked") -> str | None:
    """After all else. What is only observed goes nowhere."""
    there = takes(asked.model, asked.strategy, asked.signal.symbol, closes=asked.closing)
    return None if there or asked.observed else "no_venue"


def answers(model: "DeskModel", strategy: str, symbol: str) -> bool:
    """The venue that an order would go to; what goes nowhere waits for nobody."""
    return goes_to(model, strategy, symbol)[0] not in model.away


def may_close(model: "DeskModel", strategy: str, symbol: str) -> bool:
    """Whether an order of the gateway's own could be filled."""
    venue, _ = goes_to(model, strategy, symbol)
    return bool(venue) and venue not in model.away


def held_at(model: "DeskModel", strategy: str, symbol: str) -> str:
    """Where its last order in it went, while anything is left of it. A position that was begun by
    fills of no order is nobody knows where."""
    placed, held = "", ZERO
    for number, fact in _of_symbol(model, strategy, symbol):
        if fact["is"] != "fill":
            placed = fact["venue"]
            continue
        was, held = held, held + _signed(fact)
        before = model.facts[: number + 1]
        if not was and _is_foreign(before, fact) and not _at_work(model, before, strategy, symbol):
            placed = ""
    return placed if held or _at_work(model, None, strategy, symbol) else ""


def only_reduces(model: "DeskModel", order: "Fact") -> bool:
    """So that its venue can be told: all of the position, since it was flat, came of orders."""
    if not order["closing"]:
        return False
    held, elsewhere = ZERO, False
    for number, fact in _of_symbol(model, order["strategy"], order["symbol"]):
        if fact["is"] == "fill":
            held += _signed(fact)
            elsewhere = bool(held) and (elsewhere or _is_foreign(model.facts[:number], fact))
    return not elsewhere


def _of_symbol(model: "DeskModel", strategy: str, symbol: str) -> Iterator[tuple[int, "Fact"]]:
    for number, fact in enumerate(model.facts):
        moves = fact["is"] in ("ordered", "adopted", "fill")
        if moves and (fact["strategy"], fact["symbol"]) == (strategy, symbol):
            yield number, fact


def _is_foreign(before: list["Fact"], fill: "Fact") -> bool:
    orders = (each["id"] for each in before if each["is"] in ("ordered", "adopted"))
    return fill["id"] not in set(orders)


def _at_work(model: "DeskModel", facts: list["Fact"] | None, strategy: str, symbol: str) -> bool:
    orders = model.orders(strategy, facts).values()
    return any(each["symbol"] == symbol and model.is_at_work(each) for each in orders)


def _signed(fill: "Fact") -> Decimal:
    quantity: Decimal = fill["quantity"]
    return quantity if fill["side"] is Side.BUY else -quantity
