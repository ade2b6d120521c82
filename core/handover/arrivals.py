"""What a runner is told when it comes, or comes back: its Hello says where it stands.

Whatever was lost with the old link is sent again: Arm, Follow, Progress, outcomes. Who has no part
in anything yet begins anew (`Welcome(0, 0)`) and says when it is subscribed.
"""

from collections.abc import Iterable

from handover.effects import Why
from handover.messages import (
    Arm,
    Batch,
    Follow,
    GatewayMessage,
    Hello,
    Mark,
    Outcomes,
    Phase,
    Progress,
    WantSnapshot,
    Welcome,
)
from handover.runs import Run, Scene, Tenure, can_mirror
from handover.view import LedgerView

_STANDBY = Welcome(0, 0)
NOBODY_FOLLOWS = WantSnapshot("", 0)


def arrive(run: Run, hello: Hello, now: float) -> None:
    """Notes what `hello` says of itself."""
    run.connected = True
    run.seen = run.since = now
    run.patience = 0.0
    run.subscription = 0  # until it says so
    run.state_key = hello.state_key


def welcome(scene: Scene, view: LedgerView, run: Run, hello: Hello) -> list[GatewayMessage]:
    tenure = scene.tenure
    if tenure is None:
        run.out_of_step()
        return [_STANDBY]
    if run.instance == tenure.instance:
        return _welcome_the_armed(scene, view, tenure, hello)
    return _welcome_a_standby(view, tenure, run, hello)


def arm(tenure: Tenure, view: LedgerView) -> Arm:
    """What the armed one goes on from, or begins with; the books as they are now."""
    tenure.told = last = view.last_outcome()
    if tenure.armed.after:
        mark = tenure.armed.mark
        return Arm(tenure.epoch, mark, view.outcomes_after(mark.outcome), view.holdings())
    floor = tenure.floor
    mark = Mark(outcome=last, sequences=floor.sequences, session=floor.session)
    return Arm(tenure.epoch, mark, (), view.holdings(), fresh=True)


def progress(view: LedgerView, batch: Batch) -> Progress:
    """What a follower is told of a durable batch."""
    named = {place.outcome for place in batch.inputs}
    later = view.outcomes_after(min(named) - 1) if named else ()
    outcomes = tuple(outcome for outcome in later if outcome.number in named)
    return Progress(batch.epoch, batch.number, batch.mark, batch.inputs, outcomes, view.holdings())


# ---- the armed one


def _welcome_the_armed(
    scene: Scene, view: LedgerView, tenure: Tenure, hello: Hello
) -> list[GatewayMessage]:
    tenure.stop_sent_at = None  # a Stop or a Go may be lost
    for standby in scene.standbys:
        standby.asked = False
    if hello.epoch == tenure.epoch and hello.phase in (Phase.ARMED, Phase.STOPPED):
        return _welcome_back(scene, view, tenure, hello)
    if tenure.confirmed_at is not None:
        tenure.broken = tenure.broken or Why.UNSYNCED
        return [_STANDBY]
    return _arm_again(view, tenure, hello)


def _welcome_back(
    scene: Scene, view: LedgerView, tenure: Tenure, hello: Hello
) -> list[GatewayMessage]:
    stopped = hello.phase is Phase.STOPPED and hello.batch <= tenure.durable
    if stopped and not tenure.stopped:
        tenure.stopped_at = scene.now
    tenure.stopped = hello.stopped if stopped else ""
    if tenure.confirmed_at is None:
        tenure.confirmed_at = scene.now
    tenure.told = view.last_outcome()
    told: list[GatewayMessage] = [Welcome(tenure.epoch, tenure.durable)]
    if not tenure.followed:
        told.append(NOBODY_FOLLOWS)
    missed = view.outcomes_after(tenure.mark.outcome)
    return [*told, Outcomes(missed)] if missed else told


def _arm_again(view: LedgerView, tenure: Tenure, hello: Hello) -> list[GatewayMessage]:
    """The Arm was lost, or not reached yet."""
    after = tenure.armed.after
    if not after:
        return [_STANDBY, arm(tenure, view)]
    if hello.phase is Phase.FOLLOW and hello.following == after:
        caught_up = _caught_up(view, after, hello.batch)
        return [Welcome(after, 0), *caught_up, arm(tenure, view)]
    tenure.broken = Why.UNSYNCED
    return [_STANDBY]


# ---- a standby


def _welcome_a_standby(
    view: LedgerView, tenure: Tenure, run: Run, hello: Hello
) -> list[GatewayMessage]:
    run.out_of_step()
    run.alike = can_mirror(run, tenure.armed)
    # Once the armed one was told that nobody follows, its marks can no longer be compared.
    follows = hello.phase is Phase.FOLLOW and hello.following == tenure.epoch
    if follows and tenure.followed:
        run.synced, run.ready = True, hello.ready
        run.subscription = hello.subscription
        return [Welcome(tenure.epoch, 0), *_caught_up(view, tenure.epoch, hello.batch)]
    if _stopped_before(view, tenure, hello):
        run.synced = run.ready = run.kept = True
        run.subscription = hello.subscription
        follow = Follow(0, tenure.epoch, run.alike)
        return [follow, *_caught_up(view, tenure.epoch, 0)]
    return [_STANDBY]


def _stopped_before(view: LedgerView, tenure: Tenure, hello: Hello) -> bool:
    """Whether it stopped at the very place from which the armed one went on."""
    after = tenure.armed.after
    if hello.phase is not Phase.STOPPED or not after or hello.epoch != after:
        return False
    last = view.last_batch(after)
    return last is not None and last.number == hello.batch and last.stopped != ""


def _caught_up(view: LedgerView, epoch: int, batch: int) -> Iterable[Progress]:
    return [progress(view, each) for each in view.batches_after(epoch, batch)]
