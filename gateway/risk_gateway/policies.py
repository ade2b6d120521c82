"""Risk policies: what bounds every strategy that names one, and who halts the desk by one.

Pure. The policies are the namespace's RiskPolicy objects, as they were last seen; where none are
asked for (`stratops up`), nothing here bounds anybody.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from risk_gateway.content import Content, Mode, tighter
from risk_gateway.policy_actions import (
    NO_ACTIONS,
    PolicyActions,
    disagreement,
    pooled_actions,
    pooled_days,
    read_actions,
    read_days,
    sternest,
)
from risk_gateway.route_modes import mode_objection
from risk_gateway.sizing_rules import parse_sizing
from risk_gateway.voting import parse_aggregation
from trading.aggregation import Aggregation
from trading.breaches import Actions
from trading.days import UTC_DAYS, Days
from trading.limits import UNBOUNDED, InvalidLimits, Limits, parse_bounds
from trading.limits import tighter as tighter_limits
from trading.limits import written as written_limits
from trading.routes import Routes
from trading.rules import BYPASSABLE, TOGETHER
from trading.sampling import Sampling, parse_sampling
from trading.scopes import DESK, Level, Scope
from trading.sizing import Sizing
from trading.standings import ACTIVE, Source, Stand, Standing

NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Policy:
    limits: Limits
    allow_live: bool = False
    halted: bool = False
    unreadable: str = ""  # why nobody may open anything by it
    bounds: Mapping[Scope, Limits] = field(default_factory=dict)
    stands: Mapping[Scope, Stand] = field(default_factory=dict)
    self_trade: Mapping[Scope, bool] = field(default_factory=dict)  # whether it may be
    bypass: frozenset[str] = frozenset()
    sampling: Sampling | None = None
    aggregation: Aggregation | None = None
    sizing: Sizing | None = None
    actions: PolicyActions = NO_ACTIONS


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One policy is now so. No name: they were read, and these are all there are."""

    name: str = ""
    spec: dict[str, Any] | None = None  # None: there is none of that name


