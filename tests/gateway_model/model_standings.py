"""What holds for an order of a strategy in a symbol, by whoever says so: a slow reading of what
docs/gateway.md says of halts. The worst of what covers it counts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import model_breaches
import model_pools
from trading.scopes import Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel


def of(model: "DeskModel", strategy: str, symbol: str) -> set[str]:
    scopes = (Scope(Level.STRATEGY, strategy), *model_pools.covering(model, strategy, symbol))
    said = {standing for scope, standing in by_policies(model) if scope in scopes}
    said |= {standing for scope, standing in by_people(model).items() if scope in scopes}
    return said | model_breaches.standings(model, strategy)


def by_policies(model: "DeskModel") -> Iterator[tuple[Scope, str]]:
    """Also by what cannot be read: a slip elsewhere lifts no halt."""
    if model.asks_for_policies:
        for policy in model.policies().values():
            for scope, entry in model_pools.of_several(policy):
                if "standing" in entry:
                    yield scope, entry["standing"]


def by_people(model: "DeskModel") -> dict[Scope, str]:
    """Of a part of the desk; none of them active."""
    found: dict[Scope, str] = {}
    for fact in model.by_kind["people stood"]:
        found.pop(fact["scope"], None)
        if fact["standing"] != "active":
            found[fact["scope"]] = fact["standing"]
    return found


def halting(model: "DeskModel") -> set[str]:
    """Policies that halt the desk by its standing."""
    if not model.asks_for_policies:
        return set()
    specs = model.policies().items()
    return {n for n, spec in specs if spec.get("desk", {}).get("standing") == "halted"}
