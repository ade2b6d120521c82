"""What is kept of earlier revisions: those in use, one to fall back on, and a few of the last."""

from collections.abc import Iterator

from strategy_operator import names
from strategy_operator.actions import Action, DeleteConfigMap, DeleteRevision
from strategy_operator.stage import Stage

_LIMIT = 10  # where the spec cannot be read


def forgetting(stage: Stage) -> Iterator[Action]:
    if stage.scene.gateway is not None:
        yield from _config_maps(stage)
        yield from _revisions(stage)


def _config_maps(stage: Stage) -> Iterator[Action]:
    """Only pods read them, and they can be made again."""
    owner = stage.scene.owner
    kept = {names.child_name(owner.name, revision) for revision in _in_use(stage)}
    for name, uid in sorted(stage.scene.observed.config_maps.items()):
        if uid == owner.uid and name not in kept:
            yield DeleteConfigMap(name)


def _revisions(stage: Stage) -> Iterator[Action]:
    scene, intent = stage.scene, stage.intent
    needed = _in_use(stage) | intent.barred | {intent.good, scene.armed, scene.before.revision}
    needed |= scene.gateway.at_work if scene.gateway else frozenset()
    spare = [
        each
        for each in scene.observed.revisions
        if each.owner_uid == scene.owner.uid and each.name not in needed
    ]
    spare.sort(key=lambda each: (each.created_at, each.name))
    spec = scene.wish.spec
    limit = spec.revision_history_limit_in_force() if spec else _LIMIT
    for each in spare[: max(0, len(spare) - limit)]:
        yield DeleteRevision(names.child_name(scene.owner.name, each.name))


def _in_use(stage: Stage) -> frozenset[str]:
    return frozenset({stage.intent.revision, *(pod.revision for pod in stage.scene.pods)})
