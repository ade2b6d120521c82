"""Deciding: what an armed runner makes of its ticks, and hands to the gateway in batches."""

from collections.abc import Callable

from handover.marks import decided
from handover.messages import Batch, Input, Mark, Outcome, RunnerMessage, Snapshot, WantSnapshot
from handover.outbox import Outbox
from handover.snapshots import Barrier, Snapshots
from handover.track import Track
from trading.signals import Signal

_NOWHERE = Mark()


class Deciding:
    """The work of one grant at a time.

    `going` says that messages may be decided as they come: nothing is held before them, and not
    too many signals wait for the gateway.
    """

    __slots__ = (
        "_floor",
        "_late",
        "_say",
        "_track",
        "armed",
        "going",
        "greeted",
        "now",
        "outbox",
        "snapshots",
        "stopped",
    )

    def __init__(
        self, track: Track, say: Callable[[RunnerMessage], None], barrier: Barrier, window: int
    ) -> None:
        self._track = track
        self._say = say
        self.outbox = Outbox(window)
        self.snapshots = Snapshots(barrier, self._give_snapshots)
        self.now = 0.0
        self.greeted = False  # the gateway has answered this session's Hello
        self.forget()

    def forget(self) -> None:
        """No grant."""
        self.armed = self.going = False
        self.stopped = ""  # why it decides no more, although it was not replaced
        self.outbox.clear()
        self.snapshots.forget()
        self._track.compared = True
        self._floor = _NOWHERE
        self._late: list[Outcome] = []  # came while stopped

    def start(
        self,
        epoch: int,
        inputs: tuple[Input, ...] = (),
        *,
        floor: Mark = _NOWHERE,
        followed: bool = False,
    ) -> None:
        """From here on, and with what is held first. `floor` is what others have decided."""
        self.forget()
        self._floor = floor
        self._track.compared = followed
        self.outbox.begin(epoch, self._track.host.sequences())
        self.outbox.inputs += inputs
        self._go()

    def stop(self, why: str) -> None:
        """Decides nothing more: this batch is the last, so there is nothing to race with."""
        self.stopped = why
        self._flush()
        self.armed = self.going = False

    def resume(self) -> bool:
        """Goes on from where it stopped. False: an outcome is missing."""
        self.stopped = ""
        late, self._late = tuple(self._late), []
        if not self.take(late):
            return False
        self._go()
        return True

    def follow_up(self, want: WantSnapshot) -> None:
        """Somebody is to follow, from the snapshot that is wanted; no instance: nobody is."""
        self._track.compared = bool(want.instance)
        if want.instance:
            self.snapshots.want(want)
        else:
            self.snapshots.forget()

    # ---- signals

    def take_on(self, signals: tuple[Signal, ...]) -> None:
        """Signals just made: they leave with the next batch."""
        if self._floor.session:
            signals = self._above_floor(signals)
        for signal in signals:
            self._track.host.expect(signal)
        outbox = self.outbox
        outbox.signals += signals
        if outbox.crowded:
            self.flush_if_due()
            self.going = self.going and not outbox.crowded

    def acknowledged(self, batch: int) -> None:
        self.outbox.acknowledge(batch)
        self.flush_if_due()
        if self.armed and not self.going:
            self._decide_held()

    def send_again(self, after: int) -> None:
        """On a new link, whose gateway has all up to the batch `after`."""
        self.outbox.acknowledge(after)
        for batch in self.outbox.unacknowledged():
            self._say(batch)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        if (
            self.armed
            and self.greeted
            and self.outbox.due(self._track.count, self.now, followed=self._track.compared)
        ):
            self._flush()

    # ---- outcomes

    def take(self, outcomes: tuple[Outcome, ...]) -> bool:
        """Applies them at this place. False: one is missing, and it stopped before it."""
        track = self._track
        for outcome in outcomes:
            if outcome.number > track.outcome + 1:
                return False
            if track.take(outcome):
                self.outbox.inputs.append(Input(track.count, outcome.number))
        return True

    def keep(self, outcomes: tuple[Outcome, ...]) -> None:
        """While stopped: a successor takes them, or this one when it goes on."""
        self._late += outcomes

    # ----

    def _go(self) -> None:
        self.armed = True
        self._decide_held()
        self._flush()

    def _decide_held(self) -> None:
        """Goes on with what was held, until too many signals wait for the gateway."""
        held, outbox = self._track.held, self.outbox
        while held and not outbox.crowded:
            signals = self._track.decide(held.popleft())
            if signals:
                self.take_on(signals)
        self.going = not held and not outbox.crowded
        self._give_snapshots()

    def _above_floor(self, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
        floor = self._floor
        if self._track.host.session() != floor.session:
            return signals
        return tuple(each for each in signals if not decided(floor, each.cause))

    def _flush(self) -> Batch:
        mark = self._track.mark(digest=self._track.compared or bool(self.stopped))
        batch = self.outbox.batch(mark, self.now, self.stopped)
        if self.greeted:  # else those before it come first, when the gateway says from where
            self._say(batch)
        return batch

    def _give_snapshots(self) -> None:
        """A snapshot is taken where nothing is held: what has come is inside. The batch before it
        says where this is, the one behind it is a place to agree on, also when nothing flows."""
        due = self.snapshots.take_due() if self.going else []
        for want in due:
            batch = self._flush()
            state = self._track.host.snapshot()
            self._say(Snapshot(want.instance, want.subscription, batch.number, batch.mark, state))
        if due:
            self._flush()
