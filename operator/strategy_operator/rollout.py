"""From what runs to what is wanted: objects, pods and what the gateway is asked for.

Each step looks at the stage as it is, whatever brought it there, and answers with the actions that
are due. A pod is only created together with the status that claims its number: no number is ever
used for two pods.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from strategy_operator import children, names
from strategy_operator.actions import (
    Action,
    CreateConfigMap,
    CreatePod,
    CreateRevision,
    DeletePod,
    Deploy,
    MendPod,
    Withdraw,
)
from strategy_operator.children import PodPlan
from strategy_operator.intent import is_given_up, restart_asked
from strategy_operator.observed import GatewayView, Obstacle, Pod
from strategy_operator.reasons import Finding, Reason
from strategy_operator.scene import Scene, has_ended
from strategy_operator.stage import Stage, was_edited

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # after so many pods that ended
_KEPT_ENDED = len(BACK_OFF_S)
_OUTSTAYED_S = 10.0
_UNCLEAR_S = 5.0  # a creation without an answer: the pod may still show itself
_NOT_DONE = frozenset({"Foreign", "Forbidden", "Invalid"})  # it is certain that nothing was made


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no pod is started now."""

    finding: Finding | None = None  # None: it is on its way
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What is due now."""

    actions: tuple[Action, ...]
    attempt: int  # the number of the newest pod, claimed before it is created
    hold: Hold | None = None
    again_s: tuple[float, ...] = ()


def move(stage: Stage) -> Move:
    before = stage.scene.before.attempt
    hold = held(stage) if _needs_a_pod(stage) else None
    attempt, start = before, []
    if stage.plan and _needs_a_pod(stage) and hold is None:
        attempt = _next_attempt(stage, stage.plan)
        start = [CreatePod(children.pod(stage.plan, attempt))]
    steps = [action for step in _STEPS for action in step(stage)]
    again = [each for each in (hold and hold.again_s, _outstay_s(stage)) if each]
    return Move((*steps, *start), attempt, hold, tuple(again))


# ---- A new pod


def _needs_a_pod(stage: Stage) -> bool:
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


def _next_attempt(stage: Stage, plan: PodPlan) -> int:
    """A number that no pod has had: a failed creation that made nothing has used none."""
    obstacle = _of_last_try(stage)
    if obstacle and obstacle.reason in _NOT_DONE:
        return stage.scene.before.attempt
    seen = (pod.attempt for pod in stage.scene.observed.pods)
    return max(stage.scene.before.attempt, *seen, 0) + 1


def _of_last_try(stage: Stage) -> Obstacle | None:
    scene = stage.scene
    name = names.pod_name(scene.owner.name, stage.intent.revision, scene.before.attempt)
    return next(
        (
            each
            for each in scene.observed.obstacles
            if each.action == CreatePod.__name__ and each.target == name
        ),
        None,
    )


_RETRY_S = {"Foreign": 10.0, "Forbidden": 10.0, "Invalid": 30.0, "Conflict": 0.0}


def retry_s(obstacle: Obstacle) -> float:
    """How long an action that failed is left alone."""
    return _RETRY_S.get(obstacle.reason, 1.0)


# ---- Steps: what is due besides


def objects(stage: Stage) -> Iterator[Action]:
    """What is ours and missing; a name that is taken is left to its owner."""
    recipe, revision = stage.intent.recipe, stage.scene.wish.revision
    observed, owner = stage.scene.observed, stage.scene.owner
    if recipe is None:
        return
    kept = {each.name for each in observed.revisions}
    if revision and revision.name == recipe.revision and revision.name not in kept:
        yield CreateRevision(children.revision_object(owner, revision))
    if names.child_name(owner.name, recipe.revision) not in observed.config_maps:
        yield CreateConfigMap(children.config_map(owner, recipe.revision, recipe.runner))


def mending(stage: Stage) -> Iterator[Action]:
    """Labels are how pods are found."""
    for pod in stage.scene.live:
        labels = dict(names.labels(stage.scene.owner.name, pod.revision))
        if stage.plan and pod.revision == stage.intent.revision and pod.image == stage.plan.image:
            labels[names.IMAGE] = stage.plan.labels[names.IMAGE]
        if any(pod.labels.get(name) != value for name, value in labels.items()):
            yield MendPod(pod.name, pod.uid, labels)


def asking(stage: Stage) -> Iterator[Action]:
    """The gateway is told as soon as it is certain: it tightens limits before it arms."""
    gateway, recipe = stage.scene.gateway, stage.intent.recipe
    if gateway is None or recipe is None:
        return
    pods = tuple(sorted(_may_hold(stage)))
    if is_given_up(stage.scene, recipe.revision):
        yield from _trying_again(stage, gateway)
    elif not _knows(gateway, recipe.revision, pods, recipe.policy):
        yield Deploy(recipe.revision, recipe.content, pods)


def _trying_again(stage: Stage, gateway: GatewayView) -> Iterator[Action]:
    """Nothing that it could fall back on is known here: deployed anew it is tried on. Whoever the
    gateway has armed instead goes on until a person asks for it."""
    if not gateway.armed or restart_asked(stage.scene) != stage.intent.restart:
        yield Withdraw("given up, and nothing to fall back on")


def _may_hold(stage: Stage) -> Iterator[str]:
    """Uids of the wanted revision's pods; one that is ending may still have to say where."""
    for pod in stage.scene.pods:
        wanted = pod.revision == stage.intent.revision and not has_ended(pod)
        if wanted and not was_edited(stage, pod):
            yield pod.uid


