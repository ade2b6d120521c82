"""Events for `kubectl describe`: what changed from one status to the next. None at rest."""

from collections.abc import Callable

from platform_spec.status import Condition, ConditionStatus, ConditionType, StrategyStatus
from strategy_operator.actions import Event
from strategy_operator.reasons import Reason, named

_LONGEST = 1_000  # bytes that an event's note may have, about


def news(before: StrategyStatus, after: StrategyStatus) -> tuple[Event, ...]:
    found = (rule(before, after) for rule in _RULES)
    return tuple(event for event in found if event)


def _event(reason: str, message: str, *, warning: bool = False) -> Event:
    return Event(str(reason), message[:_LONGEST], warning)


# ---- Of the rollout


def another_revision_is_wanted(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    if after.wanted_revision == before.wanted_revision:
        return None
    former = f", after {before.wanted_revision}" if before.wanted_revision else ""
    return _event(Reason.REVISION_WANTED, f"{named(after.wanted_revision)} is wanted{former}")


def a_position_is_taken_on(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    """The gateway knew a strategy of this name before."""
    first = after.wanted_revision and not before.wanted_revision
    if not first or after.trading is None or not after.trading.positions:
        return None
    what = f"goes on with the position of an earlier strategy: {after.trading.position}"
    return _event(Reason.POSITION_ADOPTED, what)


def a_restart_is_asked_for(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    if after.restart == before.restart:
        return None
    return _event(Reason.RESTART_ASKED, f"its runner is replaced: restart {after.restart[:100]}")


def a_pod_is_started(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    if after.attempt <= before.attempt:
        return None
    what = f"pod {after.attempt} of {named(after.wanted_revision)} is created"
    return _event(Reason.POD_STARTED, what)


def it_is_handed_over(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    if after.epoch == before.epoch or not after.revision or not _is(after, ConditionType.ARMED):
        return None
    now = f"{after.revision} is armed, epoch {after.epoch}"
    if before.revision in ("", after.revision):
        return _event(Reason.ARMED_ANEW if before.revision else Reason.ARMED, f"revision {now}")
    return _event(Reason.HANDED_OVER, f"{before.revision} -> {now}")


# ---- Of conditions


def it_is_stalled(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.STALLED)
    if now and now.status is ConditionStatus.TRUE:
        said = was and was.status is now.status and was.reason == now.reason
        return None if said else _event(now.reason, now.message, warning=True)
    stood = was and was.status is ConditionStatus.TRUE
    return _event(Reason.RECOVERED, f"no more {was.reason}") if was and stood else None


def it_is_disarmed(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.ARMED)
    if not was or not now or was.status is not ConditionStatus.TRUE:
        return None
    if now.status is not ConditionStatus.FALSE:
        return None
    asked = _is(after, ConditionType.PAUSED) or _reason(after, ConditionType.READY) == (
        Reason.DELETING
    )
    return _event(Reason.NOT_ARMED, f"nobody is armed: {now.message}", warning=not asked)


def it_pauses(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.PAUSED)
    if now and now.status is ConditionStatus.TRUE:
        said = was and was.status is now.status and was.reason == now.reason
        halted = now.reason == Reason.HALTED
        return None if said else _event(now.reason, now.message, warning=halted)
    stood = was is not None and was.status is ConditionStatus.TRUE
    return _event(Reason.RESUMED, "it is paused no more") if stood else None


def the_gateway_comes_or_goes(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.GATEWAY_CONNECTED)
    if not was or not now or was.status is now.status:
        return None
    if now.status is ConditionStatus.FALSE:
        return _event(Reason.GATEWAY_UNREACHABLE, now.message, warning=True)
    if was.status is ConditionStatus.FALSE:
        return _event(Reason.CONNECTED, "the gateway answers again")
    return None


def the_feed_stops(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.FEED_HEALTHY)
    if not now or now.status is not ConditionStatus.FALSE or (was and was.status is now.status):
        return None
    return _event(Reason.FEED_STALE, now.message, warning=True)


def it_is_deleted_unconfirmed(before: StrategyStatus, after: StrategyStatus) -> Event | None:
    was, now = _both(before, after, ConditionType.RECONCILING)
    if not now or now.reason != Reason.DELETED_UNCONFIRMED or (was and was.reason == now.reason):
        return None
    return _event(Reason.DELETED_UNCONFIRMED, now.message, warning=True)


_RULES: tuple[Callable[[StrategyStatus, StrategyStatus], Event | None], ...] = (
    a_position_is_taken_on,
    another_revision_is_wanted,
    a_restart_is_asked_for,
    a_pod_is_started,
    it_is_handed_over,
    it_is_stalled,
    it_is_disarmed,
    it_pauses,
    the_gateway_comes_or_goes,
    the_feed_stops,
    it_is_deleted_unconfirmed,
)


def _both(
    before: StrategyStatus, after: StrategyStatus, type_: ConditionType
) -> tuple[Condition | None, Condition | None]:
    return before.condition(type_), after.condition(type_)


def _is(status: StrategyStatus, type_: ConditionType) -> bool:
    condition = status.condition(type_)
    return condition is not None and condition.status is ConditionStatus.TRUE


def _reason(status: StrategyStatus, type_: ConditionType) -> str:
    condition = status.condition(type_)
    return condition.reason if condition else ""
