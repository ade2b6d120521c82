"""Who is bound together, and by what: a slow reading of what docs/gateway.md says of symbols,
accounts and the desk. Nothing is added up before it is asked for.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import model_days
from trading.scopes import DESK, Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

Policies = Mapping[str, Mapping[str, Any]]
Limits = dict[str, Decimal]
EVERYBODYS = (Level.SYMBOL, Level.DESK)


def members(model: "DeskModel", scope: Scope) -> list[str]:
    return [each for each in model.strategies() if is_in(model, each, scope)]


def is_in(model: "DeskModel", name: str, scope: Scope) -> bool:
    if scope.level is Level.ACCOUNT:
        return scope.name == model.account(name)
    return scope.level in EVERYBODYS or scope.name == name


def covering(model: "DeskModel", name: str, symbol: str) -> tuple[Scope, Scope, Scope]:
    """Beside the strategy itself, from the narrowest."""
    return Scope(Level.SYMBOL, symbol), Scope(Level.ACCOUNT, model.account(name)), DESK


# ---- what policies say


def of_several(policy: Mapping[str, Any]) -> Iterator[tuple[Scope, Mapping[str, Any]]]:
    """The entries of one."""
    if "desk" in policy:
        yield DESK, policy["desk"]
    for field, level in (("accounts", Level.ACCOUNT), ("symbols", Level.SYMBOL)):
        for name, entry in policy.get(field, {}).items():
            yield Scope(level, name), entry


def entries(model: "DeskModel") -> dict[Scope, list[Mapping[str, Any]]]:
    """Of those whose limits can be read."""
    found: dict[Scope, list[Mapping[str, Any]]] = {}
    for policy in model.acted_upon(model.policies()).values():
        for scope, entry in of_several(policy):
            found.setdefault(scope, []).append(entry)
    return found


def bounds(model: "DeskModel", policies: Policies) -> dict[Scope, Limits]:
    """Whom these bind, and the tightest that they write; what cannot be read binds by nothing."""
    found: dict[Scope, Limits] = {scope: {} for scope in unreadable(model, policies)}
    for policy in model.acted_upon(policies).values():
        for scope, entry in of_several(policy):
            for name, value in entry.get("limits", {}).items():
                mine, said = found.setdefault(scope, {}), Decimal(str(value))
                tightest = max if name.startswith("min_") else min
                mine[name] = tightest(said, mine.get(name, said))
    return found


def unreadable(model: "DeskModel", policies: Policies) -> set[Scope]:
    """Whom they may bind, nobody knows how far."""
    if not model.asks_for_policies:
        return set()
    wrong = [each for name, each in policies.items() if name not in model.in_force(policies)]
    return {scope for policy in wrong for scope, _ in of_several(policy)}


def may_trade_with_itself(model: "DeskModel", account: str) -> bool:
    """Some policy says so of the account or the desk, and none says otherwise."""
    said = [
        entry["self_trade"]
        for policy in model.readable_policies()
        for scope, entry in of_several(policy)
        if scope in (DESK, Scope(Level.ACCOUNT, account)) and "self_trade" in entry
    ]
    return set(said) == {"allow"}


def limits(model: "DeskModel", scope: Scope) -> Limits:
    return bounds(model, model.policies()).get(scope, {})


class Reading:
    """What policies said at one moment."""

    def __init__(self, model: "DeskModel", policies: Policies) -> None:
        self._model, self.policies = model, policies

    @cached_property
    def bounds(self) -> dict[Scope, Limits]:
        return bounds(self._model, self.policies)

    @cached_property
    def unreadable(self) -> set[Scope]:
        return unreadable(self._model, self.policies)

    @cached_property
    def calendar(self) -> model_days.Calendar:
        return calendar(self._model, self.policies)

    @cached_property
    def in_force(self) -> dict[str, dict[str, Any]]:
        return self._model.in_force(self.policies)


class Told(NamedTuple):
    """A fact, and what becomes of policies by it, one at a time: as they are read, then without
    those that are gone."""

    fact: "Fact"
    changed: list[Reading]
    after: Reading


def history(model: "DeskModel") -> list[Told]:
    """It only grows, but for a restart."""
    found = model.history
    reading = found[-1].after if found else Reading(model, {})
    for fact in model.facts[len(found) :]:
        changed = [Reading(model, each) for each in _changes(fact, reading.policies)]
        reading = changed[-1] if changed else reading
        found.append(Told(fact, changed, reading))
    return found


def _changes(fact: "Fact", policies: Policies) -> Iterator[Policies]:
    if fact["is"] == "policy":
        yield _with(policies, fact["name"], fact["spec"])
    elif fact["is"] == "policies_listed":
        for name, spec in fact["specs"].items():
            policies = _with(policies, name, spec)
            yield policies
        for name in set(policies) - set(fact["specs"]):
            policies = _with(policies, name, None)
            yield policies


def _with(policies: Policies, name: str, spec: Mapping[str, Any] | None) -> Policies:
    others = {each: other for each, other in policies.items() if each != name}
    return others if spec is None else {**others, name: spec}


# ---- one day of the desk


def calendar(model: "DeskModel", policies: Policies) -> model_days.Calendar:
    said = _days(model, policies)
    return said.pop() if len(said) == 1 else model_days.UTC_DAYS


def days_differ(model: "DeskModel") -> bool:
    """Then nobody opens anything."""
    return len(_days(model, model.policies())) > 1


def _days(model: "DeskModel", policies: Policies) -> set[model_days.Calendar]:
    """Of policies that bind several strategies."""
    return {
        model_days.calendar_of(policy)
        for name, policy in policies.items()
        if "day" in policy and bounds(model, {name: policy})
    }
