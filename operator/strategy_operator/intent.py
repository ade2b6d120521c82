"""Which revision is wanted, what to fall back on, and what is not tried again.

This is what the status keeps: it is written before anything is done about it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from platform_spec.status import MOST_QUARANTINED, Quarantined
from platform_spec.strategy import Supersede
from strategy_operator import names
from strategy_operator.scene import Scene
from strategy_operator.trouble import is_of_its_own, trouble

_LONGEST_RESTART = 1_024  # characters, in the status


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a revision is made from."""

    revision: str
    content: str
    runner: str
    image: str
    policy: str | None = None  # None: as the gateway knows it


@dataclass(frozen=True, slots=True)
class Intent:
    revision: str  # wanted; empty: none
    recipe: Recipe | None  # None: what it was made from is lost
    good: str  # armed before it, to fall back on
    quarantined: tuple[Quarantined, ...]
    restart: str  # value of the annotation that was acted on

    @property
    def barred(self) -> frozenset[str]:
        return frozenset(each.revision for each in self.quarantined)


def intend(scene: Scene) -> Intent:
    if scene.gateway is None:  # nothing new is begun without its word
        return unchanged(scene)
    restart, quarantined = _after_restart(scene)
    quarantined = _with_the_failed(scene, quarantined)
    barred = {each.revision for each in quarantined}
    revision = _chosen(scene, barred)
    good = _good(scene, {revision, *barred})
    return Intent(revision, recipe(scene, revision), good, quarantined, restart)


def unchanged(scene: Scene) -> Intent:
    before = scene.before
    revision = before.wanted_revision
    return Intent(
        revision,
        recipe(scene, revision),
        before.good_revision,
        before.quarantined,
        before.restart,
    )


def asked(scene: Scene) -> str:
    """The revision that the spec describes; empty: it is refused."""
    return scene.wish.revision.name if scene.wish.revision else ""


def is_finishing(scene: Scene) -> bool:
    """Whether the hand-over under way is to end before the next begins."""
    spec, wanted = scene.wish.spec, scene.before.wanted_revision
    if spec is None or spec.supersede_in_force() is not Supersede.FINISH or not wanted:
        return False
    under_way = scene.armed not in ("", wanted) and asked(scene) != wanted
    return under_way and trouble(scene, wanted) is None


def recipe(scene: Scene, revision: str) -> Recipe | None:
    """Of the spec, where that describes it; else as it was kept."""
    found, spec = scene.wish.revision, scene.wish.spec
    if found and spec and found.name == revision:
        policy = (spec.risk and spec.risk.policy) or ""
        return Recipe(revision, found.content, found.runner, found.image, policy)
    for kept in scene.observed.revisions:
        if kept.name == revision and kept.owner_uid == scene.owner.uid:
            return Recipe(revision, kept.content, kept.runner, kept.image)
    return None


# ---- Steps


def _after_restart(scene: Scene) -> tuple[str, tuple[Quarantined, ...]]:
    """A new value of the annotation tries again what was given up."""
    before, gateway = scene.before, scene.gateway
    value = scene.annotations.get(names.RESTART, "")[:_LONGEST_RESTART] or before.restart
    barred = {each.revision for each in before.quarantined}
    if value == before.restart or asked(scene) not in barred:
        return value, before.quarantined
    if gateway is None or gateway.wanted != before.wanted_revision:
        return before.restart, before.quarantined  # it has still to hear of the fallback
    return value, tuple(each for each in before.quarantined if each.revision != asked(scene))


def _with_the_failed(scene: Scene, quarantined: tuple[Quarantined, ...]) -> tuple[Quarantined, ...]:
    wanted = scene.before.wanted_revision
    barred = {each.revision for each in quarantined}
    if not wanted or wanted in barred or not _good(scene, {wanted, *barred}):
        return quarantined
    reason = _failure(scene, wanted)
    if not reason:
        return quarantined
    return (*quarantined, Quarantined(revision=wanted, reason=reason))[-MOST_QUARANTINED:]


def _failure(scene: Scene, wanted: str) -> str:
    """Why the wanted revision is not tried any more; empty: it is."""
    gateway = scene.gateway
    if gateway is None or gateway.wanted != wanted:
        return ""
    found = trouble(scene, wanted)
    if gateway.given_up == wanted:
        return found.reason if found else ""
    # Nobody trades, and the pod of the one before has gone: a new one is worth more.
    good = _good(scene, {wanted, *(each.revision for each in scene.before.quarantined)})
    gone = not gateway.armed and not any(pod.revision == good for pod in scene.live)
    known = recipe(scene, good) is not None
    return found.reason if found and gone and known and is_of_its_own(found) else ""


def _chosen(scene: Scene, barred: Collection[str]) -> str:
    before, wished = scene.before.wanted_revision, asked(scene)
    kept = before if before not in barred else _good(scene, barred) or before
    if not wished or wished in barred or is_finishing(scene):
        return kept
    return wished


def _good(scene: Scene, others: Collection[str]) -> str:
    """The last one armed that is none of these."""
    before = scene.before
    found = (scene.armed, before.revision, before.good_revision)
    return next((each for each in found if each and each not in others), "")
