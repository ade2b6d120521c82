"""Carrying out the moves: what is written, and who is told what when that is durable."""

from collections.abc import Callable, Mapping
from typing import Any

from handover.arrivals import NOBODY_FOLLOWS, arm
from handover.effects import Armed, Ended, GivenUp, Why
from handover.marks import raised
from handover.messages import Follow, Go, Mark, Release, Stop, WantSnapshot, Welcome
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
from handover.output import Output
from handover.runs import Run, Scene, Tenure, can_mirror
from handover.view import LedgerView

_BLAMELESS = frozenset(
    {Why.ASKED, Why.FEED_LOST, Why.WITHDRAWN, Why.STOP_TIMEOUT, Why.UNSYNCED, Why.HELD_TOO_MANY}
)


class Succession:
    """Makes the moves. One change of the armed one is written at a time: `writing`."""

    def __init__(self, scene: Scene, view: LedgerView, out: Output) -> None:
        self.handovers = 0
        self.writing: Grant | Switch | End | None = None  # from its decision until it is durable
        self._persisted = False
        self._scene = scene
        self._view = view
        self._out = out
        self._ways: Mapping[type[Move], Callable[[Any], None]] = {
            Grant: self._decide,
            Switch: self._decide,
            End: self._decide,
            AskToStop: self._ask_to_stop,
            LetGo: self._let_go,
            AskSnapshot: self._ask_snapshot,
            Drop: self._drop,
            GiveUp: self._give_up,
            Prove: self._prove,
        }

    def settle(self) -> None:
        """Makes every move that is due."""
        if self.writing and not self._persisted:
            self._write()
        while self.writing is None and (move := next_move(self._scene)):
            self._ways[type(move)](move)
        self._tell_whether_followed()

    # ---- what is written first

    def _decide(self, move: Grant | Switch | End) -> None:
        """The fence is closed until this is durable."""
        self.writing, self._persisted = move, False
        self._write()

    def _write(self) -> None:
        """Once all that the armed one has decided is durable: its last mark is final."""
        move, tenure = self.writing, self._scene.tenure
        if tenure and tenure.in_flight:
            return
        self._persisted = True
        if isinstance(move, Grant):
            armed = self._arming(move.instance, self._scene.record.ended or Why.FIRST)
            self._out.persist((armed,), lambda: self._granted(armed))
        elif isinstance(move, Switch) and tenure:
            self._write_switch(tenure, self._arming(move.instance, move.why, tenure))
        elif isinstance(move, End) and tenure:
            ended = Ended(tenure.epoch, move.why, tenure.mark)
            self._out.persist((ended,), lambda: self._ended(tenure, ended.why))

    def _write_switch(self, old: Tenure, armed: Armed) -> None:
        ended = Ended(old.epoch, armed.why, old.mark)
        self._out.persist((ended, armed), lambda: self._switched(old, armed))

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

    # ---- when it is durable

    def _granted(self, armed: Armed) -> None:
        scene = self._scene
        self._install(Tenure(armed, scene.record.floor, scene.now, armed.mark))
        for run in scene.standbys:
            self._begin_anew(run)
        self._note("granted", armed)

    def _switched(self, old: Tenure, armed: Armed) -> None:
        self.handovers += 1
        scene, before = self._scene, self._scene.armed_run
        mirrored = scene.runs[armed.instance].alike
        floor = raised(old.floor, old.mark)
        self._install(Tenure(armed, floor, scene.now, old.mark, followed=True))
        for run in scene.standbys:
            if run is not before:
                self._lead_on(run, armed, alike=mirrored and run.alike)
        if before:
            self._relieve(before, old, armed, alike=mirrored)
        self._note("switched", armed, after=old.armed.revision)

    def _install(self, tenure: Tenure) -> None:
        self.writing = None
        self._scene.tenure = tenure
        run = self._scene.runs[tenure.instance]
        run.out_of_step()
        run.kept = run.blamed = False
        self._out.send(tenure.instance, arm(tenure, self._view))

    def _lead_on(self, run: Run, armed: Armed, *, alike: bool) -> None:
        """A follower goes on with the new one, at the place where the old one ended."""
        run.asked = False
        run.alike = alike and can_mirror(run, armed)
        if not run.synced:
            return
        if can_mirror(run, armed) and not alike:
            run.out_of_step()  # could decide alike, from a snapshot of the new one
        else:
            self._out.send(run.instance, Follow(0, armed.epoch, run.alike))

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
        armed = scene.armed_run
        self.writing = None
        scene.tenure = None
        for run in scene.runs.values():
            if run is not armed:
                self._begin_anew(run)
        if armed:
            armed.out_of_step()
            self._blame(armed, tenure.armed, why)
            self._dismiss(armed, why)
        self._out.note("ended", why=why, epoch=tenure.epoch, revision=tenure.armed.revision)

    def _dismiss(self, run: Run, why: str) -> None:
        """Was armed, and is no more. What it decided since its last mark is lost."""
        if self._scene.is_up(run) and self._scene.has_place_for(run.revision):
            self._begin_anew(run)
            return
        del self._scene.runs[run.instance]
        if run.connected:
            self._out.send(run.instance, Release(why))

    def _begin_anew(self, run: Run) -> None:
        """It says again that it is subscribed: a snapshot then lies behind all that it dropped."""
        run.out_of_step()
        run.subscription = 0
        if run.connected:
            self._out.send(run.instance, Welcome(0, 0))

    # ---- what needs no writing first

    def _ask_to_stop(self, move: AskToStop) -> None:
        if tenure := self._scene.tenure:
            tenure.stop_sent_at = self._scene.now
            tenure.heir = move.heir
            self._out.send(tenure.instance, Stop())
            self._out.note("stopping", instance=tenure.instance, heir=move.heir)

    def _let_go(self, move: LetGo) -> None:
        if tenure := self._scene.tenure:
            tenure.stopped = tenure.heir = ""
            tenure.stop_sent_at = None
            self._out.send(tenure.instance, Go())
            self._out.note("resumed", instance=tenure.instance, why=move.why)

    def _ask_snapshot(self, move: AskSnapshot) -> None:
        run = self._scene.runs[move.instance]
        if tenure := self._scene.tenure:
            run.asked = tenure.followed = True
            self._out.send(tenure.instance, WantSnapshot(run.instance, run.subscription))

    def _tell_whether_followed(self) -> None:
        """The armed one takes digests, and makes batches more often, only for followers."""
        tenure, scene = self._scene.tenure, self._scene
        # After a restart of the gateway those that follow are still to come back.
        back = tenure is not None and (not tenure.restored or scene.now >= scene.timing.resume)
        if tenure and back and tenure.followed and not scene.followed and not self.writing:
            tenure.followed = False
            self._out.send(tenure.instance, NOBODY_FOLLOWS)

    def _drop(self, move: Drop) -> None:
        run = self._scene.runs.pop(move.instance)
        if move.failed:
            self._fail(run)
        if run.connected:
            self._out.send(run.instance, Release(move.why))
        self._out.note("dropped", instance=run.instance, revision=run.revision, why=move.why)

    def _prove(self, _: Prove) -> None:
        if run := self._scene.armed_run:
            run.proven = True
            if run.revision == self._scene.record.wanted:
                self._scene.failures = 0

    # ---- crash loops

    def _blame(self, run: Run, armed: Armed, why: str) -> None:
        if armed.revision == self._scene.record.wanted and why not in _BLAMELESS:
            self._fail(run)

    def _fail(self, run: Run) -> None:
        """Once for each instance, and not for one that had lasted."""
        if not run.proven and not run.blamed:
            run.blamed = True
            self._scene.failures += 1

    def _give_up(self, move: GiveUp) -> None:
        self._scene.failures = 0
        revision = self._scene.record.wanted
        self._out.persist((GivenUp(revision, move.why),), lambda: None)
        self._out.note("given_up", revision=revision, why=move.why)

    def _note(self, event: str, armed: Armed, **fields: object) -> None:
        self._out.note(
            event,
            why=armed.why,
            epoch=armed.epoch,
            instance=armed.instance,
            revision=armed.revision,
            **fields,
        )
