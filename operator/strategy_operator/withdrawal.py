"""The end of trading: on suspension for a while, on deletion for good.

The gateway disarms first. Where it does not answer, a deadline decides: then pods are deleted
without its word, and it disarms what it still has when it is back.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from platform_spec.status import ConditionStatus, ConditionType
from platform_spec.strategy import PositionPolicy
from strategy_operator.actions import Action, DeletePod, RemoveFinalizer, Withdraw
from strategy_operator.performance import holdings
from strategy_operator.reasons import Finding, Reason
from strategy_operator.scene import Scene

_SUSPENDED = "nobody is armed, no order is at work, and no runner is left"
_STUCK_S = 10.0  # behind the deadline, for pods to take their deletion


@dataclass(frozen=True, slots=True)
class Farewell:
    """What is due now, and what is still waited for."""

    actions: tuple[Action, ...]
    waiting: Finding | None = None
    again_s: float | None = None


def suspend(scene: Scene) -> Farewell:
    actions = list(_withdraw(scene, "suspended", flatten=False))
    late_s = _unanswered_s(scene) - scene.wish.deletion.deadline_seconds
    if scene.observed.complete and (_is_disarmed(scene) or late_s >= 0):
        actions += _deletions(scene, "suspended")
    if _is_over(scene) and not scene.live:
        return Farewell(tuple(actions))
    waiting = Finding(Reason.SUSPENDING, f"waiting until {_SUSPENDED}")
    return Farewell(tuple(actions), waiting, -late_s if late_s < 0 else None)


def delete(scene: Scene) -> Farewell:
    flatten = scene.wish.deletion.position_policy is PositionPolicy.FLATTEN
    actions = list(_withdraw(scene, "deleted", flatten=flatten))
    late_s = scene.since_s(scene.deleted_at) - scene.wish.deletion.deadline_seconds
    done = _is_over(scene) and (not flatten or _is_flat(scene))
    if not scene.observed.complete or not (done or late_s >= 0):
        return Farewell(tuple(actions), _awaited(scene, flatten=flatten), max(-late_s, 1.0))
    actions += _deletions(scene, "its strategy was deleted")
    if scene.finalized and (not scene.live or late_s >= _STUCK_S):
        actions.append(RemoveFinalizer())  # what is left goes with its owner
    again_s = max(_STUCK_S - late_s, 1.0) if scene.live else None
    return Farewell(tuple(actions), _parting(scene, confirmed=done, flatten=flatten), again_s)


def _withdraw(scene: Scene, reason: str, *, flatten: bool) -> Iterator[Action]:
    gateway = scene.gateway
    if gateway is None or not gateway.known:
        return
    to_close = flatten and not _is_flat(scene) and not gateway.flattening
    if gateway.wanted or to_close:
        yield Withdraw(reason, flatten)


def _deletions(scene: Scene, why: str) -> list[Action]:
    return [DeletePod(pod.name, pod.uid, why) for pod in scene.pods if not pod.deleting]


def _is_disarmed(scene: Scene) -> bool:
    gateway = scene.gateway
    return gateway is not None and not gateway.wanted and not gateway.armed


def _is_over(scene: Scene) -> bool:
    """Nobody is armed, and the gateway has nothing left to cancel or to close."""
    gateway = scene.gateway
    return gateway is not None and _is_disarmed(scene) and not gateway.flattening


def _is_flat(scene: Scene) -> bool:
    gateway = scene.gateway
    return gateway is not None and not gateway.flattening and not any(gateway.positions.values())


def _unanswered_s(scene: Scene) -> float:
    """Since when the gateway has not answered. Without a desk there is none to ask: then it is
    since the status says so."""
    lost_at = scene.observed.gateway_lost_at
    if scene.gateway is not None:
        return 0.0
    if lost_at is not None:
        return scene.observed.now - lost_at
    said = scene.before.condition(ConditionType.GATEWAY_CONNECTED)
    if said is None or said.status is ConditionStatus.TRUE:
        return 0.0
    return scene.since_s(said.last_transition_time)


# ---- Words


def _awaited(scene: Scene, *, flatten: bool) -> Finding:
    what = "flat" if flatten else "disarmed"
    deadline = scene.wish.deletion.deadline_seconds
    return Finding(Reason.DELETING, f"waiting until it is {what}, at most {deadline} s")


def _parting(scene: Scene, *, confirmed: bool, flatten: bool) -> Finding:
    if confirmed:
        return Finding(Reason.DELETING, f"disarmed; position: {holdings(scene.gateway)}")
    if scene.gateway is None:
        what = "the gateway did not answer: its runners are deleted, its position is as it was"
        return Finding(Reason.DELETED_UNCONFIRMED, what)
    kept = "not flat" if flatten else f"not done ({scene.gateway.flattening})"
    what = kept if _is_disarmed(scene) else "not disarmed"
    deadline = scene.wish.deletion.deadline_seconds
    left = f"{what} within {deadline} s; position: {holdings(scene.gateway)}"
    return Finding(Reason.DELETED_UNCONFIRMED, left)
