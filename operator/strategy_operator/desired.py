"""What a Strategy object asks for: a revision, or why it cannot be had.

An author's code is never loaded here; a built-in ships with the operator, so its parameters are
held against its class.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from platform_spec import code as codes
from platform_spec import revision as revisions
from platform_spec.code import Code
from platform_spec.objects import strategy_of
from platform_spec.problems import InvalidManifest, nearest, shown
from platform_spec.revision import Revision
from platform_spec.strategy import (
    ConfigMapKey,
    DeletionInForce,
    Mode,
    PositionPolicy,
    RolloutType,
    Spec,
    WorkingOrders,
)
from strategy_operator import names
from strategy_operator.observed import Observed
from strategy_operator.reasons import Reason
from strategy_sdk import loading, parameters

_MOST_PROBLEMS = 5  # in one message


@dataclass(frozen=True, slots=True)
class Refusal:
    """A spec that cannot be followed; what ran before goes on."""

    reason: Reason
    field: str
    value: str
    expected: str

    @property
    def message(self) -> str:
        field = f"{self.field}: " if self.field else ""
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{field}{self.value}{expected}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the object says, as far as it can be read."""

    spec: Spec | None  # None: it is no valid spec
    revision: Revision | None  # None: refused
    refusal: Refusal | None
    suspended: bool
    deletion: DeletionInForce


def wish(observed: Observed) -> Wish:
    written = observed.strategy.get("spec")
    raw = written if isinstance(written, Mapping) else {}
    suspended = raw.get("suspend") is True  # also where the rest is wrong
    spec = _spec(observed.strategy)
    if isinstance(spec, Refusal):
        return Wish(None, None, spec, suspended, _deletion(raw))
    found = _revision(spec, observed)
    deletion = spec.deletion_in_force()
    if isinstance(found, Refusal):
        return Wish(spec, None, found, suspended, deletion)
    return Wish(spec, found, None, suspended, deletion)


def _spec(resource: Mapping[str, Any]) -> Spec | Refusal:
    try:
        return strategy_of(resource).spec
    except InvalidManifest as invalid:
        first, *others = invalid.problems
        expected = _among(f"{first.expected}{_hint(first.did_you_mean)}", others)
        return Refusal(Reason.INVALID_SPEC, first.path, first.value, expected)
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        return Refusal(Reason.INVALID_SPEC, "", f"{type(error).__name__}: {error}", "a Strategy")


def _among(expected: str, others: Sequence[object]) -> str:
    """Of the first problem, with the next ones behind it."""
    more = [str(each) for each in others[: _MOST_PROBLEMS - 1]]
    if len(others) > len(more):
        more.append(f"and {len(others) - len(more)} more")
    return "; ".join([expected, *more])


def _hint(nearest_name: str) -> str:
    return f"; did you mean {nearest_name}?" if nearest_name else ""


def _deletion(raw: Mapping[str, Any]) -> DeletionInForce:
    """Of a spec that is wrong elsewhere, too: what is to become of the position was said."""
    try:
        part = raw.get("deletion") or {}
        flatten = part.get("positionPolicy") == PositionPolicy.FLATTEN
    except AttributeError:
        return DeletionInForce()
    policy = PositionPolicy.FLATTEN if flatten else PositionPolicy.KEEP
    return DeletionInForce(position_policy=policy)


def _revision(spec: Spec, observed: Observed) -> Revision | Refusal:
    for rule in ADMISSION:
        if refusal := rule(spec, observed):
            return refusal
    code = _code(spec, observed)
    if isinstance(code, Refusal):
        return code
    return revisions.revise(_ref(observed), spec, code)


