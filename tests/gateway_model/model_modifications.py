"""What a slow reading of docs/gateway.md says of modifications: other terms for an order at work,
judged as an order in its place, both counted until the venue has decided, and what comes of it.
"""

from copy import copy
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import model_breaches  # noqa: F401  # before model_verdict: they import each other
import model_bypass
import model_venues
from model_verdict import ALWAYS, CLOSING, TOGETHER, Asked, malformed, opening
from model_votes import vote
from trading.signals import Action, Signal

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact, Submission

ZERO = Decimal(0)
ENDS = ("rejected", "cancelled", "expired", "filled")


class Terms(NamedTuple):
    number: int
    quantity: Decimal
    price: Decimal


def is_modify(signal: Signal) -> bool:
    return signal.action is Action.MODIFY


# ---- the verdict


def judge(model: "DeskModel", submission: "Submission", signal: Signal) -> str | None:
    """The reason against it; without one it is under way from now on."""
    strategy, key = submission.strategy, submission.key
    observes = model.terms(strategy)["mode"] == "observation"
    answers = model_venues.answers(model, strategy, signal.symbol)
    if not (answers or model.halted_for(strategy, signal.symbol) or observes):
        return "venue_unavailable"
    order = model.orders(strategy).get(f"{signal.modifies}-0")
    if order is None or not model.is_open(order):
        return "unknown_order"
    if signal.symbol != order["symbol"] or order["type"] != "limit" or order["asked"]:
        return "invalid_signal"
    asked = _in_its_place(model, submission, signal, order, observes=observes)
    if asked.equity is not None:
        model.note("valued", strategy=strategy, at_ns=asked.now_ns, equity=asked.equity, by=key)
    reason = _objection(asked, order, key) or _misrouted(model, asked, order)
    if reason is not None or not asked.eases:
        model_bypass.note(asked, reason)
    if reason is None:
        _ask(model, submission, asked, order)
    return reason


def _objection(asked: Asked, order: "Fact", key: str) -> str | None:
    """What asks for more is judged, and votes, as an order; all else as what only closes."""
    opens = _opens(asked)
    if opens and not malformed(asked):
        vote(asked, key)
    checks = (*ALWAYS, *((*opening(asked), *TOGETHER) if opens else CLOSING))
    return next(filter(None, (check(asked) for check in checks)), None)


def _misrouted(model: "DeskModel", asked: Asked, order: "Fact") -> str | None:
    """Its order is there, wherever its route goes now: what is less of it, and closes, may go."""
    same = asked.signal.price == order["price"]
    if same and order["filled"] + asked.quantity <= order["quantity"]:
        return None
    closes = order["closing"] and not _opens(asked)
    there = model_venues.takes(model, asked.strategy, order["symbol"], closes=closes)
    return None if there else "no_venue"


def _opens(asked: Asked) -> bool:
    """A smaller quantity at the same price does not, nor what only closes."""
    return not (asked.eases or asked.closing)


def _in_its_place(
    model: "DeskModel", submission: "Submission", signal: Signal, order: "Fact", *, observes: bool
) -> Asked:
    """What would be left, as if it were asked for now and the order were not there. Who only
    observes has an order from when it traded, and may make nothing larger."""
    now_ns, price_of, _ = model.moment(signal.cause)
    without = copy(model)
    without.aside = order["id"]
    whole = signal.quantity or order["quantity"]
    wanted = replace(
        signal,
        action=Action.ORDER,
        side=order["side"],
        order_type=order["order_type"],
        quantity=whole - order["filled"] if whole.is_finite() else ZERO,
        price=order["price"] if signal.price is None else signal.price,
        time_in_force=order["time_in_force"],
        post_only=order["post_only"],
    )
    strategy, by = submission.strategy, submission.key
    asked = Asked(without, strategy, wanted, now_ns, price_of, own=False, by=by)
    left = max(ZERO, order["quantity"] - order["filled"])
    asked.eases = wanted.price == order["price"] and asked.quantity <= left
    if observes:
        asked.terms = {**asked.terms, "mode": "simulation", "closing_only": True}
    return asked


def _ask(model: "DeskModel", submission: "Submission", asked: Asked, order: "Fact") -> None:
    model.note(
        "asked",
        strategy=submission.strategy,
        id=order["id"],
        symbol=order["symbol"],
        signal=asked.signal.id,
        terms=Terms(
            order["modification"] + 1,
            order["filled"] + asked.quantity,
            asked.signal.price or ZERO,
        ),
        closing=order["closing"] and not _opens(asked),
        at_ns=asked.now_ns,
        by=submission.key,
    )


def leaves(model: "DeskModel", strategy: str, signal: str) -> None:
    """For the venue, once its batch is on disk."""
    (asked,) = (each for each in model.of("asked", strategy) if each["signal"] == signal)
    model.note("leaves", strategy=strategy, id=asked["id"], cancel=False, terms=asked["terms"])


