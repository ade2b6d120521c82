"""What each caller may ask for at once and each second, so that none is in the way of another.

Pure but for the clock that is handed in. Counted by caller and call: whoever floods one call still
has the others, and `Halt` is never refused for its rate.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from risk_gateway.roles import RIGHTS

_MOST_KEPT = 4_096  # callers and calls; what was forgotten has its full allowance again


class Bound(StrEnum):
    """What was met: the label of a metric, and the beginning of a refusal."""

    REQUEST_SIZE = "request_size"
    RATE = "rate"
    CONCURRENCY = "concurrency"
    STREAMS = "streams"
    SILENT_STREAM = "silent_stream"  # no hello in time, or too many wait to say one
    UNREAD = "unread"  # bytes that wait for a runner that does not read


class BoundMet(Exception):
    """Refused for how much it is, not for who asks."""

    def __init__(self, bound: Bound, message: str) -> None:
        super().__init__(f"{bound}: {message}")
        self.bound = bound


@dataclass(frozen=True, slots=True)
class Most:
    """Of one caller, for each kind of call."""

    a_second: float = 200.0
    at_once: int = 32
    streams: int = 16

    @property
    def burst(self) -> float:
        return 2 * self.a_second


@dataclass(slots=True)
class _Use:
    left: float  # calls that may begin now
    at: float
    open: int = 0


class Allowances:
    """Call nothing concurrently."""

    def __init__(self, most: Most, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._uses: OrderedDict[tuple[str, str], _Use] = OrderedDict()

    @contextmanager
    def call(self, who: str, rpc: str) -> Iterator[None]:
        """While one is answered. Raises BoundMet."""
        use = self._use(who, rpc)
        if use.open >= self._most.at_once:
            raise BoundMet(Bound.CONCURRENCY, f"{rpc}: {use.open} calls at once already")
        if not RIGHTS[rpc].hurries:
            self._spend(use, rpc)
        with _counted(use):
            yield

    @contextmanager
    def stream(self, who: str) -> Iterator[None]:
        """While one is open. Raises BoundMet."""
        use = self._use(who, "Trade")
        if use.open >= self._most.streams:
            raise BoundMet(Bound.STREAMS, f"{use.open} streams of this caller are open already")
        with _counted(use):
            yield

    def _spend(self, use: _Use, rpc: str) -> None:
        now = self._now()
        use.left = min(self._most.burst, use.left + (now - use.at) * self._most.a_second)
        use.at = now
        if use.left < 1:
            raise BoundMet(Bound.RATE, f"{rpc}: at most {self._most.a_second:g} calls a second")
        use.left -= 1

    def _use(self, who: str, rpc: str) -> _Use:
        key = who, rpc
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _Use(self._most.burst, self._now())
            self._forget()
        self._uses.move_to_end(key)
        return use

    def _forget(self) -> None:
        """The one least lately heard of; never one that has something open."""
        if len(self._uses) > _MOST_KEPT:
            idle = next((key for key, use in self._uses.items() if not use.open), None)
            if idle is not None:
                del self._uses[idle]


@contextmanager
def _counted(use: _Use) -> Iterator[None]:
    use.open += 1
    try:
        yield
    finally:
        use.open -= 1
