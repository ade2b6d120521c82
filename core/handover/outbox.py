"""The batches of one epoch: numbered gap-free, kept until they are acknowledged."""

from collections.abc import Mapping

from handover.messages import Batch, Input, Mark
from handover.timing import TIMING
from trading.signals import Signal

WINDOW = 2  # batches unacknowledged
FULL_ENOUGH = 50  # signals that leave although a batch is under way: one by one costs much more
CROWDED = 250  # signals waiting, from which on no more are made: a batch holds 500
NEWS_MESSAGES = 1024  # decided without a signal, until a batch says so
NEWS_S = TIMING.alone  # it is then also the word that the runner is there


class Outbox:
    """What the armed one has decided and not yet handed over, and what is on its way."""

    __slots__ = (
        "_sent_at",
        "_unacked",
        "_window",
        "acknowledged",
        "count",
        "epoch",
        "inputs",
        "number",
        "signals",
    )

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self.clear()

    def clear(self) -> None:
        self.begin(0, {})

    def begin(self, epoch: int, sequences: Mapping[str, int]) -> None:
        self.epoch = epoch
        self.number = 0
        self.count = -1  # of the last batch's mark
        self.signals: list[Signal] = []
        self.inputs: list[Input] = []
        self.acknowledged: Mapping[str, int] = sequences
        self._unacked: dict[int, Batch] = {}
        self._sent_at = float("-inf")

    @property
    def crowded(self) -> bool:
        return len(self.signals) >= CROWDED

    @property
    def lacks_answers(self) -> bool:
        """Whether anything that was made is not known to be durable."""
        return bool(self._unacked or self.signals or self.inputs)

    def due(self, count: int, now: float, *, followed: bool) -> bool:
        """Whether a batch should leave now, `count` messages having been decided."""
        under_way = len(self._unacked)
        if under_way >= self._window:
            return False
        if self.signals or self.inputs:
            return not under_way or len(self.signals) >= FULL_ENOUGH
        news = count - self.count
        return news > 0 and (followed or news >= NEWS_MESSAGES or now - self._sent_at >= NEWS_S)

    def batch(self, mark: Mark, now: float, stopped: str = "") -> Batch:
        """All that waits, as the next batch."""
        self.number += 1
        self.count = mark.count
        self._sent_at = now
        made = Batch(
            self.epoch, self.number, mark, tuple(self.signals), tuple(self.inputs), stopped
        )
        self.signals = []
        self.inputs = []
        self._unacked[self.number] = made
        return made

    def acknowledge(self, number: int) -> None:
        """That batch and all before it are durable. A second time is nothing."""
        for each in [made for made in self._unacked if made <= number]:
            self.acknowledged = self._unacked.pop(each).mark.sequences

    def unacknowledged(self) -> tuple[Batch, ...]:
        """To be sent again on a new link, in their order."""
        return tuple(self._unacked.values())