def _ref(observed: Observed) -> str:
    metadata = observed.strategy.get("metadata") or {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


# ---- The code


def _code(spec: Spec, observed: Observed) -> Code | Refusal:
    runnable = spec.strategy
    if runnable.builtin is not None:
        return _builtin(runnable.builtin, spec)
    if runnable.class_ is not None:
        return codes.in_image(runnable.class_, spec.image)
    source = runnable.source
    if source is not None and source.inline is not None:
        return codes.text(source.inline, f"{_ref(observed)}.py")
    if source is not None and source.config_map is not None:
        return _in_config_map(source.config_map, observed)
    return _no_place_for(spec)


def _no_place_for(spec: Spec) -> Refusal:
    if spec.strategy.image is not None:
        expected = "builtin, class or source: sidecars are not run yet"
        field, value = "spec.strategy.image", shown(spec.strategy.image)
        return Refusal(Reason.SIDECAR_NOT_SUPPORTED, field, value, expected)
    file = shown(spec.strategy.source and spec.strategy.source.file)
    expected = "inline or configMap: a cluster has no files beside a manifest"
    return Refusal(Reason.INVALID_SPEC, "spec.strategy.source.file", file, expected)


def _in_config_map(wanted: ConfigMapKey, observed: Observed) -> Code | Refusal:
    field = "spec.strategy.source.configMap"
    keys = observed.sources.get(wanted.name)
    if keys is None:
        expected = "a ConfigMap of this namespace"
        return Refusal(Reason.CODE_NOT_FOUND, f"{field}.name", shown(wanted.name), expected)
    if wanted.key not in keys:
        expected = f"one of its keys: {', '.join(sorted(keys)) or 'it has none'}"
        return Refusal(Reason.CODE_NOT_FOUND, f"{field}.key", shown(wanted.key), expected)
    if not keys[wanted.key].strip():
        return Refusal(Reason.CODE_NOT_FOUND, f"{field}.key", "empty", "the code of a strategy")
    return codes.text(keys[wanted.key], f"{_ref(observed)}.py")


@dataclass(frozen=True, slots=True)
class _Builtin:
    strategy: type
    code: Code


@lru_cache(maxsize=128)
def _shipped(name: str) -> _Builtin | Refusal:
    """It cannot change while the operator lives."""
    source = {"builtin": name}
    try:
        return _Builtin(loading.load(source), Code(loading.code_digest(source), source))
    except loading.CannotLoad:
        known = loading.builtins()
        expected = f"one of {', '.join(known)}{_hint(nearest(name, known))}"
        return Refusal(Reason.INVALID_SPEC, "spec.strategy.builtin", shown(name), expected)


def _builtin(name: str, spec: Spec) -> Code | Refusal:
    found = _shipped(name)
    if isinstance(found, Refusal):
        return found
    values = revisions.normalised(spec.parameters or {})
    problems = parameters.validate(found.strategy, values)
    return _of_parameters(problems, spec) if problems else found.code


def _of_parameters(problems: list[parameters.Problem], spec: Spec) -> Refusal:
    first, *others = problems
    if not first.parameter:  # several do not fit together
        return Refusal(Reason.INVALID_PARAMETERS, "spec.parameters", first.expected, "")
    field, written = f"spec.parameters.{first.parameter}", (spec.parameters or {})[first.parameter]
    value = shown(written) if first.known else "unknown parameter"
    expected = _among(f"{first.expected}{_hint(first.nearest)}", others)
    return Refusal(Reason.INVALID_PARAMETERS, field, value, expected)


# ---- What is asked of a spec beside its own form, in this order


def the_desk_is_there(_: Spec, observed: Observed) -> Refusal | None:
    if observed.desk is not None:
        return None
    value = f"no ConfigMaps {names.DESK} and {names.GATEWAY_CA} in this namespace"
    return Refusal(Reason.NO_DESK, "", value, "a desk, installed by its chart")


def the_feed_can_be_read(spec: Spec, _: Observed) -> Refusal | None:
    if spec.feed is None or spec.feed.nats is None:
        return None
    expected = "spec.feed.redis, or nothing for the desk's own"
    return Refusal(
        Reason.FEED_NOT_SUPPORTED, "spec.feed.nats.url", shown(spec.feed.nats.url), expected
    )


def the_rollout_is_known(spec: Spec, _: Observed) -> Refusal | None:
    """What would be passed over in silence is refused."""
    rollout = spec.rollout
    if rollout and rollout.type not in (None, RolloutType.ROLLING):
        field, value = "spec.rollout.type", shown(rollout.type.value)
        return Refusal(Reason.ROLLOUT_NOT_SUPPORTED, field, value, "Rolling")
    if rollout and rollout.working_orders is WorkingOrders.CANCEL:
        field = "spec.rollout.workingOrders"
        expected = "Keep: working orders stay at a hand-over"
        return Refusal(Reason.ROLLOUT_NOT_SUPPORTED, field, "'Cancel'", expected)
    return None


def the_policy_exists(spec: Spec, observed: Observed) -> Refusal | None:
    name = spec.risk.policy if spec.risk else None
    if name is None or name in observed.policies:
        return None
    expected = f"a RiskPolicy of this namespace{_hint(nearest(name, observed.policies))}"
    return Refusal(Reason.POLICY_NOT_FOUND, "spec.risk.policy", shown(name), expected)


def the_policy_allows_live(spec: Spec, observed: Observed) -> Refusal | None:
    name = spec.risk.policy if spec.risk else None
    if spec.mode_in_force() is not Mode.LIVE or (name and observed.policies[name].allow_live):
        return None
    expected = f"a mode that RiskPolicy {name} allows: it has no allowLive"
    return Refusal(Reason.LIVE_NOT_ALLOWED, "spec.mode", "'live'", expected)


def the_position_is_its_own(spec: Spec, observed: Observed) -> Refusal | None:
    """A live strategy does not inherit an earlier one's position unasked."""
    gateway = observed.gateway
    held = gateway is not None and any(gateway.positions.values())
    metadata, status = observed.strategy.get("metadata") or {}, observed.strategy.get("status")
    fresh = not (isinstance(status, Mapping) and status.get("wantedRevision"))
    confirmed = (metadata.get("annotations") or {}).get(names.ADOPT) == "yes"
    if spec.mode_in_force() is not Mode.LIVE or not (held and fresh) or confirmed:
        return None
    value = "not set, and the gateway has a position of an earlier strategy of this name"
    field = f"metadata.annotations[{names.ADOPT}]"
    return Refusal(Reason.ADOPTION_NOT_CONFIRMED, field, value, "'yes' to go on with it")


ADMISSION: tuple[Callable[[Spec, Observed], Refusal | None], ...] = (
    the_feed_can_be_read,
    the_rollout_is_known,
    the_desk_is_there,
    the_policy_exists,
    the_policy_allows_live,
    the_position_is_its_own,
)