def _knows(gateway: GatewayView, revision: str, pods: Sequence[str], policy: str | None) -> bool:
    same_policy = policy is None or gateway.policy in (None, policy)
    return gateway.wanted == revision and gateway.runner_pods == set(pods) and same_policy


def leaving(stage: Stage) -> Iterator[Action]:
    """Pods of other revisions, once the gateway has nothing more to do with them."""
    gateway = stage.scene.gateway
    if gateway is None or gateway.wanted != stage.intent.revision:
        return
    for pod in stage.leaving:
        if stage.scene.runner(pod) is None:
            yield DeletePod(pod.name, pod.uid, "its revision is wanted no more")
        elif not gateway.armed:  # it would wait for the armed one to show itself
            yield DeletePod(pod.name, pod.uid, "superseded before it was armed")
        elif stage.is_armed and _outstay_s(stage) is None:
            yield DeletePod(pod.name, pod.uid, "it outstayed its revision")


def _outstay_s(stage: Stage) -> float | None:
    """How long pods of other revisions may still take to leave by themselves."""
    if not stage.is_armed or not stage.leaving:
        return None
    conditions = stage.scene.before.conditions
    quiet = min(
        (stage.scene.since_s(each.last_transition_time) for each in conditions), default=0.0
    )
    return _OUTSTAYED_S - quiet if quiet < _OUTSTAYED_S else None


def replacing(stage: Stage) -> Iterator[Action]:
    """Pods of the wanted revision that another one stands in for."""
    if stage.scene.gateway is None:
        return
    best = max(stage.current, key=lambda pod: _worth(stage.scene, pod), default=None)
    for pod in stage.current:
        if pod is not best:
            yield DeletePod(pod.name, pod.uid, "another one does its work")
    stands_in = best is not None and _worth(stage.scene, best)[0] > 0
    for pod in stage.outdated:
        if stands_in or _is_of_no_use(stage, pod):
            yield DeletePod(pod.name, pod.uid, "made anew")


def _is_of_no_use(stage: Stage, pod: Pod) -> bool:
    """It runs nothing, or what it should not. One that is only on its way may come yet, as all do
    when the gateway was started again."""
    broken = pod.trouble is not None or was_edited(stage, pod)
    return broken and stage.scene.runner(pod) is None


def _worth(scene: Scene, pod: Pod) -> tuple[int, int]:
    runner = scene.runner(pod)
    if runner is None or not runner.connected:
        return (2 if runner and runner.armed else 0), pod.attempt
    return (2 if runner.armed else 1 if runner.ready else 0), pod.attempt


def burying(stage: Stage) -> Iterator[Action]:
    """Pods that have ended; those of the wanted revision count until it is armed."""
    counted = () if stage.is_armed else stage.ended[-_KEPT_ENDED:]
    for pod in stage.scene.pods:
        if has_ended(pod) and not pod.deleting and pod not in counted:
            yield DeletePod(pod.name, pod.uid, "it has ended")


_STEPS: tuple[Callable[[Stage], Iterator[Action]], ...] = (
    objects,
    mending,
    asking,
    leaving,
    replacing,
    burying,
)
