"""The conditions of a strategy: observations, each with a reason of the catalogue.

`Ready` says whether the revision that the spec describes is armed, with its session and its feed
alive. `Stalled` and `Reconciling` are never both true. What the gateway does not tell is unknown;
a silence of a few seconds changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from platform_spec.status import Condition, ConditionStatus, ConditionType
from strategy_operator.intent import Intent, asked
from strategy_operator.observed import FEED_LOST, GatewayView, RunnerSeen
from strategy_operator.reasons import Finding, Reason, named
from strategy_operator.scene import Scene

FEED_ALIVE_S = 5.0
SILENCE_S = 5.0  # of the gateway, before it counts
_LONGEST = 1_000  # characters of a message

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Account:
    """What was decided about a strategy, as far as conditions tell it."""

    scene: Scene
    intent: Intent
    stalled: Finding | None = None  # somebody has to do something
    waiting: Finding | None = None  # for something that is under way
    paused: Finding | None = None


@dataclass(frozen=True, slots=True)
class Says:
    status: ConditionStatus
    reason: str
    message: str = ""


def conditions(account: Account) -> tuple[Condition, ...]:
    return tuple(_condition(account, type_, tell(account)) for type_, tell in _TELLERS)


def is_brief_silence(scene: Scene) -> bool:
    """Whether the gateway has been away for a moment only."""
    return _silent_s(scene) < SILENCE_S


def silence_left_s(scene: Scene) -> float | None:
    left = SILENCE_S - _silent_s(scene)
    return left if scene.gateway is None and left > 0 else None


def _silent_s(scene: Scene) -> float:
    lost_at = scene.observed.gateway_lost_at
    if scene.gateway is not None:
        return 0.0
    return scene.observed.now - lost_at if lost_at is not None else float("inf")


def _condition(account: Account, type_: ConditionType, says: Says) -> Condition:
    before = account.scene.before.condition(type_)
    same = before is not None and before.status is says.status
    return Condition(
        type=type_,
        status=says.status,
        reason=str(says.reason),
        message=says.message[:_LONGEST],
        last_transition_time=(
            before.last_transition_time if before and same else account.scene.observed.now_text
        ),
        observed_generation=account.scene.generation,
    )


# ---- What each says


def ready(account: Account) -> Says:
    answers = (rule(account) for rule in _READINESS)
    return next((answer for answer in answers if answer), Says(FALSE, Reason.NOT_ARMED))


def reconciling(account: Account) -> Says:
    if account.waiting is None or account.stalled is not None:
        return Says(FALSE, Reason.AT_REST)
    return Says(TRUE, account.waiting.reason, account.waiting.message)


def stalled(account: Account) -> Says:
    if account.stalled is None:
        return Says(FALSE, Reason.NOT_STALLED)
    return Says(TRUE, account.stalled.reason, account.stalled.message)


def armed(account: Account) -> Says:
    gateway = account.scene.gateway
    if gateway is None:
        return _unknown(account, ConditionType.ARMED)
    if not gateway.armed:
        return Says(FALSE, Reason.NOT_ARMED, _why_nobody(gateway.none_reason))
    return Says(TRUE, Reason.ARMED, f"{named(gateway.armed)}, epoch {gateway.epoch}")


# What the gateway calls it, in words; of what is not here its own word will do.
NOBODY: Mapping[str, str] = {
    "none_connected": "no runner is connected that could be armed",
    "not_subscribed": "a runner is connected, and has no market data yet",
    "not_wanted": "nothing has been deployed",
    "withdrawn": "it was withdrawn",
    "crash_loop": "its runners failed in a row",
    "armed_lost": "the armed runner was lost, and no other one is ready",
    "old_lost": "the armed runner was lost while it handed over",
    "never_ready": "no runner became ready in time",
    "feed_lost": "the armed runner lost its market data",
}


def _why_nobody(reason: str) -> str:
    return f"{reason}: {NOBODY[reason]}" if reason in NOBODY else reason


def feed_healthy(account: Account) -> Says:
    gateway = account.scene.gateway
    if gateway is None:
        return _unknown(account, ConditionType.FEED_HEALTHY)
    runner = armed_runner(gateway)
    if runner is None:
        return Says(UNKNOWN, Reason.NOT_ARMED, "only an armed runner tells")
    if runner.feed_age_s is None:
        return Says(UNKNOWN, Reason.FEED_UNKNOWN, "its runner has not told yet")
    if runner.feed_age_s < FEED_ALIVE_S:
        return Says(TRUE, Reason.FEED_ALIVE)
    if runner.feed_age_s == FEED_LOST:
        return Says(FALSE, Reason.FEED_STALE, "its runner has no link to the feed")
    return Says(FALSE, Reason.FEED_STALE, f"no market data for {FEED_ALIVE_S:.0f} s and more")


def gateway_connected(account: Account) -> Says:
    if account.scene.gateway is not None:
        return Says(TRUE, Reason.CONNECTED)
    if account.scene.observed.gateway_lost_at is None:
        return Says(UNKNOWN, Reason.GATEWAY_UNREACHABLE, "it has not been heard of yet")
    return _unknown(account, ConditionType.GATEWAY_CONNECTED, otherwise=FALSE)


def paused(account: Account) -> Says:
    if account.paused is None:
        return Says(FALSE, Reason.NOT_PAUSED)
    return Says(TRUE, account.paused.reason, account.paused.message)


_TELLERS: tuple[tuple[ConditionType, Callable[[Account], Says]], ...] = (
    (ConditionType.READY, ready),
    (ConditionType.RECONCILING, reconciling),
    (ConditionType.STALLED, stalled),
    (ConditionType.ARMED, armed),
    (ConditionType.FEED_HEALTHY, feed_healthy),
    (ConditionType.GATEWAY_CONNECTED, gateway_connected),
    (ConditionType.PAUSED, paused),
)


def armed_runner(gateway: GatewayView) -> RunnerSeen | None:
    return next((runner for runner in gateway.runners if runner.armed), None)


def _unknown(account: Account, type_: ConditionType, otherwise: ConditionStatus = UNKNOWN) -> Says:
    """As it was for a moment, then unknown."""
    before = account.scene.before.condition(type_)
    if before is not None and is_brief_silence(account.scene):
        return Says(before.status, before.reason, before.message)
    return Says(otherwise, Reason.GATEWAY_UNREACHABLE, "the gateway does not answer")


# ---- Readiness: the first rule that has something to say


def it_is_not_to_go(account: Account) -> Says | None:
    scene = account.scene
    if scene.deleted_at:
        return Says(FALSE, Reason.DELETING)
    return Says(FALSE, Reason.SUSPENDED) if scene.wish.suspended else None


def its_spec_is_refused(account: Account) -> Says | None:
    refusal = account.scene.wish.refusal
    return Says(FALSE, refusal.reason, refusal.message) if refusal else None


def the_gateway_is_silent(account: Account) -> Says | None:
    return _unknown(account, ConditionType.READY) if account.scene.gateway is None else None


def another_revision_is_wanted(account: Account) -> Says | None:
    wished, wanted = asked(account.scene), account.intent.revision
    if wished == wanted:
        return None
    why = account.stalled or account.waiting or Finding(Reason.OTHER_REVISION_ARMED)
    return Says(FALSE, why.reason, why.message)


def it_is_not_armed(account: Account) -> Says | None:
    scene = account.scene
    if scene.armed and scene.armed == account.intent.revision:
        return None
    why = account.stalled or account.waiting or Finding(Reason.NOT_ARMED)
    return Says(FALSE, why.reason, why.message)


def its_session_is_lost(account: Account) -> Says | None:
    gateway = account.scene.gateway
    runner = armed_runner(gateway) if gateway else None
    if runner is not None and runner.connected:
        return None
    return Says(FALSE, Reason.RUNNER_DISCONNECTED, "the armed runner has no session")


def its_feed_is_stale(account: Account) -> Says | None:
    says = feed_healthy(account)
    return None if says.status is TRUE else Says(FALSE, says.reason, says.message)


def all_is_well(account: Account) -> Says | None:
    revision = named(account.scene.armed)
    if account.paused:
        return Says(TRUE, Reason.ARMED, f"{revision} is armed and halted: {account.paused.message}")
    return Says(TRUE, Reason.ARMED, f"{revision} trades")


_READINESS: tuple[Callable[[Account], Says | None], ...] = (
    it_is_not_to_go,
    its_spec_is_refused,
    another_revision_is_wanted,
    the_gateway_is_silent,
    it_is_not_armed,
    its_session_is_lost,
    its_feed_is_stale,
    all_is_well,
)
