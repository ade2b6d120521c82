"""Rate limits by token bucket, in whole numbers so that no token is ever lost to rounding."""

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class TokenBucket:
    """At most `limit` at once, and `limit` more over every `period_ns` after that.

    Time comes in; one that goes back neither adds nor takes away.
    """

    __slots__ = ("_at_ns", "_full", "_level", "limit", "period_ns")

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit = limit
        self.period_ns = period_ns
        self._full = limit * period_ns  # a token is `period_ns` high: each ns adds `limit`
        self._level = self._full
        self._at_ns: int | None = None

    def available(self, now_ns: int) -> int:
        """Whole tokens at that time; takes none."""
        level = self._level_at(now_ns)
        return level // self.period_ns if level > 0 else 0

    def take(self, now_ns: int) -> None:
        """Takes one, whether or not there is one: what was approved has been approved."""
        self._level = self._level_at(now_ns) - self.period_ns
        self._at_ns = now_ns if self._at_ns is None else max(self._at_ns, now_ns)

    def resize(self, limit: int) -> None:
        """A new limit; what was taken stays taken."""
        self._level += (limit - self.limit) * self.period_ns
        self.limit, self._full = limit, limit * self.period_ns

    def begin_anew(self) -> None:
        """Full, and the times that follow may lie before those that were."""
        self._level = self._full
        self._at_ns = None

    def _level_at(self, now_ns: int) -> int:
        level = self._level
        if self._at_ns is not None and now_ns > self._at_ns:
            level += (now_ns - self._at_ns) * self.limit
        return level if level < self._full else self._full
