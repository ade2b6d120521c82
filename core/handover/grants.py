"""The gateway's half: who may trade for one strategy, and how that moves to another runner.

Pure: every input answers the effects to carry out, in order; time comes with `tick`, which is
called about every 20 ms. Nothing is sent before what it rests on is durable. What is done next is
decided in `moves` and carried out in `succession`; which batches count, in `fence` and `batches`;
what a returning runner is told, in `arrivals`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from handover.arrivals import arrive, welcome
from handover.batches import Batches
from handover.effects import Armed, Effect, GrantChange, Wanted, Why
from handover.marks import raised
from handover.messages import (
    Alive,
    Batch,
    Counters,
    Hello,
    Mark,
    Outcome,
    Outcomes,
    Phase,
    Ready,
    Release,
    RunnerMessage,
    Snapshot,
    Subscribed,
    Trouble,
)
from handover.output import Output
from handover.record import Record
from handover.runs import Run, Scene, Tenure, newcomer
from handover.succession import Succession
from handover.timing import TIMING, Timing
from handover.view import LedgerView
from trading.signals import Verdict

__all__ = ["Grants", "LedgerView", "RunnerView"]

_NOWHERE = Mark()
_NOTHING_YET = Record()


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
        self._view = view
        self._scene = Scene(timing, Record())
        self._out = Output()
        self._batches = Batches(self._scene, view, self._out)
        self._succession = Succession(self._scene, view, self._out)
        self._intended = ""  # the last revision asked for; wanted when that is durable
        self._woke: float | None = None

    @classmethod
    def restore(
        cls,
        strategy: str,
        view: LedgerView,
        changes: Iterable[GrantChange],
        timing: Timing = TIMING,
        record: Record = _NOTHING_YET,
    ) -> Self:
        """As a gateway that was killed left them; no effects. The view is asked at once.

        `record` is what earlier changes came to.
        """
        grants = cls(strategy, view, timing)
        scene = grants._scene
        scene.record = record
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
        if instance not in scene.runs and (why := self._unwelcome(hello)):
            self._out.send(instance, Release(why))
            return self._settled()
        run = scene.runs.setdefault(instance, newcomer(hello))
        arrive(run, hello, scene.now)
        # The armed one is told when the switch is durable: nothing of it counts until then.
        if not (self._succession.writing and scene.tenure and run is scene.armed_run):
            for message in welcome(scene, self._view, run, hello):
                self._out.send(instance, message)
        return self._settled()

    def message(self, instance: str, message: RunnerMessage) -> list[Effect]:
        """Anything else that came over the current stream of `instance`."""
        run = self._scene.runs.get(instance)
        if run is None:
            return self._from_nobody(instance, message)
        if not run.connected:
            return []
        run.seen = self._scene.now
        _MESSAGES[type(message)](self, run, message)
        return self._settled()

    def disconnected(self, instance: str) -> list[Effect]:
        """The current stream of `instance` ended. Not to be told of a stream that was replaced."""
        run = self._scene.runs.get(instance)
        if run is not None:
            run.leave(self._scene.now)
        return self._settled()

    def durable(self, token: int) -> list[Effect]:
        """The changes of that Persist are on disk. In the order of the tokens."""
        changes, then = self._out.durable(token)
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
        self._batches.durable(epoch, number, verdicts)
        return self._settled()

    def outcomes(self, outcomes: tuple[Outcome, ...]) -> list[Effect]:
        """These became durable, in the order of their numbers; the view has them."""
        tenure, run = self._scene.tenure, self._scene.armed_run
        # While a switch is written they wait for it: with the Arm, or with the progress.
        if tenure and run and run.connected and not self._succession.writing:
            news = tuple(each for each in outcomes if each.number > tenure.told)
            if news:
                tenure.told = news[-1].number
                self._out.send(tenure.instance, Outcomes(news))
        return self._settled()

    def tick(self, now: float) -> list[Effect]:
        """The time, monotonic. A gateway that was stopped itself does not blame the others."""
        woke, self._woke = self._woke, now
        if woke is not None:
            self._scene.now += min(now - woke, self._scene.timing.nap)
        return self._settled()

    # ---- how it stands

    @property
    def handovers(self) -> int:
        """Switches from one runner to another, this life of the gateway."""
        return self._succession.handovers

    @property
    def refused(self) -> int:
        """Signals, at the fence."""
        return self._batches.refused

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
            self._out.persist((Wanted(revision, reason),), self._want_anew)
        return self._settled()

    def _want_anew(self) -> None:
        self._scene.failures = 0
        self._out.note("wanted", revision=self._scene.record.wanted)

    def _unwelcome(self, hello: Hello) -> Why | None:
        """Why a runner that is new here may not stay."""
        scene, revision = self._scene, hello.revision
        if revision and revision == scene.record.given_up:
            return Why.CRASH_LOOP
        expected = revision == self._intended or scene.has_place_for(revision)
        # The one before may be needed again, as long as its successor has not shown itself.
        former = revision == scene.record.former and not scene.is_up(scene.armed_run)
        predecessor = scene.tenure is not None and hello.epoch == scene.tenure.armed.after > 0
        return None if revision and (expected or former or predecessor) else Why.NOT_WANTED

    # ---- messages

    def _from_nobody(self, instance: str, message: RunnerMessage) -> list[Effect]:
        """It was dismissed, and may not have heard of that yet."""
        if isinstance(message, Batch):
            self._batches.refuse(instance, message)
        return self._out.taken()

    def _on_subscribed(self, run: Run, message: Subscribed) -> None:
        run.subscription = message.subscription
        run.out_of_step()

    def _on_ready(self, run: Run, message: Ready) -> None:
        if message.ok:
            run.ready = run.synced
            run.ready_since = self._scene.now
            self._out.note("ready", instance=run.instance, revision=run.revision)
        else:  # it lost what it had, and will say when it is subscribed again
            run.subscription = 0
            run.out_of_step()

    def _on_alive(self, run: Run, message: Alive) -> None:
        run.counters = message.counters

    def _on_trouble(self, run: Run, message: Trouble) -> None:
        tenure = self._scene.tenure
        if run.ready and self._scene.now - run.ready_since >= self._scene.timing.probation:
            run.troubles = 0
        run.subscription = 0
        run.out_of_step()
        run.trouble = message.reason
        run.troubles += message.reason != Why.UNSYNCED
        if tenure is not None and run.instance == tenure.instance:
            tenure.broken = tenure.broken or message.reason
        self._out.note("trouble", instance=run.instance, reason=message.reason)

    def _on_snapshot(self, run: Run, message: Snapshot) -> None:
        self._batches.snapshot(run, message)

    def _on_batch(self, run: Run, batch: Batch) -> None:
        self._batches.arrived(run, batch, closed=self._succession.writing is not None)

    def _on_hello(self, run: Run, hello: Hello) -> None:
        """A Hello opens a stream, once."""
        run.leave(self._scene.now)
        self._out.close(run.instance, Why.NOT_WANTED)

    def _settled(self) -> list[Effect]:
        self._succession.settle()
        return self._out.taken()


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
    tenure = Tenure(armed, floor, 0.0, mark, told=view.last_outcome())
    tenure.restored = tenure.resumed = tenure.followed = True
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
