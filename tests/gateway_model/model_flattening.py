"""What a slow reading of docs/gateway.md says of a strategy that was withdrawn: what is at work is
cancelled, and to own nothing each position closed, until it is deployed again.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from model_lowering import PATIENCE_S, Lowering, closing, is_due
from trading.ids import signal_id

if TYPE_CHECKING:
    from desk_model import DeskModel


def withdraw(model: "DeskModel", strategy: str, *, flatten: bool) -> None:
    """Who is being closed already goes on; who only ends is closed from now on."""
    number = under_way(model, strategy)
    if flatten and not number:
        before = [each["number"] for each in model.of("withdrawn", strategy)]
        model.note("withdrawn", strategy=strategy, number=max([0, *before]) + 1)
    elif number is None:
        model.note("withdrawn", strategy=strategy, number=0)
    model.note("wanted", strategy=strategy, revision="")
    model.renew_terms(strategy)  # by whoever is armed alone, until nobody is


def under_way(model: "DeskModel", strategy: str) -> int | None:
    """Which of its flattenings, from 1; 0: it keeps what it holds; None: it is wanted."""
    found = None
    for fact in model.of("of deployments", strategy):
        found = fact["number"] if fact["is"] == "withdrawn" else None
    return found


def tick(model: "DeskModel", now: float) -> None:
    """The next thing that can be done for each."""
    for name in model.strategies():
        number = under_way(model, name)
        if number is None or any(each.strategy == name for each in model.submissions):
            continue
        if model.of("armed", name) and model.of("armed", name)[-1]["revision"]:
            continue
        mine = model.flattening.setdefault((name, number), Lowering())
        if model.orders_at_work(name):
            _cancel(model, name, mine, now)
        elif number:
            for symbol in sorted(model.symbols(name)):
                if held := model.position(name, symbol):
                    _close(model, name, number, mine, symbol, held, now)


def _cancel(model: "DeskModel", name: str, mine: Lowering, now: float) -> None:
    """All of it; of the gateway's own what has no end for long."""
    at_work = model.orders_at_work(name)
    for gone in mine.seen_at.keys() - at_work.keys():
        del mine.seen_at[gone]
    for key, order in at_work.items():
        since = mine.seen_at.setdefault(key, now)
        asked = not order["own"] or now - since >= PATIENCE_S
        if asked and model.is_open(order) and key not in model.cancels_unanswered():
            model.note("cancel_wanted", id=key)


def _close(
    model: "DeskModel",
    name: str,
    number: int,
    mine: Lowering,
    symbol: str,
    held: Decimal,
    now: float,
) -> None:
    if not is_due(model, name, symbol, held, mine, now):
        return
    made = [e for e in model.of("flattens", name) if (e["number"], e["symbol"]) == (number, symbol)]
    signal = closing(model, symbol, held, signal_id(name, "flatten", symbol, number, len(made)))
    key = f"own|{signal.id}"
    model.note("flattens", strategy=name, symbol=symbol, number=number, by=key)
    model.take(name, key, [signal], own=True)
