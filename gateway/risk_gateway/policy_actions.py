"""What risk policies have done about breaches, and when their day begins. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from trading.breaches import Actions, parse_actions, sterner
from trading.days import UTC_DAYS, Days, InvalidDay, checked
from trading.limits import InvalidLimits, Limits, written
from trading.scopes import DESK, Level, Scope
from trading.standings import Source, Stand, Standing


@dataclass(frozen=True, slots=True)
class PolicyActions:
    """Of one policy."""

    own: Actions = field(default_factory=dict)  # of each strategy that names it
    pooled: Mapping[Scope, Actions] = field(default_factory=dict)
    days: Days | None = None


NO_ACTIONS = PolicyActions()


def read_actions(
    spec: Mapping[str, Any],
    entries: Mapping[Scope, Mapping[str, Any]],
    bounds: Mapping[Scope, Limits],
) -> PolicyActions:
    """Raises InvalidLimits."""
    pooled = {
        scope: _pooled(scope, entry["actions"], bounds[scope])
        for scope, entry in entries.items()
        if entry.get("actions") is not None
    }
    own = parse_actions("the strategies", spec.get("actions"))
    return PolicyActions(own, pooled, read_days(spec.get("day")))


def _pooled(scope: Scope, document: object, limits: Limits) -> Actions:
    if scope.level is Level.SYMBOL:
        raise InvalidLimits(f"actions of the {scope}: expected of strategies, accounts or the desk")
    actions = parse_actions(f"the {scope}", document)
    for name in sorted(actions.keys() - written(limits)):
        raise InvalidLimits(f"action {name} of the {scope}: expected a limit {name} beside it")
    return actions


def read_days(document: object) -> Days | None:
    """Raises InvalidLimits."""
    if document is None:
        return None
    if not isinstance(document, Mapping) or set(document) - {"timeZone", "hour"}:
        raise InvalidLimits(f"day: {document!r}, expected timeZone and hour")
    stated = {name: value for name, value in document.items() if value is not None}
    try:
        return checked(stated.get("timeZone", "UTC"), stated.get("hour", 0))
    except InvalidDay as error:
        raise InvalidLimits(f"day: {error}") from error


# ---- of several


def sternest(several: Iterable[Actions]) -> Actions:
    nothing: Actions = {}
    return reduce(sterner, several, nothing)


def pooled_actions(policies: Iterable[PolicyActions]) -> Mapping[Scope, Actions]:
    found: dict[Scope, Actions] = {}
    for policy in policies:
        for scope, actions in policy.pooled.items():
            found[scope] = sterner(found.get(scope, {}), actions)
    return found


def pooled_days(bounding: Mapping[str, PolicyActions]) -> Days:
    """Of accounts, symbols and the desk; UTC's where nobody says, or several say otherwise."""
    said = {each.days for each in bounding.values() if each.days is not None}
    return said.pop() if len(said) == 1 else UTC_DAYS


def disagreement(bounding: Mapping[str, PolicyActions]) -> Mapping[Source, Stand]:
    """Nobody opens anything while a day of the desk begins twice."""
    said = {name: each.days for name, each in bounding.items() if each.days is not None}
    if len(set(said.values())) < 2:
        return {}
    each = ", ".join(f"{name} at {days}" for name, days in sorted(said.items()))
    why = f"the day begins by policy {each}: expected one day of the desk"
    return {(DESK, "policies"): Stand(Standing.REDUCING, why)}
