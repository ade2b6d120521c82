"""The phase: one word for a column, derived from the conditions by a table."""

from collections.abc import Callable, Sequence

from platform_spec.status import Condition, ConditionStatus, ConditionType, Phase

Facts = frozenset[ConditionType]  # the conditions that are true


def phase(conditions: Sequence[Condition], *, deleted: bool) -> Phase:
    true = frozenset(
        ConditionType(each.type) for each in conditions if each.status is ConditionStatus.TRUE
    )
    if deleted:
        return Phase.STOPPED
    return next(phase for phase, holds in _TABLE if holds(true))


_TABLE: tuple[tuple[Phase, Callable[[Facts], bool]], ...] = (
    (Phase.PAUSED, lambda true: ConditionType.PAUSED in true),
    (Phase.RUNNING, lambda true: ConditionType.ARMED in true),
    (Phase.ERROR, lambda true: ConditionType.STALLED in true),
    (Phase.DEPLOYED, lambda _: True),
)
