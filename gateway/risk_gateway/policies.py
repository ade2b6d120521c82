"""Risk policies: what bounds every strategy that names one, and who halts the desk by one.

Pure. The policies are the namespace's RiskPolicy objects, as they were last seen; where none are
asked for (`stratops up`), nothing here bounds anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from risk_gateway.content import Content, Mode, tighter
from trading.limits import InvalidLimits, Limits, parse_bounds

NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Policy:
    limits: Limits
    allow_live: bool = False
    halted: bool = False
    reason: str = ""
    unreadable: str = ""  # why nobody may open anything by it


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One policy is now so. No name: they were read, and these are all there are."""

    name: str = ""
    spec: dict[str, Any] | None = None  # None: there is none of that name


@dataclass(slots=True)
class Policies:
    """The fold of its changes."""

    asked_for: bool = False
    real_venue: bool = False  # where a simulation would cost money
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
    def halts(self) -> Mapping[str, str]:
        """By source: why the desk is halted."""
        if not self.asked_for:
            return {}
        return {
            f"policy/{name}": policy.reason or NO_REASON
            for name, policy in self._policies.items()
            if policy.halted
        }

    def objection(self, content: Content) -> str:
        """Why a strategy of that content may only close; empty: it may trade."""
        if self.real_venue and content.mode is Mode.SIMULATION:
            return "mode simulation, the venue is real"
        if not self.asked_for:
            return ""
        if not self.known:
            return "risk policies were never read"
        if not content.policy:
            return "mode live needs a risk policy" if content.mode is Mode.LIVE else ""
        policy = self._policies.get(content.policy)
        if policy is None:
            return f"risk policy {content.policy} does not exist"
        if policy.unreadable:
            return f"risk policy {content.policy} cannot be read: {policy.unreadable}"
        if content.mode is Mode.LIVE and not policy.allow_live:
            return f"risk policy {content.policy} does not allow mode live"
        return ""

    def capped(self, content: Content, name: str) -> Content:
        """Within the policy of that name."""
        policy = self._policies.get(name) if self.asked_for else None
        if policy is None:
            return content
        bound = Content(content.mode, replace(content.terms, limits=policy.limits))
        return tighter(content, bound)


def parse_policy(spec: Mapping[str, Any]) -> Policy:
    """What cannot be read of it is no permission; what it says of a halt counts all the same."""
    halted = spec.get("halted", False) is not False
    reason = str(spec.get("reason") or "")[:200]
    allow_live = spec.get("allowLive") is True
    try:
        limits = _bounds(spec.get("limits") or {})
    except (InvalidLimits, RecursionError) as error:
        return Policy(Limits(), False, halted, reason, str(error)[:200])
    return Policy(limits, allow_live, halted, reason)


def _bounds(written: object) -> Limits:
    """Raises InvalidLimits."""
    if not isinstance(written, Mapping):
        raise InvalidLimits(f"limits: {written!r}, expected an object")
    return parse_bounds(written)
