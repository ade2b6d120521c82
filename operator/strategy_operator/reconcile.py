"""One decision for every cause: from what is observed to a status, actions and events.

Pure and level-triggered: the same view gives the same decision, and where all is as wanted there is
none. It never raises. The status that a decision rests on is written before its actions are done.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from platform_spec.status import ConditionStatus, ConditionType, StrategyStatus
from strategy_operator.actions import Action, AddFinalizer, Decision, Withdraw, target_of
from strategy_operator.conditions import Account, conditions, is_brief_silence, silence_left_s
from strategy_operator.history import forgetting
from strategy_operator.intent import Intent, asked, intend, is_finishing, unchanged
from strategy_operator.news import news
from strategy_operator.observed import Observed
from strategy_operator.performance import performance
from strategy_operator.phases import phase
from strategy_operator.reasons import Finding, Reason, named
from strategy_operator.rollout import Move, move
from strategy_operator.scene import Scene, look
from strategy_operator.stage import Stage, set_up
from strategy_operator.stall import Case, look_again_s, stall
from strategy_operator.starting import retry_s
from strategy_operator.trouble import next_look_s
from strategy_operator.withdrawal import Farewell, delete, suspend


def reconcile(observed: Observed) -> Decision:
    scene = look(observed)
    if scene.deleted_at:
        return _deletion(scene)
    if scene.wish.suspended:
        return _suspension(scene)
    if not observed.complete:  # nothing that half a view could make worse
        return Decision(None)
    intent = intend(scene)
    if not scene.finalized and intent.revision:  # before anything that it would have to undo
        due, retry = _due(scene, (AddFinalizer(),))
        return Decision(None, due, again_s=min(retry, default=None))
    return _rollout(scene, intent)


def _deletion(scene: Scene) -> Decision:
    farewell = delete(scene)
    intent = unchanged(scene)
    account = Account(scene, intent, waiting=farewell.waiting)
    return _decision(account, farewell.actions, scene.before.attempt, _again(farewell))


def _suspension(scene: Scene) -> Decision:
    farewell = suspend(scene)
    intent = unchanged(scene)
    stage = set_up(scene, intent)
    refusal = scene.wish.refusal
    account = Account(
        scene,
        intent,
        stalled=Finding(refusal.reason, refusal.message) if refusal else None,
        waiting=farewell.waiting,
        paused=Finding(Reason.SUSPENDED, "spec.suspend is true"),
    )
    actions = (*farewell.actions, *forgetting(stage))
    return _decision(account, actions, scene.before.attempt, _again(farewell))


def _rollout(scene: Scene, intent: Intent) -> Decision:
    stage = set_up(scene, intent)
    moved = move(stage)
    actions = (*moved.actions, *forgetting(stage))
    case = Case(scene, intent, actions, moved.hold)
    account = Account(
        scene,
        intent,
        stalled=stall(case),
        waiting=_waiting(stage, moved),
        paused=_halt(scene),
    )
    ahead = (
        *moved.again_s,
        next_look_s(scene, intent.revision),
        look_again_s(case),
        silence_left_s(scene),
    )
    return _decision(account, actions, moved.attempt, [each for each in ahead if each])


def _again(farewell: Farewell) -> list[float]:
    return [farewell.again_s] if farewell.again_s else []


# ---- What is waited for


def _waiting(stage: Stage, moved: Move) -> Finding | None:
    scene, intent = stage.scene, stage.intent
    if scene.gateway is None:
        return _in_silence(scene)
    if moved.hold and moved.hold.finding:
        return moved.hold.finding
    if not intent.revision:
        return None
    if not stage.is_armed:
        return _on_the_way(stage)
    if stage.outdated or not stage.current:
        return Finding(Reason.REPLACING_POD, f"{named(intent.revision)} gets a new pod")
    return None


def _on_the_way(stage: Stage) -> Finding:
    wanted, armed = stage.intent.revision, stage.scene.armed
    if is_finishing(stage.scene):
        what = f"{named(asked(stage.scene))} follows when {named(wanted)} is armed"
        return Finding(Reason.FINISHING_HAND_OVER, what)
    if armed:
        what = f"{named(armed)} trades on until {named(wanted)} is ready"
        return Finding(Reason.HANDING_OVER, what)
    return Finding(Reason.STARTING, f"{named(wanted)} is started")


def _in_silence(scene: Scene) -> Finding | None:
    before = scene.before.condition(ConditionType.RECONCILING)
    if before is None or not is_brief_silence(scene):
        return Finding(Reason.GATEWAY_UNREACHABLE, "waiting for the gateway")
    return Finding(before.reason, before.message) if before.status is ConditionStatus.TRUE else None


def _halt(scene: Scene) -> Finding | None:
    """The desk's: whoever is armed stays so, and its orders are refused."""
    policies = scene.observed.policies.values()
    halted = sorted(policy.name for policy in policies if policy.halted)
    if halted:
        return Finding(Reason.HALTED, f"RiskPolicy {', '.join(halted)} halts the desk")
    if scene.gateway and scene.gateway.halted:
        return Finding(Reason.HALTED, f"the desk is halted: {scene.gateway.halted}")
    return None


# ---- The decision


def _decision(
    account: Account, actions: Sequence[Action], attempt: int, ahead: Iterable[float]
) -> Decision:
    scene = account.scene
    if not scene.observed.complete:
        safe = tuple(action for action in actions if isinstance(action, Withdraw))
        return Decision(None, safe)
    status, news_s = _status(account, attempt)
    due, retry = _due(scene, actions)
    events = news(scene.before, status)
    changed = status if status != scene.before else None
    again = min((*ahead, *retry, *([news_s] if news_s else [])), default=None)
    return Decision(changed, due, events if changed else (), again)


def _status(account: Account, attempt: int) -> tuple[StrategyStatus, float | None]:
    scene, intent = account.scene, account.intent
    before, gateway = scene.before, scene.gateway
    found = conditions(account)
    revision = scene.armed or before.revision
    trading, again_s = performance(scene, revision)
    spec = scene.wish.spec
    status = replace(
        before,
        observed_generation=scene.generation,
        phase=phase(found, deleted=bool(scene.deleted_at)),
        mode=spec.mode_in_force() if spec else before.mode,
        revision=revision,
        wanted_revision=intent.revision,
        attempt=attempt,
        restart=intent.restart,
        epoch=max(before.epoch, gateway.epoch if gateway else 0),
        good_revision=intent.good,
        handovers=max(before.handovers, gateway.handovers if gateway else 0),
        quarantined=intent.quarantined,
        trading=trading,
        conditions=found,
    )
    return status, again_s


def _due(scene: Scene, actions: Iterable[Action]) -> tuple[tuple[Action, ...], list[float]]:
    """What failed a moment ago is left alone for a while."""
    due: list[Action] = []
    left_s: list[float] = []
    for action in actions:
        left = _left_alone_s(scene, action)
        if left > 0:
            left_s.append(left)
        else:
            due.append(action)
    return tuple(due), left_s


def _left_alone_s(scene: Scene, action: Action) -> float:
    for obstacle in scene.observed.obstacles:
        if (obstacle.action, obstacle.target) == (type(action).__name__, target_of(action)):
            return obstacle.at + retry_s(obstacle) - scene.observed.now
    return 0.0
