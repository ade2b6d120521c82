"""From what runs to what is wanted: objects, pods and what the gateway is asked for.

Each step looks at the stage as it is, whatever brought it there, and answers with the actions that
are due. A pod is only created together with the status that claims its number: no number is ever
used for two pods.
"""

from collections.abc import Callable, Iterator
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
from strategy_operator.intent import is_given_up, restart_asked
from strategy_operator.observed import GatewayView, Pod
from strategy_operator.scene import Scene, has_ended
from strategy_operator.stage import Stage, holders, is_deployed, runs, was_edited
from strategy_operator.starting import BACK_OFF_S, Hold, held, needs_a_pod, next_attempt

_KEPT_ENDED = len(BACK_OFF_S)
_OUTSTAYED_S = 10.0


@dataclass(frozen=True, slots=True)
class Move:
    """What is due now."""

    actions: tuple[Action, ...]
    attempt: int  # the number of the newest pod, claimed before it is created
    hold: Hold | None = None
    again_s: tuple[float, ...] = ()


def move(stage: Stage) -> Move:
    hold = held(stage) if needs_a_pod(stage) else None
    attempt, start = _start(stage, hold)
    steps = [action for step in _STEPS for action in step(stage)]
    again = [each for each in (hold and hold.again_s, _outstay_s(stage)) if each]
    return Move((*steps, *start), attempt, hold, tuple(again))


def _start(stage: Stage, hold: Hold | None) -> tuple[int, tuple[Action, ...]]:
    """The next pod, and the number that it claims."""
    if hold or stage.plan is None or not needs_a_pod(stage):
        return stage.scene.before.attempt, ()
    attempt = next_attempt(stage)
    return attempt, (CreatePod(children.pod(stage.plan, attempt)),)


# ---- Steps: what is due beside a new pod


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
        if stage.plan and pod.revision == stage.intent.revision and runs(pod, stage.plan.image):
            labels[names.IMAGE] = stage.plan.labels[names.IMAGE]
        if any(pod.labels.get(name) != value for name, value in labels.items()):
            yield MendPod(pod.name, pod.uid, labels)


def asking(stage: Stage) -> Iterator[Action]:
    """The gateway is told as soon as it is certain: it tightens limits before it arms."""
    gateway, recipe = stage.scene.gateway, stage.intent.recipe
    if gateway is None:
        return
    if is_given_up(stage.scene, stage.intent.revision):  # known or not what it was made from
        yield from _trying_again(stage, gateway)
    elif recipe is not None and not is_deployed(stage):
        yield Deploy(recipe.revision, recipe.content, holders(stage))


def _trying_again(stage: Stage, gateway: GatewayView) -> Iterator[Action]:
    """Nothing that it could fall back on is known here: deployed anew it is tried on. Whoever the
    gateway has armed instead goes on until a person asks for it."""
    if not gateway.armed or restart_asked(stage.scene) != stage.intent.restart:
        yield Withdraw("given up, and nothing to fall back on")


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
