"""The next thing to do about a strategy's grants: rules, in the order they apply.

Each looks at the scene as it is, whatever brought it there, and answers a move or None. Rules in
`RULES` come to pass one at a time and never while a switch is being written.
"""

from collections.abc import Callable
from dataclasses import dataclass

from handover.effects import Why
from handover.runs import Run, Scene, Tenure


@dataclass(frozen=True, slots=True)
class Grant:
    """Nobody is armed: this one begins."""

    instance: str


@dataclass(frozen=True, slots=True)
class Switch:
    """From the armed one to this follower, at the last place decided."""

    instance: str
    why: str


@dataclass(frozen=True, slots=True)
class End:
    why: str


@dataclass(frozen=True, slots=True)
class AskToStop:
    heir: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """The one that stopped, or was asked to, decides again."""

    why: str


@dataclass(frozen=True, slots=True)
class AskSnapshot:
    instance: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The standby is not needed, or of no use. `failed`: its revision is to blame."""

    instance: str
    why: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: str


@dataclass(frozen=True, slots=True)
class Prove:
    """The armed one has lasted."""


Move = Grant | Switch | End | AskToStop | LetGo | AskSnapshot | Drop | GiveUp | Prove


def next_move(scene: Scene) -> Move | None:
    for rule in RULES:
        move = rule(scene)
        if move:
            return move
    return None


# ---- the armed one


def end_what_is_not_wanted(scene: Scene) -> Move | None:
    if scene.tenure and not scene.record.wanted:
        return End(Why.WITHDRAWN)
    return None


def replace_the_broken(scene: Scene) -> Move | None:
    """It said that it cannot go on."""
    tenure = scene.tenure
    return (
        _replace(scene, tenure.broken) or End(tenure.broken) if tenure and tenure.broken else None
    )


def follow_the_stopped(scene: Scene) -> Move | None:
    """It stopped at a durable place: another goes on from there, or it does so itself."""
    tenure = scene.tenure
    if not tenure or not tenure.stopped or tenure.in_flight:
        return None
    if switch := _replace(scene, tenure.stopped):
        return switch
    patience = 0.0 if tenure.stopped == Why.ASKED else scene.timing.step
    if scene.is_up(scene.armed_run) and scene.now - tenure.stopped_at >= patience:
        return LetGo(tenure.stopped)
    return None


def replace_the_lost(scene: Scene) -> Move | None:
    """Its link is gone, or it says nothing, and a follower is there."""
    run = scene.armed_run
    if not scene.tenure or not run:
        return None
    if not run.connected:
        gone = scene.now - run.away_since >= run.patience
        return _replace(scene, Why.OLD_LOST) if gone else None
    silent = scene.now - run.seen >= scene.timing.lease
    return _replace(scene, Why.OLD_SILENT) if silent else None


def replace_what_never_began(scene: Scene) -> Move | None:
    """Armed, but no first batch says that it knows."""
    tenure = scene.tenure
    if not tenure or tenure.confirmed_at is not None or not scene.is_up(scene.armed_run):
        return None
    waited = scene.now - tenure.since
    if waited >= scene.timing.lease and (switch := _replace(scene, Why.NO_PROGRESS)):
        return switch
    return End(Why.NO_PROGRESS) if waited >= scene.timing.silent else None


def end_the_lost(scene: Scene) -> Move | None:
    """The same without a follower."""
    run, timing = scene.armed_run, scene.timing
    if not scene.tenure or not run:
        return None
    if run.connected:
        lost = scene.now - run.seen >= timing.silent
    else:
        lost = scene.now - run.away_since >= max(run.patience, timing.lease)
    return End(Why.ARMED_LOST) if lost else None


def keep_what_lasts(scene: Scene) -> Move | None:
    tenure, run = scene.tenure, scene.armed_run
    if not tenure or not run or run.proven or tenure.confirmed_at is None:
        return None
    lasted = scene.now - tenure.confirmed_at >= scene.timing.probation
    return Prove() if lasted and scene.is_up(run) else None


# ---- hand-over to the wanted revision


def stop_for_the_heir(scene: Scene) -> Move | None:
    tenure = scene.tenure
    if not tenure or tenure.stopped or not scene.is_up(scene.armed_run):
        return None
    if tenure.stop_sent_at is not None:
        return _mind_the_stop(scene, tenure, tenure.stop_sent_at)
    if tenure.confirmed_at is None or tenure.armed.revision == scene.record.target:
        return None
    heirs = (run for run in scene.standbys if _may_take_over(scene, run))
    heir = next(heirs, None)
    return AskToStop(heir.instance) if heir else None


def _may_take_over(scene: Scene, run: Run) -> bool:
    fresh = run.connected and scene.now - run.seen <= scene.timing.fresh
    return run.ready and fresh and run.revision == scene.record.target


def _mind_the_stop(scene: Scene, tenure: Tenure, sent_at: float) -> Move | None:
    if scene.now - sent_at < scene.timing.stop:
        return None
    heir = scene.runs.get(tenure.heir)
    if heir and heir.ready and scene.is_up(heir):
        return Switch(heir.instance, Why.STOP_TIMEOUT)
    return LetGo(Why.STOP_TIMEOUT)


def ask_for_snapshots(scene: Scene) -> Move | None:
    tenure = scene.tenure
    if not tenure or tenure.broken or not scene.is_up(scene.armed_run):
        return None
    wanting = (
        run
        for run in scene.standbys
        if run.connected and run.subscription and not run.asked and not run.synced
    )
    run = next(wanting, None)
    return AskSnapshot(run.instance) if run else None


def grant_to_the_first(scene: Scene) -> Move | None:
    """Nobody is armed: the wanted revision's runner begins, or that of the last good one."""
    if scene.tenure or not scene.record.wanted:
        return None
    record = scene.record
    able = [run for run in scene.runs.values() if scene.is_up(run) and run.subscription]
    for revision in (record.target, record.former):
        for run in able:
            if revision and run.revision == revision != record.given_up:
                return Grant(run.instance)
    return None


