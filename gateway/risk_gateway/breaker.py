"""The breaker of a venue: whether orders may be sent there, by how its last calls ended.

A table. Closed: they may. After some calls in a row without an answer it opens: none may, and the
venue is left alone for a while, which doubles. Half-open: one call tries, and decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerEvent(StrEnum):
    ANSWERED = "answered"
    TRIPPED = "tripped"  # no answer, once more than is borne
    WAITED = "waited"


_S, _E = BreakerState, BreakerEvent
TRANSITIONS: Mapping[BreakerState, Mapping[BreakerEvent, BreakerState]] = {
    _S.CLOSED: {_E.ANSWERED: _S.CLOSED, _E.TRIPPED: _S.OPEN, _E.WAITED: _S.CLOSED},
    # Calls that were under way when it opened end in it.
    _S.OPEN: {_E.ANSWERED: _S.CLOSED, _E.TRIPPED: _S.OPEN, _E.WAITED: _S.HALF_OPEN},
    _S.HALF_OPEN: {_E.ANSWERED: _S.CLOSED, _E.TRIPPED: _S.OPEN, _E.WAITED: _S.HALF_OPEN},
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    failures: int = 3  # in a row
    wait_s: float = 0.5
    longest_wait_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Times are monotonic, in seconds."""

    tolerance: Tolerance = Tolerance()  # frozen
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0  # in a row
    opened: int = 0  # times, so far
    wait_s: float = 0.0
    until_s: float = 0.0  # it waits, while it is open

    @property
    def is_closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    def answered(self) -> "Breaker":
        if self.is_closed and not self.failures:
            return self  # what nearly every call comes to
        return replace(self, state=self._next(_E.ANSWERED), failures=0, wait_s=0.0)

    def unanswered(self, now_s: float) -> "Breaker":
        failures = self.failures + 1
        if self.is_closed and failures < self.tolerance.failures:
            return replace(self, failures=failures)
        if self.state is BreakerState.OPEN:
            return replace(self, failures=failures)
        wait_s = min(self.wait_s * 2 or self.tolerance.wait_s, self.tolerance.longest_wait_s)
        return replace(
            self,
            state=self._next(_E.TRIPPED),
            failures=failures,
            opened=self.opened + 1,
            wait_s=wait_s,
            until_s=now_s + wait_s,
        )

    def at(self, now_s: float) -> "Breaker":
        """Half-open, when it has been open for long enough."""
        waits = self.state is not BreakerState.OPEN or now_s < self.until_s
        return self if waits else replace(self, state=self._next(_E.WAITED))

    def _next(self, event: BreakerEvent) -> BreakerState:
        return TRANSITIONS[self.state][event]
