"""The gateway's half: who may trade for one strategy, and how that moves to another runner.

Pure: every input answers the effects to carry out, in order; time comes with `tick`, which is
called about every 20 ms. Nothing is sent before what it rests on is durable. What is done next is
decided in `moves`, which batches count in `fence`, what a returning runner is told in `arrivals`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from handover.arrivals import arm, arrive, progress, welcome
from handover.effects import (
    Armed,
    Close,
    Effect,
    Ended,
    GivenUp,
    GrantChange,
    Note,
    Persist,
    Send,
    Take,
    Wanted,
    Why,
)
from handover.fence import Passage, let_through, passage
from handover.marks import raised
from handover.messages import (
    Ack,
    Alive,
    Batch,
    Counters,
    Follow,
    GatewayMessage,
    Go,
    Hello,
    Mark,
    Outcome,
    Outcomes,
    Phase,
    Ready,
    Refused,
    Release,
    Restore,
    RunnerMessage,
    Snapshot,
    Stop,
    Subscribed,
    Trouble,
    WantSnapshot,
    Welcome,
)
from handover.moves import (
    AskSnapshot,
    AskToStop,
    Drop,
    End,
    GiveUp,
    Grant,
    LetGo,
    Move,
    Prove,
    Switch,
    next_move,
)
from handover.record import Record
from handover.runs import Run, Scene, Tenure, can_mirror, newcomer
from handover.timing import TIMING, Timing
from handover.view import LedgerView
from trading.reasons import Reason
from trading.signals import Verdict

__all__ = ["Grants", "LedgerView", "RunnerView"]

_NOWHERE = Mark()
_BLAMELESS = frozenset(
    {Why.ASKED, Why.FEED_LOST, Why.WITHDRAWN, Why.STOP_TIMEOUT, Why.UNSYNCED, Why.HELD_TOO_MANY}
)


@dataclass(frozen=True, slots=True)
class RunnerView:
    instance: str
    revision: str
    role: str  # armed, standby
    phase: Phase
    epoch: int
    connected: bool
    ready: bool
    counters: Counters


class Grants:
    """The grants of one strategy. Call nothing concurrently."""

    def __init__(self, strategy: str, view: LedgerView, timing: Timing = TIMING) -> None:
        self.strategy = strategy
        self.handovers = 0  # switches from one runner to another, this life of the gateway
        self.refused = 0  # signals, at the fence
        self._view = view
        self._scene = Scene(timing, Record())
        self._intended = ""  # the last revision asked for; wanted when that is durable
        self._woke: float | None = None
        self._effects: list[Effect] = []
        self._token = 0
        self._unwritten: dict[int, tuple[tuple[GrantChange, ...], Callable[[], None]]] = {}
        self._writing: Grant | Switch | End | None = None  # from its decision until it is durable
        self._written = False

    @classmethod
    def restore(
        cls,
        strategy: str,
        view: LedgerView,
        changes: Iterable[GrantChange],
        timing: Timing = TIMING,
    ) -> Self:
        """As a gateway that was killed left them; no effects. The view is asked at once."""
        grants = cls(strategy, view, timing)
        scene = grants._scene
        for change in changes:
            scene.record = scene.record.after(change)
        grants._intended = scene.record.wanted
        if armed := scene.record.armed:
            scene.tenure = _resumed(armed, scene.record, view)
            scene.runs[armed.instance] = Run(
                armed.instance, armed.revision, armed.state_key, patience=timing.resume
            )
        return grants

    # ---- inputs

    def deploy(self, revision: str) -> list[Effect]:
        """This revision is wanted now; answer the caller when its Persist is durable.

        While a switch is under way, that is finished first. The same revision again is nothing,
        and does not try again one that was given up.
        """
        return self._intend(revision, "")

    def withdraw(self, reason: str) -> list[Effect]:
        """No revision is wanted: the armed one is ended, every runner released."""
        return self._intend("", reason)

    def connected(self, instance: str, hello: Hello) -> list[Effect]:
        """A stream opened and said `hello`. An older stream of the instance counts no more."""
        scene = self._scene
        if instance not in scene.runs and (why := self._unwelcome(hello.revision)):
            self._send(instance, Release(why))
            return self._settled()
        run = scene.runs.setdefault(instance, newcomer(hello))
        arrive(run, hello, scene.now)
        # The armed one is told when the switch is durable: nothing of it counts until then.
        if not (self._writing and scene.tenure and run is scene.armed_run):
            for message in welcome(scene, self._view, run, hello):
                self._send(instance, message)
        return self._settled()

    def message(self, instance: str, message: RunnerMessage) -> list[Effect]:
        """Anything else that came over the current stream of `instance`."""
        run = self._scene.runs.get(instance)
        if run is None or not run.connected:
            return []
        run.seen = self._scene.now
        _MESSAGES[type(message)](self, run, message)
        return self._settled()

    def disconnected(self, instance: str) -> list[Effect]:
        """The current stream of `instance` ended. Not to be told of a stream that was replaced."""
        run = self._scene.runs.get(instance)
        if run is not None and run.connected:
            run.connected = False
            run.away_since = self._scene.now
        return self._settled()

    def durable(self, token: int) -> list[Effect]:
        """The changes of that Persist are on disk. In the order of the tokens."""
        changes, then = self._unwritten.pop(token)
        for change in changes:
            self._scene.record = self._scene.record.after(change)
        then()
        return self._settled()

    def batch_durable(
        self, epoch: int, number: int, verdicts: tuple[Verdict, ...] = ()
    ) -> list[Effect]:
        """A batch of a Take is on disk, with its verdicts. In the order of their numbers.

        The view answers it from now on (batches_after, holdings, refusals among the outcomes).
        """
        tenure = self._scene.tenure
        if tenure is not None and epoch == tenure.epoch and number in tenure.in_flight:
            batch = tenure.in_flight.pop(number)
            tenure.durable = number
            self._send(tenure.instance, Ack(number, verdicts))
            self._publish(tenure, batch)
            self._confirm(tenure, batch)
        return self._settled()

    def outcomes(self, outcomes: tuple[Outcome, ...]) -> list[Effect]:
        """These became durable, in the order of their numbers; the view has them."""
        tenure, run = self._scene.tenure, self._scene.armed_run
        if tenure is not None and run is not None and run.connected:
            news = tuple(each for each in outcomes if each.number > tenure.told)
            if news:
                tenure.told = news[-1].number
                self._send(tenure.instance, Outcomes(news))
        return self._settled()

    def tick(self, now: float) -> list[Effect]:
        """The time, monotonic. A gateway that was stopped itself does not blame the others."""
        woke, self._woke = self._woke, now
        if woke is not None:
            self._scene.now += min(now - woke, self._scene.timing.nap)
        return self._settled()

    # ---- how it stands

    @property
    def wanted(self) -> str:
        return self._scene.record.wanted

    @property
    def given_up(self) -> str:
        """The wanted revision if it is no longer tried (`crash_loop`), else empty."""
        return self._scene.record.given_up

    @property
    def target(self) -> str:
        """The revision that should run: the wanted one, or the one before if that was given up."""
        return self._scene.record.target

    @property
    def epoch(self) -> int:
        """Of the armed one; 0 while nobody is armed."""
        return self._scene.tenure.epoch if self._scene.tenure else 0

    @property
    def revision(self) -> str:
        """Of the armed one; empty while nobody is armed."""
        return self._scene.tenure.armed.revision if self._scene.tenure else ""

    @property
    def instance(self) -> str:
        """The armed one; empty while nobody is armed."""
        return self._scene.tenure.instance if self._scene.tenure else ""

    @property
    def none_reason(self) -> str:
        """Why nobody is armed; empty while somebody is."""
        scene = self._scene
        if scene.tenure:
            return ""
        if not scene.record.wanted:
            return Why.WITHDRAWN if scene.record.epoch else Why.NOT_WANTED
        if scene.failures >= scene.timing.failures or scene.record.given_up:
            return Why.CRASH_LOOP
        if scene.record.ended:
            return scene.record.ended
        there = any(run.connected for run in scene.runs.values())
        return Why.NOT_SUBSCRIBED if there else Why.NONE_CONNECTED

    @property
    def mark(self) -> Mark:
        """The last place decided by the armed one."""
        return self._scene.tenure.mark if self._scene.tenure else _NOWHERE

    @property
    def runners(self) -> tuple[RunnerView, ...]:
        return tuple(self._view_of(run) for run in self._scene.runs.values())

    def _view_of(self, run: Run) -> RunnerView:
        tenure = self._scene.tenure
        is_armed = tenure is not None and run.instance == tenure.instance
        return RunnerView(
            run.instance,
            run.revision,
            "armed" if is_armed else "standby",
            _phase(run, tenure if is_armed else None),
            tenure.epoch if tenure and is_armed else 0,
            run.connected,
            run.ready,
            run.counters,
        )

    # ---- what is wanted

    def _intend(self, revision: str, reason: str) -> list[Effect]:
        if revision != self._intended:
            self._intended = revision
            self._persist((Wanted(revision, reason),), self._want_anew)
        return self._settled()

    def _want_anew(self) -> None:
        self._scene.failures = 0
        self._note("wanted", revision=self._scene.record.wanted)

    def _unwelcome(self, revision: str) -> Why | None:
        record = self._scene.record
        if revision and revision == record.given_up:
            return Why.CRASH_LOOP
        expected = revision == self._intended or self._scene.has_place_for(revision)
        return None if revision and expected else Why.NOT_WANTED

    # ---- messages

    def _on_subscribed(self, run: Run, message: Subscribed) -> None:
        run.subscription = message.subscription
        run.out_of_step()

    def _on_ready(self, run: Run, message: Ready) -> None:
        if message.ok:
            run.ready = run.synced
            self._note("ready", instance=run.instance, revision=run.revision)
        else:  # it lost what it had, and will say when it is subscribed again
            run.subscription = 0
            run.out_of_step()

    def _on_alive(self, run: Run, message: Alive) -> None:
        run.counters = message.counters

    def _on_trouble(self, run: Run, message: Trouble) -> None:
        tenure = self._scene.tenure
        run.subscription = 0
        run.out_of_step()
        run.trouble = message.reason
        run.troubles += message.reason != Why.UNSYNCED
        if tenure is not None and run.instance == tenure.instance:
            tenure.broken = tenure.broken or message.reason
        self._note("trouble", instance=run.instance, reason=message.reason)

    def _on_snapshot(self, run: Run, message: Snapshot) -> None:
        tenure = self._scene.tenure
        follower = self._scene.runs.get(message.instance)
        if tenure is None or run.instance != tenure.instance or follower is None:
            return
        if not follower.asked or follower.subscription != message.subscription:
            return
        follower.alike = can_mirror(follower, tenure.armed) and bool(message.state)
        restore = Restore(
            message.subscription,
            tenure.epoch,
            message.batch,
            message.mark,
            message.state if follower.alike else b"",
            self._view.holdings(),
        )
        tenure.snapshots.append((follower.instance, restore))
        self._restore_from(tenure, tenure.durable)

    def _on_batch(self, run: Run, batch: Batch) -> None:
        found = passage(self._scene, run, batch, closed=self._writing is not None)
        _PASSAGES[found](self, run, batch)

    def _on_hello(self, run: Run, hello: Hello) -> None:
        self._close(run, Why.NOT_WANTED)  # a Hello opens a stream, once

    # ---- what becomes of a batch

    def _refuse(self, run: Run, batch: Batch) -> None:
        self.refused += len(batch.signals)
        self._send(
            run.instance, Refused(batch.number, len(batch.signals), Reason.FENCED, batch.epoch)
        )
        self._note("refused", instance=run.instance, epoch=batch.epoch, signals=len(batch.signals))

    def _acknowledge_again(self, run: Run, batch: Batch) -> None:
        self._send(run.instance, Ack(batch.number, self._view.verdicts(batch.epoch, batch.number)))

    def _leave_pending(self, run: Run, batch: Batch) -> None:
        """Its acknowledgement comes when it is durable."""

    def _close_gap(self, run: Run, batch: Batch) -> None:
        self._close(run, Why.BATCH_GAP)

    def _break(self, run: Run, batch: Batch) -> None:
        self._refuse(run, batch)
        if self._scene.tenure:
            self._scene.tenure.broken = Why.WENT_BACK

    def _acknowledge(self, run: Run, batch: Batch) -> None:
        if tenure := self._scene.tenure:
            let_through(tenure, batch, durable=True)
            self._send(run.instance, Ack(batch.number))
            self._confirm(tenure, batch)

    def _take(self, run: Run, batch: Batch) -> None:
        if tenure := self._scene.tenure:
            let_through(tenure, batch, durable=False)
            self._effects.append(Take(run.instance, batch))

    def _publish(self, tenure: Tenure, batch: Batch) -> None:
        """To those that follow; to those whose snapshot it is behind, the snapshot first."""
        self._restore_from(tenure, batch.number - 1)
        told = [run for run in self._scene.standbys if run.synced]
        if told:
            news = progress(self._view, batch)
            for run in told:
                self._send(run.instance, news)
        self._restore_from(tenure, batch.number)

    def _restore_from(self, tenure: Tenure, batch: int) -> None:
        """Passes on the snapshots up to that batch, which is durable."""
        due = [each for each in tenure.snapshots if each[1].batch <= batch]
        tenure.snapshots = [each for each in tenure.snapshots if each[1].batch > batch]
        for instance, restore in due:
            run = self._scene.runs.get(instance)
            if run and run.asked and run.subscription == restore.subscription:
                run.asked, run.synced = False, True
                self._send(instance, restore)

    def _confirm(self, tenure: Tenure, batch: Batch) -> None:
        if tenure.confirmed_at is None:
            tenure.confirmed_at = self._scene.now
        if batch.stopped and batch.number == tenure.taken:
            tenure.stopped, tenure.stopped_at = batch.stopped, self._scene.now

    # ---- moves

    def _settled(self) -> list[Effect]:
        """Makes every move that is due, and hands out the effects."""
        if self._writing and not self._written:
            self._write()
        while self._writing is None and (move := next_move(self._scene)):
            _MOVES[type(move)](self, move)
        self._tell_whether_followed()
        effects, self._effects = self._effects, []
        return effects

    def _tell_whether_followed(self) -> None:
        """The armed one takes digests, and makes batches more often, only for followers."""
        tenure, scene = self._scene.tenure, self._scene
        if tenure and tenure.followed and not scene.followed and not self._writing:
            tenure.followed = False
            self._send(tenure.instance, WantSnapshot("", 0))

    def _decide(self, move: Grant | Switch | End) -> None:
        """The fence is closed until this is durable."""
        self._writing, self._written = move, False
        self._write()

    def _write(self) -> None:
        """Once all that the armed one has decided is durable: its last mark is final."""
        tenure, move = self._scene.tenure, self._writing
        if move is None or (tenure and tenure.in_flight):
            return
        self._written = True
        if isinstance(move, End):
            assert tenure is not None
            ended = Ended(tenure.epoch, move.why, tenure.mark)
            self._persist((ended,), lambda: self._ended(tenure, move.why))
        elif isinstance(move, Switch):
            assert tenure is not None
            self._write_switch(tenure, move)
        else:
            armed = self._arming(move.instance, self._scene.record.ended or Why.FIRST)
            self._persist((armed,), lambda: self._granted(armed))

    def _write_switch(self, old: Tenure, move: Switch) -> None:
        ended = Ended(old.epoch, move.why, old.mark)
        armed = self._arming(move.instance, move.why, old)
        self._persist((ended, armed), lambda: self._switched(old, armed))

    def _arming(self, instance: str, why: str, old: Tenure | None = None) -> Armed:
        run = self._scene.runs[instance]
        return Armed(
            self._scene.record.epoch + 1,
            instance,
            run.revision,
            why,
            run.state_key,
            old.mark if old else Mark(outcome=self._view.last_outcome()),
            old.epoch if old else 0,
        )

    def _granted(self, armed: Armed) -> None:
        record = self._scene.record
        tenure = Tenure(armed, record.floor, self._scene.now, armed.mark)
        self._install(tenure)
        self._note("granted", epoch=armed.epoch, instance=armed.instance, revision=armed.revision)

    def _switched(self, old: Tenure, armed: Armed) -> None:
        self.handovers += 1
        before = self._scene.armed_run
        mirrored = self._scene.runs[armed.instance].alike
        floor = raised(old.floor, old.mark)
        self._install(Tenure(armed, floor, self._scene.now, old.mark, followed=True))
        for run in self._scene.standbys:
            if run is not before:
                self._lead_on(run, armed, alike=mirrored and run.alike)
        if before:
            self._relieve(before, old, armed, alike=mirrored)
        self._note(
            "switched",
            why=armed.why,
            epoch=armed.epoch,
            instance=armed.instance,
            revision=armed.revision,
            after=old.armed.revision,
        )

    def _install(self, tenure: Tenure) -> None:
        self._writing = None
        self._scene.tenure = tenure
        run = self._scene.runs[tenure.instance]
        run.out_of_step()
        run.kept = False
        self._send(tenure.instance, arm(tenure, self._view))

    def _lead_on(self, run: Run, armed: Armed, *, alike: bool) -> None:
        """A follower goes on with the new one, at the place where the old one ended."""
        run.asked = False
        run.alike = alike and can_mirror(run, armed)
        if not run.synced:
            return
        if can_mirror(run, armed) and not alike:
            run.out_of_step()  # could decide alike, from a snapshot of the new one
        else:
            self._send(run.instance, Follow(0, armed.epoch, run.alike))

    def _relieve(self, run: Run, old: Tenure, armed: Armed, *, alike: bool) -> None:
        """The old one follows on if it stands at the mark; else it begins anew or leaves."""
        self._blame(run, old.armed, armed.why)
        run.out_of_step()
        if armed.why == Why.ASKED:
            run.kept = True
            run.synced = run.ready = run.connected
            self._lead_on(run, armed, alike=alike)
        else:
            self._dismiss(run, armed.why)

    def _ended(self, tenure: Tenure, why: str) -> None:
        scene = self._scene
        self._writing = None
        scene.tenure = None
        for run in scene.runs.values():
            run.out_of_step()
        if armed := scene.runs.get(tenure.instance):
            self._blame(armed, tenure.armed, why)
            self._dismiss(armed, why)
        self._note("ended", why=why, epoch=tenure.epoch, revision=tenure.armed.revision)

    def _dismiss(self, run: Run, why: str) -> None:
        """Was armed, and is no more. What it decided since its last mark is lost."""
        if not run.connected:
            del self._scene.runs[run.instance]
        elif self._scene.has_place_for(run.revision):
            run.subscription = 0  # until it says so again
            self._send(run.instance, Welcome(0, 0))
        else:
            del self._scene.runs[run.instance]
            self._send(run.instance, Release(why))

    def _blame(self, run: Run, armed: Armed, why: str) -> None:
        if armed.revision == self._scene.record.wanted and why not in _BLAMELESS:
            self._fail(run)

    def _fail(self, run: Run) -> None:
        """Once for each instance, and not for one that had lasted."""
        if not run.proven and not run.blamed:
            run.blamed = True
            self._scene.failures += 1

    def _ask_to_stop(self, move: AskToStop) -> None:
        if tenure := self._scene.tenure:
            tenure.stop_sent_at = self._scene.now
            tenure.heir = move.heir
            self._send(tenure.instance, Stop())
            self._note("stopping", instance=tenure.instance, heir=move.heir)

    def _let_go(self, move: LetGo) -> None:
        if tenure := self._scene.tenure:
            tenure.stopped = tenure.heir = ""
            tenure.stop_sent_at = None
            self._send(tenure.instance, Go())
            self._note("resumed", instance=tenure.instance, why=move.why)

    def _ask_snapshot(self, move: AskSnapshot) -> None:
        run = self._scene.runs[move.instance]
        if tenure := self._scene.tenure:
            run.asked = tenure.followed = True
            self._send(tenure.instance, WantSnapshot(run.instance, run.subscription))

    def _drop(self, move: Drop) -> None:
        run = self._scene.runs.pop(move.instance)
        if move.failed:
            self._fail(run)
        if run.connected:
            self._send(run.instance, Release(move.why))
        self._note("dropped", instance=run.instance, revision=run.revision, why=move.why)

    def _give_up(self, move: GiveUp) -> None:
        self._scene.failures = 0
        revision = self._scene.record.wanted
        self._persist((GivenUp(revision, move.why),), lambda: None)
        self._note("given_up", revision=revision, why=move.why)

    def _prove(self, _: Prove) -> None:
        if run := self._scene.armed_run:
            run.proven = True
            self._scene.failures = 0

    # ---- effects

    def _send(self, instance: str, message: GatewayMessage) -> None:
        self._effects.append(Send(instance, message))

    def _persist(self, changes: tuple[GrantChange, ...], then: Callable[[], None]) -> None:
        self._token += 1
        self._unwritten[self._token] = (changes, then)
        self._effects.append(Persist(self._token, changes))

    def _close(self, run: Run, why: Why) -> None:
        run.connected = False
        run.away_since = self._scene.now
        self._effects.append(Close(run.instance, why))

    def _note(self, event: str, **fields: object) -> None:
        self._effects.append(Note(event, fields))


def _phase(run: Run, tenure: Tenure | None) -> Phase:
    """As far as the gateway knows."""
    if tenure:
        return Phase.STOPPED if tenure.stopped else Phase.ARMED
    return Phase.FOLLOW if run.synced else Phase.SYNC


def _resumed(armed: Armed, record: Record, view: LedgerView) -> Tenure:
    """The armed one's work as far as the journal knows it; the gateway has just begun."""
    last = view.last_batch(armed.epoch)
    mark = last.mark if last else armed.mark
    floor = raised(raised(record.floor, armed.mark), mark)
    tenure = Tenure(armed, floor, 0.0, mark, resumed=True, told=view.last_outcome())
    if last:
        tenure.taken = tenure.durable = last.number
        tenure.stopped = last.stopped
        tenure.confirmed_at = 0.0
    return tenure


_MESSAGES: Mapping[type, Callable[[Grants, Run, Any], None]] = {
    Hello: Grants._on_hello,
    Subscribed: Grants._on_subscribed,
    Snapshot: Grants._on_snapshot,
    Ready: Grants._on_ready,
    Batch: Grants._on_batch,
    Alive: Grants._on_alive,
    Trouble: Grants._on_trouble,
}

_PASSAGES: Mapping[Passage, Callable[[Grants, Run, Batch], None]] = {
    Passage.REFUSED: Grants._refuse,
    Passage.REPEATED: Grants._acknowledge_again,
    Passage.PENDING: Grants._leave_pending,
    Passage.GAP: Grants._close_gap,
    Passage.WENT_BACK: Grants._break,
    Passage.NOTED: Grants._acknowledge,
    Passage.TAKEN: Grants._take,
}

_MOVES: Mapping[type[Move], Callable[[Grants, Any], None]] = {
    Grant: Grants._decide,
    Switch: Grants._decide,
    End: Grants._decide,
    AskToStop: Grants._ask_to_stop,
    LetGo: Grants._let_go,
    AskSnapshot: Grants._ask_snapshot,
    Drop: Grants._drop,
    GiveUp: Grants._give_up,
    Prove: Grants._prove,
}
