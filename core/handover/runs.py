"""What the gateway has in mind about the runners of one strategy, and about the armed one's work.

Nothing here is journalled: runners tell it again when they come back. Times are seconds of the
time the gateway was awake.
"""

from dataclasses import dataclass, field

from handover.effects import Armed
from handover.messages import Batch, Counters, Hello, Mark, Restore
from handover.record import Record
from handover.timing import Timing


@dataclass(slots=True)
class Run:
    """One life of one runner process."""

    instance: str
    revision: str
    state_key: str = ""
    connected: bool = False
    seen: float = 0.0  # when it last said anything
    since: float = 0.0  # when it connected
    away_since: float = 0.0
    patience: float = 0.0  # how long it may be away before a follower replaces it
    subscription: int = 0  # of its market data; 0: it has none
    asked: bool = False  # a snapshot for it was asked for
    synced: bool = False  # it was given one, and gets progress
    alike: bool = False  # it makes the armed one's signals again
    ready: bool = False
    ready_since: float = 0.0
    troubles: int = 0  # in a row
    trouble: str = ""
    kept: bool = False  # the old one, which could take over again
    proven: bool = False  # was armed and lasted
    blamed: bool = False  # its end counts among the failures of its revision
    counters: Counters = field(default_factory=Counters)

    def out_of_step(self) -> None:
        self.asked = self.synced = self.ready = False

    def leave(self, now: float) -> None:
        if self.connected:
            self.connected = False
            self.away_since = now

    def is_up(self, now: float, timing: Timing) -> bool:
        return self.connected and now - self.seen < timing.lease


@dataclass(slots=True)
class Tenure:
    """The armed one at work: its batches, and how far they are durable."""

    armed: Armed
    floor: Mark  # decided by anyone so far
    since: float
    mark: Mark
    taken: int = 0  # the last batch that the fence let through
    durable: int = 0
    told: int = 0  # the last outcome that it was sent
    in_flight: dict[int, Batch] = field(default_factory=dict)  # taken, not yet durable
    snapshots: list[tuple[str, Restore]] = field(default_factory=list)  # their batch is not yet
    confirmed_at: float | None = None  # its first batch
    restored: bool = False  # read from the journal by a gateway that began later
    resumed: bool = False  # ... and acknowledged batches may be unknown, until the next one
    stopped: str = ""  # why it decides no more
    stopped_at: float = 0.0
    stop_sent_at: float | None = None
    heir: str = ""  # for whom it was asked to stop
    broken: str = ""  # why it cannot go on
    followed: bool = False  # as far as it knows

    @property
    def epoch(self) -> int:
        return self.armed.epoch

    @property
    def instance(self) -> str:
        return self.armed.instance


@dataclass(slots=True)
class Scene:
    """All that the next move depends on."""

    timing: Timing
    record: Record
    now: float = 0.0
    runs: dict[str, Run] = field(default_factory=dict)
    tenure: Tenure | None = None
    failures: int = 0  # of the wanted revision, in a row

    @property
    def armed_run(self) -> Run | None:
        return self.runs.get(self.tenure.instance) if self.tenure else None

    @property
    def standbys(self) -> tuple[Run, ...]:
        armed = self.tenure.instance if self.tenure else ""
        return tuple(run for run in self.runs.values() if run.instance != armed)

    @property
    def followed(self) -> bool:
        return any(run.asked or run.synced for run in self.standbys)

    def is_up(self, run: Run | None) -> bool:
        return run is not None and run.is_up(self.now, self.timing)

    def has_place_for(self, revision: str) -> bool:
        """Whether a runner of this revision may be here at all."""
        armed = self.tenure.armed.revision if self.tenure else self.record.former
        return revision in (self.record.target, armed)

    def heir(self) -> Run | None:
        """Who can go on from the armed one's last mark, best first."""
        ready = [run for run in self.standbys if run.ready and self.is_up(run)]
        ready.sort(key=lambda run: run.revision != self.record.target)
        return ready[0] if ready else None


def newcomer(hello: Hello) -> Run:
    return Run(hello.instance, hello.revision, hello.state_key)


def can_mirror(run: Run, armed: Armed) -> bool:
    """Equal keys: a snapshot of one moves to the other, which then decides alike."""
    return bool(run.state_key) and run.state_key == armed.state_key
