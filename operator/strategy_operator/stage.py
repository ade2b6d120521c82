"""The pods of a strategy as its intent sees them: of use, out of date, or in the way."""

from dataclasses import dataclass

from strategy_operator import names
from strategy_operator.children import PodPlan, pod_plan
from strategy_operator.intent import Intent
from strategy_operator.observed import Pod
from strategy_operator.scene import Scene, has_ended, is_live


@dataclass(frozen=True, slots=True)
class Stage:
    scene: Scene
    intent: Intent
    plan: PodPlan | None  # of the wanted revision's next pod; None: nobody knows how to make it
    current: tuple[Pod, ...]  # live, of the wanted revision, and as it would be made now
    outdated: tuple[Pod, ...]  # live, of the wanted revision, made otherwise
    ended: tuple[Pod, ...]  # of the wanted revision
    kept: tuple[Pod, ...]  # live, of the one before, which goes on until the wanted one is armed
    leaving: tuple[Pod, ...]  # live, and of no more use

    @property
    def is_armed(self) -> bool:
        """Whether the wanted revision is."""
        return bool(self.intent.revision) and self.scene.armed == self.intent.revision


def set_up(scene: Scene, intent: Intent) -> Stage:
    plan = _plan(scene, intent)
    ours = [pod for pod in scene.pods if pod.revision == intent.revision]
    live = [pod for pod in ours if is_live(pod)]
    others = [pod for pod in scene.live if pod.revision != intent.revision]
    needed = _needed(scene, intent)
    return Stage(
        scene,
        intent,
        plan,
        tuple(pod for pod in live if _is_current(scene, plan, pod)),
        tuple(pod for pod in live if not _is_current(scene, plan, pod)),
        tuple(pod for pod in ours if has_ended(pod) and not pod.deleting),
        tuple(pod for pod in others if pod.revision in needed),
        tuple(pod for pod in others if pod.revision not in needed),
    )


def was_edited(stage: Stage, pod: Pod) -> bool:
    """Whether it runs another image than it was made with: it is never granted anything."""
    planned = stage.plan.image if stage.plan else ""
    written = names.digest(pod.image) == pod.labels.get(names.IMAGE)
    return not (pod.as_made or written or pod.image == planned)


def holders(stage: Stage) -> tuple[str, ...]:
    """Uids of the wanted revision's pods; one that is ending may still have to say where."""
    pods = (pod for pod in stage.scene.pods if pod.revision == stage.intent.revision)
    return tuple(sorted(p.uid for p in pods if not has_ended(p) and not was_edited(stage, p)))


def is_deployed(stage: Stage) -> bool:
    """Whether the gateway wants the revision as it is, with the pods that there are."""
    gateway, recipe = stage.scene.gateway, stage.intent.recipe
    if gateway is None or recipe is None or gateway.wanted != recipe.revision:
        return False
    same_policy = recipe.policy is None or gateway.policy in (None, recipe.policy)
    return gateway.runner_pods == set(holders(stage)) and same_policy


def _plan(scene: Scene, intent: Intent) -> PodPlan | None:
    if intent.recipe is None:
        return None
    observed = scene.observed
    return pod_plan(
        scene.owner,
        intent.revision,
        intent.recipe.image or observed.runner_image,
        scene.wish.spec,
        pull_policy=observed.pull_policy,
        restart=intent.restart,
    )


def _is_current(scene: Scene, plan: PodPlan | None, pod: Pod) -> bool:
    if plan is None or scene.wish.spec is None:  # nobody knows how it should be
        return True
    same_template = pod.labels.get(names.TEMPLATE) == plan.labels[names.TEMPLATE]
    return same_template and runs(pod, plan.image)


def runs(pod: Pod, image: str) -> bool:
    """Also where admission wrote another one instead, as for a mirror of a registry: a pod made
    anew would get that again."""
    return pod.image == image or (
        pod.as_made and pod.labels.get(names.IMAGE) == names.digest(image)
    )


def _needed(scene: Scene, intent: Intent) -> frozenset[str]:
    """Other revisions that may be needed again, as long as the wanted one is not armed."""
    if scene.armed == intent.revision:
        return frozenset()
    return frozenset((scene.armed, intent.good)) - {"", intent.revision}
