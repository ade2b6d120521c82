"""The snapshots that an armed runner owes to its followers.

Each waits for a barrier: a PING on the market data's own connection, whose PONG comes behind all
that was published before the follower subscribed. Without it a snapshot lacks what was published
and not yet read here.
"""

from collections.abc import Callable
from functools import partial

from handover.messages import WantSnapshot

Barrier = Callable[[Callable[[], None]], None]


class Snapshots:
    """`barrier(reached)` calls `reached` at the PONG; `on_due` is called when one is due."""

    __slots__ = ("_barrier", "_due", "_on_due", "_subscription", "_wanted")

    def __init__(self, barrier: Barrier, on_due: Callable[[], None]) -> None:
        self._barrier = barrier
        self._on_due = on_due
        self._subscription = 0  # whose PONG counts; 0: there is no feed
        self.forget()

    def forget(self) -> None:
        self._wanted: list[WantSnapshot] = []
        self._due: list[WantSnapshot] = []

    def want(self, want: WantSnapshot) -> None:
        if want not in self._wanted:
            self._wanted.append(want)
            self._ask(want)

    def feed(self, subscription: int) -> None:
        """A new connection, or none: PINGs of the old one are forgotten."""
        self._subscription = subscription
        for want in self._wanted:
            self._ask(want)

    def take_due(self) -> list[WantSnapshot]:
        due, self._due = self._due, []
        return due

    def _ask(self, want: WantSnapshot) -> None:
        if self._subscription:
            self._barrier(partial(self._reached, want, self._subscription))

    def _reached(self, want: WantSnapshot, subscription: int) -> None:
        if subscription == self._subscription and want in self._wanted:
            self._wanted.remove(want)
            self._due.append(want)
            self._on_due()