# ---- standbys


def drop_the_useless(scene: Scene) -> Move | None:
    for run in scene.standbys:
        why = _useless(scene, run)
        if why:
            failed = why not in _NO_FAILURE and run.revision == scene.record.wanted
            return Drop(run.instance, why, failed and not _is_spare(scene, run))
    return None


_NO_FAILURE = frozenset({Why.REPLACED, Why.SUPERSEDED, Why.CRASH_LOOP, Why.WITHDRAWN})


def _useless(scene: Scene, run: Run) -> str | None:
    """Why this standby should leave; None while it should not."""
    timing, record, tenure = scene.timing, scene.record, scene.tenure
    if not run.connected and scene.now - run.away_since >= max(run.patience, timing.lease):
        return Why.REPLACED if run.kept else Why.NEW_LOST
    if run.connected and scene.now - run.seen >= timing.lease:
        return Why.REPLACED if run.kept else Why.NEW_LOST
    if not record.wanted:
        return Why.WITHDRAWN
    if run.revision == record.given_up:
        return Why.CRASH_LOOP
    if run.troubles >= 2:
        return run.trouble
    if not tenure or run.instance == tenure.heir:
        return None
    if not scene.has_place_for(run.revision):
        return _leave(scene, run, tenure)
    return Why.NEVER_READY if _never_ready(scene, run, tenure) else None


def _leave(scene: Scene, run: Run, tenure: Tenure) -> str | None:
    """Nobody leaves while the armed one is away; the old one not until it has shown itself."""
    if not scene.is_up(scene.armed_run):
        return None
    if not run.kept:
        return Why.SUPERSEDED
    if tenure.confirmed_at is None or scene.now - tenure.confirmed_at < scene.timing.soak:
        return None
    return Why.REPLACED


def _never_ready(scene: Scene, run: Run, tenure: Tenure) -> bool:
    armed = scene.armed_run
    if run.ready or not armed or not scene.is_up(armed):
        return False
    warming = run.synced and not run.alike
    patience = scene.timing.warm if warming else scene.timing.ready
    return scene.now - max(run.since, armed.since, tenure.since) >= patience


def _is_spare(scene: Scene, run: Run) -> bool:
    return scene.tenure is not None and scene.tenure.armed.revision == run.revision


def give_up_the_crashing(scene: Scene) -> Move | None:
    record = scene.record
    if scene.failures < scene.timing.failures or record.given_up == record.wanted:
        return None
    other = record.former not in ("", record.wanted)
    return GiveUp(Why.CRASH_LOOP) if other and record.wanted else None


def _replace(scene: Scene, why: str) -> Switch | None:
    heir = scene.heir()
    return Switch(heir.instance, why) if heir else None


RULES: tuple[Callable[[Scene], Move | None], ...] = (
    end_what_is_not_wanted,
    replace_the_broken,
    follow_the_stopped,
    replace_the_lost,
    replace_what_never_began,
    end_the_lost,
    keep_what_lasts,
    give_up_the_crashing,
    drop_the_useless,
    stop_for_the_heir,
    ask_for_snapshots,
    grant_to_the_first,
)