@dataclass(slots=True)
class Policies:
    """The fold of its changes."""

    asked_for: bool = False
    may_be_missing: bool = False  # who names one that is not there is bound by none
    routes: Routes = field(default_factory=Routes)  # of which venues modes speak
    known: bool = False  # were read once
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _policies: dict[str, Policy] = field(default_factory=dict)

    def differences(self, listed: Mapping[str, Mapping[str, Any]]) -> Sequence[PolicyChange]:
        """What it takes to get from here to `listed`."""
        gone = [PolicyChange(name) for name in self.specs if name not in listed]
        new = [
            PolicyChange(name, dict(spec))
            for name, spec in listed.items()
            if self.specs.get(name) != spec
        ]
        return [*new, *gone, *([] if self.known else [PolicyChange()])]

    def take(self, change: PolicyChange) -> None:
        if not change.name:
            self.known = True
        elif change.spec is None:
            self.specs.pop(change.name, None)
            self._policies.pop(change.name, None)
        else:
            self.specs[change.name] = change.spec
            self._policies[change.name] = parse_policy(change.spec)

    @property
    def stands(self) -> Mapping[Source, Stand]:
        """What they say that a symbol, an account or the desk may do."""
        found = {
            (scope, f"policy/{name}"): stand
            for name, policy in self._in_force.items()
            for scope, stand in policy.stands.items()
        }
        return {**found, **disagreement(self._bounding)}

    @property
    def bounds(self) -> Mapping[Scope, Limits]:
        """What a symbol, an account or the desk may come to by all of them: the tightest."""
        found: dict[Scope, Limits] = {}
        for policy in self._in_force.values():
            for scope, limits in policy.bounds.items():
                found[scope] = tighter_limits(found.get(scope, UNBOUNDED), limits)
        return found

    @property
    def unread(self) -> Collection[Scope]:
        """Whom policies that cannot be read may bound."""
        wrong = (each for each in self._in_force.values() if each.unreadable)
        return {scope for policy in wrong for scope in policy.bounds}

    @property
    def sampling(self) -> Sampling | None:
        """The strictest of what they write; None: nobody does."""
        written = [each.sampling for each in self._in_force.values() if each.sampling is not None]
        return reduce(Sampling.stricter, written) if written else None

    @property
    def act(self) -> bool:
        """Whether any of them says what a breach does."""
        return any(each.actions != NO_ACTIONS for each in self._in_force.values())

    @property
    def actions(self) -> Mapping[Scope, Actions]:
        """What is done when an account or the desk exceeds a limit."""
        return pooled_actions(each.actions for each in self._in_force.values())

    def actions_of(self, contents: Iterable[Content]) -> Actions:
        """Likewise a strategy of these contents."""
        policies = (self._in_force.get(content.policy) for content in contents)
        return sternest(policy.actions.own for policy in policies if policy is not None)

    @property
    def days(self) -> Days:
        return pooled_days(self._bounding)

    def days_of(self, content: Content) -> Days:
        policy = self._in_force.get(content.policy)
        return policy.actions.days or UTC_DAYS if policy else UTC_DAYS

    @property
    def _bounding(self) -> Mapping[str, PolicyActions]:
        return {name: each.actions for name, each in self._in_force.items() if each.bounds}

    def allow_self_trade(self, account: str) -> bool:
        """Some policy says so, of the account or the desk, and none says otherwise."""
        scopes = (DESK, Scope(Level.ACCOUNT, account))
        said = {
            policy.self_trade[scope]
            for policy in self._in_force.values()
            for scope in scopes
            if scope in policy.self_trade
        }
        return said == {True}

    @property
    def _in_force(self) -> Mapping[str, Policy]:
        return self._policies if self.asked_for else {}

    def objection(self, content: Content) -> str:
        """Why a strategy of that content may only close; empty: it may trade."""
        if unsuited := mode_objection(self.routes, content):
            return unsuited
        if not self.asked_for:
            return ""
        if not self.known:
            return "risk policies were never read"
        if not content.policy:
            return "mode live needs a risk policy" if content.mode is Mode.LIVE else ""
        policy = self._policies.get(content.policy)
        if policy is None:
            return "" if self.may_be_missing else f"risk policy {content.policy} does not exist"
        if policy.unreadable:
            return f"risk policy {content.policy} cannot be read: {policy.unreadable}"
        why = _why_not_live(policy) if content.mode is Mode.LIVE else ""
        return why and f"risk policy {content.policy} {why}"

    def bypass(self, content: Content) -> frozenset[str]:
        """The checks that its strategy leaves out; never a live one."""
        policy = self._in_force.get(content.policy)
        return policy.bypass if policy and content.mode is not Mode.LIVE else frozenset()

    def aggregations(self, contents: Sequence[Content], mode: Mode) -> tuple[Aggregation, ...]:
        """Who names one policy and is in one mode votes together: a rehearsal sways nobody live."""
        found = {}
        for name in dict.fromkeys(each.policy for each in contents):
            policy = self._in_force.get(name)
            if policy and policy.aggregation:
                found[name] = replace(policy.aggregation, group=f"risk policy {name}, {mode}")
        return tuple(found.values())

    def sizings(self, contents: Sequence[Content]) -> tuple[Sizing, ...]:
        """How intentions are sized by the policies that they name."""
        named = {name: self._in_force.get(name) for name in (each.policy for each in contents)}
        return tuple(
            replace(policy.sizing, policy=name)
            for name, policy in named.items()
            if policy and policy.sizing
        )

    def capped(self, content: Content, name: str) -> Content:
        """Within the policy of that name."""
        policy = self._policies.get(name) if self.asked_for else None
        if policy is None:
            return content
        bound = Content(content.mode, replace(content.terms, limits=policy.limits))
        return tighter(content, bound)


def _why_not_live(policy: Policy) -> str:
    if not policy.allow_live:
        return "does not allow mode live"
    names = ", ".join(sorted(policy.bypass))
    return names and f"bypasses {names}, which mode live forbids"


def parse_policy(spec: Mapping[str, Any]) -> Policy:
    """What cannot be read of it is no permission; what it says of a halt counts all the same."""
    halted = spec.get("halted", False) is not False
    reason = str(spec.get("reason") or NO_REASON)[:200]
    stands = {DESK: Stand(Standing.HALTED, reason)} if halted else {}
    try:
        limits = _limits(spec.get("limits"))
        entries = _entries(spec)
        bounds = {scope: _together(scope, entry) for scope, entry in entries.items()}
        found = {scope: _stand(scope, entry) for scope, entry in entries.items()}
        self_trade = _self_trade(entries)
        bypass = _bypass(spec.get("bypass"))
        sampling = _sampling(entries)
        aggregation = parse_aggregation(spec.get("aggregation"))
        sizing = parse_sizing(spec.get("sizing"))
        actions = read_actions(spec, entries, bounds)
    except (InvalidLimits, RecursionError) as error:
        unreadable = str(error)[:200]
        stands = _readable_stands(spec) | stands
        halts = stands.get(DESK, ACTIVE).standing is Standing.HALTED
        if not halts and any(spec.get(name) for name in ("desk", "accounts", "symbols")):
            # It may bound everybody, and nobody knows how far.
            stands |= {DESK: Stand(Standing.REDUCING, f"cannot be read: {unreadable}")}
        return _nobody_opens_by(spec, halted, unreadable, stands)
    stands = {scope: each for scope, each in found.items() if each != ACTIVE} | stands
    bounds = {scope: each for scope, each in bounds.items() if each != UNBOUNDED}
    allow_live = spec.get("allowLive") is True
    return Policy(
        limits=limits,
        allow_live=allow_live,
        halted=halted,
        bounds=bounds,
        stands=stands,
        self_trade=self_trade,
        bypass=bypass,
        sampling=sampling,
        aggregation=aggregation,
        sizing=sizing,
        actions=actions,
    )


