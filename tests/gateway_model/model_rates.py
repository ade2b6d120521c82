"""Rates as docs/gateway.md has them: no more orders in any second or minute than the limit says.
What was ordered is gone through once more each time it is asked.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import model_pools
from trading.scopes import Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

SECOND_NS = 10**9
ENDLESS = Decimal(2**62)


def left(most: Decimal, limit: str, times: list[int], now_ns: int) -> Decimal:
    """A period is twenty slots. One counts from its slot to the twentieth after it, and five
    periods before: then the clock was set back."""
    slot_ns = (SECOND_NS if limit.endswith("second") else 60 * SECOND_NS) // 20
    ages = (now_ns // slot_ns - at_ns // slot_ns for at_ns in times)
    return max(Decimal(0), most - sum(-100 <= age <= 20 for age in ages))


def of_strategy(model: "DeskModel", strategy: str, limit: str, now_ns: int) -> Decimal:
    """Closing orders take nothing."""
    most, times = Decimal(0), list[int]()
    for fact in model.facts:
        if fact.get("strategy") != strategy:
            continue
        if fact["is"] == "terms":
            most = fact["terms"]["limits"][limit]
        elif fact["is"] == "begins_anew":
            times.clear()
        elif fact["is"] in ("ordered", "asked") and not fact["closing"]:
            times.append(fact["at_ns"])
    return left(most, limit, times, now_ns)


def of_scope(model: "DeskModel", scope: Scope, limit: str, now_ns: int) -> Decimal:
    """Since it is bound at all; another run of a replay begins with whoever names it first."""
    most: Decimal | None = None
    times: list[int] = []
    runs: set[str] = set()
    for fact, changed, _ in model_pools.history(model):
        for reading in changed:
            written = reading.bounds.get(scope)
            if written is None:
                times.clear()
            most = None if written is None else written.get(limit, ENDLESS)
        if fact["is"] == "begins_anew" and fact["session"] not in runs:
            runs.add(fact["session"])
            times.clear()
        if most is not None and _takes(model, scope, fact):
            times.append(fact["at_ns"])
    return ENDLESS if most is None else left(most, limit, times, now_ns)


def _takes(model: "DeskModel", scope: Scope, fact: "Fact") -> bool:
    opens = fact["is"] in ("ordered", "asked") and not fact["closing"]
    if not opens or (scope.level is Level.SYMBOL and fact["symbol"] != scope.name):
        return False
    return model_pools.is_in(model, fact["strategy"], scope)
