"""What a strategy is stalled by, so that somebody has to act: rules, in the order they apply."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from platform_spec.status import ConditionStatus, ConditionType
from strategy_operator import names
from strategy_operator.actions import Action, CreatePod, target_of
from strategy_operator.intent import Intent, asked
from strategy_operator.observed import Obstacle
from strategy_operator.reasons import Finding, Reason, named
from strategy_operator.scene import Scene
from strategy_operator.starting import Hold
from strategy_operator.trouble import trouble

_COLLECTED_S = 15.0  # by then children of an earlier object of this name have gone
_WORDS = {"Foreign": Reason.NAME_TAKEN, "Forbidden": Reason.FORBIDDEN, "Invalid": Reason.REJECTED}


@dataclass(frozen=True, slots=True)
class Case:
    """What a stall is judged by."""

    scene: Scene
    intent: Intent
    actions: Sequence[Action]  # all that are due
    hold: Hold | None


def stall(case: Case) -> Finding | None:
    answers = (rule(case) for rule in RULES)
    return next((answer for answer in answers if answer), None)


def look_again_s(case: Case) -> float | None:
    """When a name that is taken becomes a stall."""
    left = _COLLECTED_S - case.scene.since_s(case.scene.created_at)
    taken = next(_taken(case.scene, case.intent.revision), None)
    return left if taken and left > 0 else None


def its_spec_is_refused(case: Case) -> Finding | None:
    refusal = case.scene.wish.refusal
    return Finding(refusal.reason, refusal.message) if refusal else None


def a_name_is_taken(case: Case) -> Finding | None:
    taken = next(_taken(case.scene, case.intent.revision), None)
    if taken is None or case.scene.since_s(case.scene.created_at) < _COLLECTED_S:
        return None
    return Finding(Reason.NAME_TAKEN, f"{taken} is there and belongs to somebody else")


def _taken(scene: Scene, revision: str) -> Iterator[str]:
    uid, name = scene.owner.uid, names.child_name(scene.owner.name, revision)
    if scene.observed.config_maps.get(name, uid) != uid:
        yield f"ConfigMap {name}"
    if any(each.name == revision and each.owner_uid != uid for each in scene.observed.revisions):
        yield f"StrategyRevision {name}"


def its_revision_is_quarantined(case: Case) -> Finding | None:
    wished = asked(case.scene)
    if wished not in case.intent.barred:
        return None
    failed = next(each for each in case.intent.quarantined if each.revision == wished)
    why = f": {failed.message}" if failed.message else ""
    what = (
        f"{named(wished)} failed ({failed.reason}) and is not tried again; "
        f"{named(case.intent.revision)} is wanted instead. Change the spec, or set the annotation "
        f"{names.RESTART} to try it again{why}"
    )
    return Finding(Reason.QUARANTINED, what)


def the_api_server_refuses(case: Case) -> Finding | None:
    for obstacle in _obstacles(case):
        word = _WORDS.get(obstacle.reason)
        if word is not None:
            target = f" {obstacle.target}" if obstacle.target else ""
            return Finding(word, f"{obstacle.action}{target}: {obstacle.message}")
    return None


def _obstacles(case: Case) -> Iterator[Obstacle]:
    """Of what is due now, and of the last pod."""
    scene = case.scene
    due = {(type(action).__name__, target_of(action)) for action in case.actions}
    if case.hold is not None:
        attempt = scene.before.attempt
        pod = names.pod_name(scene.owner.name, case.intent.revision, attempt)
        due.add((CreatePod.__name__, pod))
    return (each for each in scene.observed.obstacles if (each.action, each.target) in due)


def its_revision_is_lost(case: Case) -> Finding | None:
    finding = case.hold.finding if case.hold else None
    return finding if finding and finding.reason == Reason.REVISION_LOST else None


def it_does_not_come_up(case: Case) -> Finding | None:
    if case.scene.gateway is None:
        return _as_before(case.scene)
    return trouble(case.scene, case.intent.revision)


def _as_before(scene: Scene) -> Finding | None:
    """While the gateway does not answer; what was refused then is not refused now."""
    said = scene.before.condition(ConditionType.STALLED)
    refused = said is not None and said.reason in _CURABLE
    if said is None or refused or said.status is not ConditionStatus.TRUE:
        return None
    return Finding(said.reason, said.message)


_CURABLE = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.INVALID_PARAMETERS,
        Reason.CODE_NOT_FOUND,
        Reason.SIDECAR_NOT_SUPPORTED,
        Reason.FEED_NOT_SUPPORTED,
        Reason.ROLLOUT_NOT_SUPPORTED,
        Reason.NO_DESK,
        Reason.POLICY_NOT_FOUND,
        Reason.LIVE_NOT_ALLOWED,
        Reason.ADOPTION_NOT_CONFIRMED,
        Reason.NAME_TAKEN,
        Reason.FORBIDDEN,
        Reason.REJECTED,
        Reason.REVISION_LOST,
        Reason.QUARANTINED,
    }
)

RULES: tuple[Callable[[Case], Finding | None], ...] = (
    its_spec_is_refused,
    a_name_is_taken,
    its_revision_is_quarantined,
    the_api_server_refuses,
    its_revision_is_lost,
    it_does_not_come_up,
)
