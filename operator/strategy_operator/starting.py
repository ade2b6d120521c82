"""Whether a new pod is started now, and with which number: gates, in the order they are tried.

The first closed gate is what the strategy waits for.
"""

from collections.abc import Callable
from dataclasses import dataclass

from strategy_operator import names
from strategy_operator.actions import CreatePod, Deploy
from strategy_operator.intent import is_given_up
from strategy_operator.observed import Obstacle
from strategy_operator.reasons import Finding, Reason
from strategy_operator.stage import Stage, is_deployed

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # after so many pods that ended
_UNCLEAR_S = 5.0  # a creation without an answer: the pod may still show itself
_NOT_DONE = frozenset({"Foreign", "Forbidden", "Invalid"})  # it is certain that nothing was made
_RETRY_S = {"Foreign": 10.0, "Forbidden": 10.0, "Invalid": 30.0, "Conflict": 0.0}


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no pod is started now."""

    finding: Finding | None = None  # None: it is on its way
    again_s: float | None = None


def needs_a_pod(stage: Stage) -> bool:
    return bool(stage.intent.revision) and not stage.current


def held(stage: Stage) -> Hold | None:
    """The first gate that is closed."""
    answers = (gate(stage) for gate in GATES)
    return next((answer for answer in answers if answer), None)


def what_it_is_made_from_is_known(stage: Stage) -> Hold | None:
    if stage.plan is not None:
        return None
    name = names.child_name(stage.scene.owner.name, stage.intent.revision)
    return Hold(Finding(Reason.REVISION_LOST, f"StrategyRevision {name} is not there any more"))


def its_objects_are_there(stage: Stage) -> Hold | None:
    """Ours, and seen: a pod would mount whatever has the name."""
    owner, revision = stage.scene.owner, stage.intent.revision
    there = stage.scene.observed.config_maps.get(names.child_name(owner.name, revision))
    kept = any(
        each.name == revision and each.owner_uid == owner.uid
        for each in stage.scene.observed.revisions
    )
    return None if there == owner.uid and kept else Hold()


def the_gateway_answers(stage: Stage) -> Hold | None:
    return None if stage.scene.gateway else Hold()


def the_gateway_takes_it(stage: Stage) -> Hold | None:
    """A runner of what it refuses would wait for ever. Only `Deploy` is tried again: a pod that
    went with it would claim a number each time."""
    refusal = _obstacle(stage, Deploy.__name__, stage.intent.revision)
    if refusal is None or refusal.reason not in _NOT_DONE or is_deployed(stage):
        return None
    left = refusal.at + retry_s(refusal) - stage.scene.observed.now
    return Hold(again_s=left if left > 0 else None)


def the_desk_is_there(stage: Stage) -> Hold | None:
    return None if stage.scene.observed.desk else Hold()


def it_is_still_tried(stage: Stage) -> Hold | None:
    return Hold() if is_given_up(stage.scene, stage.intent.revision) else None


def one_hand_over_at_a_time(stage: Stage) -> Hold | None:
    if not stage.leaving:
        return None
    left = ", ".join(pod.name for pod in stage.leaving)
    return Hold(Finding(Reason.SUPERSEDING, f"waiting for {left} to leave"))


def the_last_try_is_clear(stage: Stage) -> Hold | None:
    obstacle = _of_last_try(stage)
    if obstacle is None:
        return None
    patience = retry_s(obstacle) if obstacle.reason in _NOT_DONE else _UNCLEAR_S
    left = obstacle.at + patience - stage.scene.observed.now
    return Hold(Finding(Reason.WAITING_FOR_API, obstacle.message), left) if left > 0 else None


def it_has_backed_off(stage: Stage) -> Hold | None:
    if not stage.ended:
        return None
    delay = BACK_OFF_S[min(len(stage.ended), len(BACK_OFF_S)) - 1]
    left = stage.ended[-1].created_at + delay - stage.scene.observed.now
    what = f"pod {stage.ended[-1].name} has ended; another follows"
    return Hold(Finding(Reason.BACKING_OFF, what), left) if left > 0 else None


def others_have_handed_over(stage: Stage) -> Hold | None:
    """Only a pod beside another one begins a hand-over."""
    beside = stage.outdated or stage.kept
    if stage.scene.observed.may_hand_over or not beside:
        return None
    what = "other strategies are handing over; this one is next"
    return Hold(Finding(Reason.WAITING_FOR_OTHER_HAND_OVERS, what))


def others_have_started(stage: Stage) -> Hold | None:
    if stage.scene.observed.may_start:
        return None
    what = "other runners are starting; this one is next"
    return Hold(Finding(Reason.WAITING_FOR_OTHER_STARTS, what))


GATES: tuple[Callable[[Stage], Hold | None], ...] = (
    the_gateway_answers,
    the_gateway_takes_it,
    what_it_is_made_from_is_known,
    the_desk_is_there,
    its_objects_are_there,
    it_is_still_tried,
    one_hand_over_at_a_time,
    the_last_try_is_clear,
    it_has_backed_off,
    others_have_handed_over,
    others_have_started,
)


def next_attempt(stage: Stage) -> int:
    """A number that no pod has had: a failed creation that made nothing has used none."""
    obstacle = _of_last_try(stage)
    if obstacle and obstacle.reason in _NOT_DONE:
        return stage.scene.before.attempt
    seen = (pod.attempt for pod in stage.scene.observed.pods)
    return max(stage.scene.before.attempt, *seen, 0) + 1


def _of_last_try(stage: Stage) -> Obstacle | None:
    scene = stage.scene
    name = names.pod_name(scene.owner.name, stage.intent.revision, scene.before.attempt)
    return _obstacle(stage, CreatePod.__name__, name)


def _obstacle(stage: Stage, action: str, target: str) -> Obstacle | None:
    wanted = action, target
    obstacles = stage.scene.observed.obstacles
    return next((each for each in obstacles if (each.action, each.target) == wanted), None)


def retry_s(obstacle: Obstacle) -> float:
    """How long an action that failed is left alone."""
    return _RETRY_S.get(obstacle.reason, 1.0)
