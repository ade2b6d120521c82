"""Which revision is wanted, what to fall back on, and what is not tried again.

This is what the status keeps: it is written before anything is done about it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from platform_spec.status import LONGEST_WHY, MOST_QUARANTINED, Quarantined
from platform_spec.strategy import Supersede
from strategy_operator import names
from strategy_operator.observed import StoredRevision
from strategy_operator.reasons import Finding
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
    if scene.armed in ("", wanted) or asked(scene) == wanted:
        return False
    begun = any(pod.revision == wanted for pod in scene.live)
    return begun and trouble(scene, wanted) is None


def restart_asked(scene: Scene) -> str:
    """Value of the annotation; without one, of the last that there was."""
    return scene.annotations.get(names.RESTART, "")[:_LONGEST_RESTART] or scene.before.restart


def is_given_up(scene: Scene, revision: str) -> bool:
    """Whether the gateway tries it no more, until it was withdrawn or another one deployed."""
    gateway = scene.gateway
    return gateway is not None and gateway.given_up == gateway.wanted == revision != ""


def recipe(scene: Scene, revision: str) -> Recipe | None:
    """Of the spec, where that describes it; else as it was kept."""
    found, spec = scene.wish.revision, scene.wish.spec
    if found and spec and found.name == revision:
        policy = (spec.risk and spec.risk.policy) or ""
        return Recipe(revision, found.content, found.runner, found.image, policy)
    kept = _kept(scene, revision)
    return Recipe(revision, kept.content, kept.runner, kept.image) if kept else None


# ---- Steps


def _after_restart(scene: Scene) -> tuple[str, tuple[Quarantined, ...]]:
    """A new value of the annotation tries again what was given up."""
    before, gateway, value = scene.before, scene.gateway, restart_asked(scene)
    barred = {each.revision for each in before.quarantined}
    if is_given_up(scene, before.wanted_revision):
        return before.restart, before.quarantined  # it is withdrawn first
    if value == before.restart or asked(scene) not in barred:
        return value, before.quarantined
    heard = gateway is not None and gateway.wanted == before.wanted_revision
    if not heard and _kept(scene, before.wanted_revision):
        return before.restart, before.quarantined  # the gateway is still to hear of the fallback
    return value, tuple(each for each in before.quarantined if each.revision != asked(scene))


def _with_the_failed(scene: Scene, quarantined: tuple[Quarantined, ...]) -> tuple[Quarantined, ...]:
    """Only where there is another one, and what it is made from: else it is tried on."""
    wanted = scene.before.wanted_revision
    barred = {each.revision for each in quarantined}
    fallback = _fallback(scene, {wanted, *barred})
    if not wanted or wanted in barred or not fallback:
        return quarantined
    failure = _failure(scene, wanted, fallback)
    if failure is None:
        return quarantined
    failed = Quarantined(
        revision=wanted, reason=failure.reason, message=failure.message[:LONGEST_WHY]
    )
    return (*quarantined, failed)[-MOST_QUARANTINED:]


def _failure(scene: Scene, wanted: str, fallback: str) -> Finding | None:
    """Why the wanted revision is not tried any more; None: it is."""
    gateway = scene.gateway
    if gateway is None or gateway.wanted != wanted:
        return None
    found = trouble(scene, wanted)
    if is_given_up(scene, wanted):
        return found
    # Nobody trades, and the pod of the one before has gone: a new one is worth more.
    gone = not gateway.armed and not any(pod.revision == fallback for pod in scene.live)
    return found if found and gone and is_of_its_own(found) else None


def _chosen(scene: Scene, barred: Collection[str]) -> str:
    before, wished = scene.before.wanted_revision, asked(scene)
    kept = before if before not in barred else _fallback(scene, barred) or before
    if not wished or wished in barred or is_finishing(scene):
        return kept
    return wished


def _fallback(scene: Scene, others: Collection[str]) -> str:
    """The last one armed that is none of these and can be made again."""
    return next((each for each in _armed_before(scene, others) if _kept(scene, each)), "")


def _good(scene: Scene, others: Collection[str]) -> str:
    return next(_armed_before(scene, others), "")


def _armed_before(scene: Scene, others: Collection[str]) -> Iterator[str]:
    """Revisions that were armed and are none of these, the last one first."""
    before = scene.before
    found = (scene.armed, before.revision, before.good_revision)
    return (each for each in found if each and each not in others)


def _kept(scene: Scene, revision: str) -> StoredRevision | None:
    ours = (each for each in scene.observed.revisions if each.owner_uid == scene.owner.uid)
    return next((each for each in ours if each.name == revision), None)
