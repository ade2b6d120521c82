"""The gateway's way of a batch: through the fence, to disk, and then to everybody it concerns."""

from collections.abc import Callable, Mapping

from handover.arrivals import progress
from handover.effects import Why
from handover.fence import Passage, let_through, passage
from handover.messages import Ack, Batch, Refused, Restore, Snapshot
from handover.output import Output
from handover.runs import Run, Scene, Tenure, can_mirror
from handover.view import LedgerView
from trading.reasons import Reason
from trading.signals import Verdict


class Batches:
    """Of the armed one, and the snapshots that lie between them."""

    def __init__(self, scene: Scene, view: LedgerView, out: Output) -> None:
        self.refused = 0  # signals, at the fence
        self._scene = scene
        self._view = view
        self._out = out
        self._ways: Mapping[Passage, Callable[[Run, Batch], None]] = {
            Passage.REFUSED: lambda run, batch: self.refuse(run.instance, batch),
            Passage.REPEATED: self._acknowledge_again,
            Passage.PENDING: lambda run, batch: None,  # acknowledged when it is durable
            Passage.GAP: self._hang_up,
            Passage.WENT_BACK: self._break,
            Passage.NOTED: self._acknowledge,
            Passage.TAKEN: self._take,
        }

    def arrived(self, run: Run, batch: Batch, *, closed: bool) -> None:
        self._ways[passage(self._scene, run, batch, closed=closed)](run, batch)

    def durable(self, epoch: int, number: int, verdicts: tuple[Verdict, ...]) -> None:
        tenure = self._scene.tenure
        if tenure is not None and epoch == tenure.epoch and number in tenure.in_flight:
            batch = tenure.in_flight.pop(number)
            tenure.durable = number
            self._out.send(tenure.instance, Ack(number, verdicts))
            self._publish(tenure, batch)
            self._confirm(tenure, batch)

    def snapshot(self, run: Run, message: Snapshot) -> None:
        """It is passed on when the batch before it is durable."""
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
        self._restore_up_to(tenure, tenure.durable)

    # ---- ways

    def refuse(self, instance: str, batch: Batch) -> None:
        signals = len(batch.signals)
        self.refused += signals
        self._out.send(instance, Refused(batch.number, signals, Reason.FENCED, batch.epoch))
        self._out.note("refused", instance=instance, epoch=batch.epoch, signals=signals)

    def _acknowledge_again(self, run: Run, batch: Batch) -> None:
        verdicts = self._view.verdicts(batch.epoch, batch.number)
        self._out.send(run.instance, Ack(batch.number, verdicts))

    def _hang_up(self, run: Run, batch: Batch) -> None:
        """On a new link it hears where to go on from."""
        run.leave(self._scene.now)
        self._out.close(run.instance, Why.BATCH_GAP)

    def _break(self, run: Run, batch: Batch) -> None:
        self.refuse(run.instance, batch)
        if self._scene.tenure:
            self._scene.tenure.broken = Why.WENT_BACK

    def _acknowledge(self, run: Run, batch: Batch) -> None:
        if tenure := self._scene.tenure:
            let_through(tenure, batch, durable=True)
            self._out.send(run.instance, Ack(batch.number))
            self._confirm(tenure, batch)

    def _take(self, run: Run, batch: Batch) -> None:
        if tenure := self._scene.tenure:
            let_through(tenure, batch, durable=False)
            self._out.take(run.instance, batch)

    # ---- durable

    def _publish(self, tenure: Tenure, batch: Batch) -> None:
        """To those that follow; to those whose snapshot it is behind, the snapshot first."""
        self._restore_up_to(tenure, batch.number - 1)
        told = [run for run in self._scene.standbys if run.synced]
        if told:
            news = progress(self._view, batch)
            for run in told:
                self._out.send(run.instance, news)
        self._restore_up_to(tenure, batch.number)

    def _restore_up_to(self, tenure: Tenure, batch: int) -> None:
        due = [each for each in tenure.snapshots if each[1].batch <= batch]
        tenure.snapshots = [each for each in tenure.snapshots if each[1].batch > batch]
        for instance, restore in due:
            run = self._scene.runs.get(instance)
            if run and run.asked and run.subscription == restore.subscription:
                run.asked, run.synced = False, True
                self._out.send(instance, restore)

    def _confirm(self, tenure: Tenure, batch: Batch) -> None:
        if tenure.confirmed_at is None:
            tenure.confirmed_at = self._scene.now
        if batch.stopped and batch.number == tenure.taken:
            tenure.stopped, tenure.stopped_at = batch.stopped, self._scene.now
