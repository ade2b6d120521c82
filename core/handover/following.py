"""Following: a runner applies what the armed one is known to have decided, and keeps the rest."""

from collections import deque

from handover.effects import Why
from handover.messages import Arm, Follow, GatewayMessage, Mark, Progress, Restore
from handover.track import Track

_NOWHERE = Mark()


class Following:
    """How far `track` is behind the armed one, and what is to be done when its ticks come.

    `alike`: the armed one's signals are made again here, and digests compared. Otherwise only the
    stream is compared, and the account is taken from the ledger at each mark.
    """

    __slots__ = ("_pending", "_track", "alike", "arm", "batch", "epoch", "ready")

    def __init__(
        self, track: Track, epoch: int, batch: int, *, alike: bool, ready: bool = False
    ) -> None:
        self._track = track
        self._pending: deque[GatewayMessage] = deque()
        self.epoch = epoch
        self.batch = batch  # the last one that came
        self.alike = alike
        self.ready = ready  # it has agreed with the armed one, and is warm
        self.arm: Arm | None = None  # told to decide, from a place that is not reached yet

    @classmethod
    def restored(cls, track: Track, restore: Restore) -> "Following":
        track.restore(restore.mark, restore.state, restore.holdings)
        return cls(track, restore.following, restore.batch, alike=bool(restore.state))

    @classmethod
    def successor(cls, track: Track, follow: Follow) -> "Following":
        """From the place where this one stopped: it agrees already."""
        return cls(track, follow.following, 0, alike=follow.alike, ready=True)

    @property
    def may_advance(self) -> bool:
        """Whether what is held might be enough for what is pending."""
        if not self._pending:
            return False
        message, track = self._pending[0], self._track
        mark = message.mark if isinstance(message, Progress | Arm) else None
        return (mark or _NOWHERE).count <= track.count + len(track.held)

    def progress(self, progress: Progress) -> None:
        if progress.following == self.epoch and progress.batch > self.batch:
            self.batch = progress.batch
            self._pending.append(progress)

    def follow(self, follow: Follow) -> None:
        """The one followed was replaced, at the end of what it had decided."""
        self.epoch, self.batch = follow.following, 0
        self._pending.append(follow)

    def take_over(self, arm: Arm) -> None:
        """Once; the same Arm again is nothing."""
        if self.arm is None:
            self.arm = arm
            self._pending.append(arm)

    def later(self, message: GatewayMessage) -> None:
        """For the armed one that this is about to be."""
        self._pending.append(message)

    def left(self) -> tuple[GatewayMessage, ...]:
        """What came behind the Arm."""
        return tuple(self._pending)

    def advance(self) -> Arm | Why | None:
        """Does what is pending as far as the ticks for it have come.

        Answers the Arm whose place is reached, or how this runner differs from the armed one.
        """
        pending = self._pending
        while pending and self._reached(pending[0]):
            message = pending.popleft()
            if isinstance(message, Follow):
                self.alike = message.alike
            elif isinstance(message, Progress):
                if why := self._track.difference(message.mark, alike=self.alike):
                    return why
                self._agree(message)
            elif isinstance(message, Arm):
                why = self._track.difference(message.mark or _NOWHERE, alike=self.alike)
                return why or message
        return None

    def _reached(self, message: GatewayMessage) -> bool:
        track = self._track
        if isinstance(message, Progress):
            if not self.alike:
                return track.warm(message.mark.count)
            outcomes = {outcome.number: outcome for outcome in message.outcomes}
            return track.follow(message.inputs, outcomes, message.mark.count)
        if isinstance(message, Arm):
            count = (message.mark or _NOWHERE).count
            return track.follow((), {}, count) if self.alike else track.warm(count)
        return True

    def _agree(self, progress: Progress) -> None:
        track = self._track
        if not self.alike:
            track.outcome = progress.mark.outcome
            track.host.set_holdings(progress.holdings)
        self.ready = self.ready or self.alike or track.host.is_warm()