# ---- what becomes of it


def under_way(model: "DeskModel", order_id: str) -> "Fact | None":
    order = model.orders().get(order_id)
    return order["asked"] if order else None


def may_leave(model: "DeskModel", order_id: str, terms: Terms) -> bool:
    asked = under_way(model, order_id)
    if asked is None or asked["terms"] != terms:
        return False
    if model.halted_for(asked["strategy"], asked["symbol"]):
        refuse(model, order_id, "halted")
        return False
    return True


def refuse(model: "DeskModel", order_id: str, reason: str) -> None:
    """The terms are as they were."""
    order = model.orders()[order_id]
    terms = Terms(order["asked"]["terms"].number, order["quantity"], order["price"])
    decide(model, order_id, terms, reason)


def decide(model: "DeskModel", order_id: str, terms: Terms, reason: str | None) -> None:
    asked = under_way(model, order_id)
    assert asked is not None
    model.note("modified", strategy=asked["strategy"], id=order_id, terms=terms)
    after = model.orders()[order_id]
    left = max(ZERO, after["quantity"] - after["filled"])
    what = ("rejected", reason) if reason else ("modified", numbers(left, after["price"]))
    model.tell(asked["strategy"], asked["signal"], *what)


def said(model: "DeskModel", order_id: str, state: str, terms: Terms, reason: str | None) -> None:
    """The venue, of an order: its terms, after the last modification that it decided. One that it
    has ended has decided everything."""
    order = model.orders().get(order_id)
    asked = order["asked"] if order else None
    if order is None or asked is None:
        return
    if terms.number >= asked["terms"].number:
        taken = terms[1:] == asked["terms"][1:]
        decide(model, order_id, terms, None if taken else reason or "venue_rejected")
    elif state in ENDS:
        refuse(model, order_id, "unknown_order")


def ended(model: "DeskModel", order_id: str) -> None:
    """Its order has: nothing comes of it."""
    order = model.orders().get(order_id)
    if order is not None and order["asked"] and not model.is_open(order):
        refuse(model, order_id, "unknown_order")


def unanswered(model: "DeskModel") -> set[str]:
    """Orders of which the venue is asked what it decided: nobody has said."""
    found: set[str] = set()
    asked: dict[str, Terms] = {}
    for fact in model.facts:
        if fact["is"] == "asked":
            asked[fact["id"]] = fact["terms"]
        elif fact["is"] == "modified":
            asked.pop(fact["id"], None)
            found.discard(fact["id"])
        elif fact["is"] == "asked_lost" and asked.get(fact["id"]) == fact["terms"]:
            found.add(fact["id"])
        elif fact["is"] == "restarted":
            found = set(asked)
    there = ("accepted", "partially_filled")
    orders = model.orders()
    return {each for each in found if orders[each]["state"] in there}


def signals(model: "DeskModel", order_id: str) -> set[str]:
    return {each["signal"] for each in model.by_kind["asked"] if each["id"] == order_id}


# ---- how they move an order


def larger(order: "Fact") -> Decimal:
    """What may be filled of it, whichever terms it is on."""
    asked: Decimal = order["asked"]["terms"].quantity if order["asked"] else ZERO
    quantity: Decimal = order["quantity"]
    return max(quantity, asked)


def _asked(orders: dict[str, "Fact"], fact: "Fact") -> None:
    """Its end may be on disk before it is."""
    order = orders[fact["id"]]
    order["closing"] = fact["closing"]
    order["asked"] = fact


def _modified(orders: dict[str, "Fact"], fact: "Fact") -> None:
    order, terms = orders[fact["id"]], fact["terms"]
    order["quantity"], order["price"] = terms.quantity, terms.price
    order["modification"], order["asked"] = terms.number, None
    if order["filled"] + order["busted"] >= order["quantity"] > 0 and order["state"] not in ENDS:
        order["state"] = "filled"


STEPS = {"asked": _asked, "modified": _modified}


def terms_of(order: "Fact") -> Any:
    asked = order["asked"]["terms"] if order["asked"] else None
    whole = order["quantity"], order["closing"], order["modification"], asked, order["venue"]
    return (*whole, order["post_only"])


def left(fact: "Fact") -> str:
    """What of an order leaves for the venue."""
    if "terms" in fact:
        return text(fact["terms"])
    if fact["cancel"]:
        return "cancel"
    return order_text(reduces=fact.get("reduces", False), rests=fact.get("rests", False))


def order_text(*, reduces: bool, rests: bool) -> str:
    return "order" + ", reduce only" * reduces + ", post only" * rests


def text(terms: Terms) -> str:
    return f"modify {terms.number}: {numbers(terms.quantity, terms.price)}"


def numbers(*each_of: Decimal) -> str:
    return " ".join(format(each.normalize(), "f") for each in each_of)
