"""When each message of a replay is due, in wall time."""

from collections.abc import Callable

LONGEST_GAP_S = 5.0  # a weekend without quotes is not waited for
_LATEST_S = 0.25


class Pace:
    """`speed` 1 is as it was, 10 ten times as fast, None without waiting."""

    def __init__(self, speed: float | None, now_s: Callable[[], float]) -> None:
        self._speed = speed
        self._now_s = now_s
        self._due_s = now_s()
        self._last_ns = 0

    def wait_s(self, at_ns: int) -> float:
        """How long until the message of `at_ns` is due; 0 or less when it is."""
        return 0.0 if self._speed is None else self._due(at_ns) - self._now_s()

    def sent(self, at_ns: int) -> None:
        """The message of `at_ns` is out. A replay that was held up goes on from now, not faster."""
        if self._speed is not None:
            self._due_s = max(self._due(at_ns), self._now_s() - _LATEST_S)
            self._last_ns = at_ns

    def _due(self, at_ns: int) -> float:
        assert self._speed is not None
        if not self._last_ns:
            return self._due_s
        return self._due_s + min((at_ns - self._last_ns) / 1e9 / self._speed, LONGEST_GAP_S)