def _nobody_opens_by(
    spec: Mapping[str, Any], halted: bool, unreadable: str, stands: Mapping[Scope, Stand]
) -> Policy:
    """Its day stays its day, what is bounded goes on remembering from what it fell, and a breach is
    acted upon: else a slip of the pen would forgive a loss."""
    limits, actions = Limits(), NO_ACTIONS
    bounds: Mapping[Scope, Limits] = {}
    with suppress(InvalidLimits, RecursionError):
        bounds = dict.fromkeys(_entries(spec), UNBOUNDED)
    with suppress(InvalidLimits):
        actions = PolicyActions(days=read_days(spec.get("day")))
    with suppress(InvalidLimits, RecursionError):
        limits, bounds, actions = _acted_upon(spec)
    return Policy(limits, False, halted, unreadable, bounds, stands, actions=actions)


def _acted_upon(
    spec: Mapping[str, Any],
) -> tuple[Limits, Mapping[Scope, Limits], PolicyActions]:
    """Raises InvalidLimits, RecursionError."""
    entries = _entries(spec)
    bounds = {scope: _together(scope, entry) for scope, entry in entries.items()}
    return _limits(spec.get("limits")), bounds, read_actions(spec, entries, bounds)


def _entries(spec: Mapping[str, Any]) -> Mapping[Scope, Mapping[str, Any]]:
    """What it says of several strategies together. Raises InvalidLimits."""
    found = {DESK: _object("desk", spec.get("desk"))} if spec.get("desk") is not None else {}
    for field_name, level in (("accounts", Level.ACCOUNT), ("symbols", Level.SYMBOL)):
        for name, entry in _object(field_name, spec.get(field_name)).items():
            found[Scope(level, str(name))] = _object(f"{field_name}.{name}", entry)
    return found


def _object(name: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidLimits(f"{name}: {value!r}, expected an object")
    return value


def _stand(scope: Scope, entry: Mapping[str, Any]) -> Stand:
    standing = entry.get("standing") or Standing.ACTIVE
    if not isinstance(standing, str) or standing not in set(Standing):
        expected = ", ".join(Standing)
        raise InvalidLimits(f"standing of the {scope}: {standing!r}, expected one of {expected}")
    if standing == Standing.ACTIVE:
        return ACTIVE
    return Stand(Standing(standing), str(entry.get("reason") or NO_REASON)[:200])


def _readable_stands(spec: Mapping[str, Any]) -> dict[Scope, Stand]:
    """Of a policy that cannot be read, those that can: a slip elsewhere lifts no halt."""
    found = {}
    with suppress(InvalidLimits, RecursionError):
        for scope, entry in _entries(spec).items():
            with suppress(InvalidLimits):
                found[scope] = _stand(scope, entry)
    return {scope: each for scope, each in found.items() if each != ACTIVE}


def _self_trade(entries: Mapping[Scope, Mapping[str, Any]]) -> Mapping[Scope, bool]:
    """Raises InvalidLimits."""
    said = {scope: entry.get("self_trade") for scope, entry in entries.items()}
    for scope, each in said.items():
        if each not in (None, "refuse", "allow") or (each and scope.level is Level.SYMBOL):
            expected = "refuse or allow, of the desk or an account"
            raise InvalidLimits(f"self_trade of the {scope}: {each!r}, expected {expected}")
    return {scope: each == "allow" for scope, each in said.items() if each}


def _sampling(entries: Mapping[Scope, Mapping[str, Any]]) -> Sampling | None:
    """Raises InvalidLimits."""
    for scope, entry in entries.items():
        if scope != DESK and entry.get("sampling") is not None:
            raise InvalidLimits(f"sampling of the {scope}: expected of the desk only")
    written = entries.get(DESK, {}).get("sampling")
    return parse_sampling(_object("desk.sampling", written)) if written is not None else None


def _bypass(names: object) -> frozenset[str]:
    """Raises InvalidLimits."""
    if names is None:
        return frozenset()
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise InvalidLimits(f"bypass: {names!r}, expected a list of checks")
    for name in sorted(set(names) - BYPASSABLE):
        raise InvalidLimits(f"bypass: {name}, expected one of {', '.join(sorted(BYPASSABLE))}")
    return frozenset(names)


def _together(scope: Scope, entry: Mapping[str, Any]) -> Limits:
    limits = _limits(entry.get("limits"))
    known = TOGETHER[scope.level]
    for name in sorted(written_limits(limits) - known):
        expected = ", ".join(sorted(known))
        raise InvalidLimits(f"limit {name} of the {scope}: expected one of {expected}")
    return limits


def _limits(written: object) -> Limits:
    """Raises InvalidLimits."""
    return parse_bounds(_object("limits", written))
