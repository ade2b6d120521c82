"""Rate limits: how many orders were made in the second, or the minute, that ends now.

Time is counted in slots, of which a period has twenty, and each that a period touches counts whole:
there are never more than the limit in any period, and room comes back up to a slot later than it
would to the nanosecond. What is left follows from the orders' times alone, in whatever order they
come: the queue judges by priority, the journal has them as their strategies said them.
"""

from collections.abc import Mapping

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS

SLOTS = 20  # of a period
_AHEAD = 5 * SLOTS  # what lies further ahead is of a clock that was set back since
_MOST_KEPT = 2 * (SLOTS + _AHEAD)  # slots, before it is looked for those that count no more


class RateWindow:
    """At most `limit` in any span of `period_ns`. Time comes in."""

    __slots__ = ("_counts", "_looked_at", "_taken", "limit", "slot_ns")

    def __init__(self, limit: int, period_ns: int) -> None:
        self.limit = limit
        self.slot_ns = period_ns // SLOTS
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing counts that was; the times that follow may lie before it."""
        self._counts: dict[int, int] = {}  # by slot
        self._looked_at: int | None = None  # a slot
        self._taken = 0  # what counts in it

    def left(self, now_ns: int) -> int:
        """How many more may be made at that time."""
        left = self.limit - self._taken_at(now_ns // self.slot_ns)
        return left if left > 0 else 0

    def take(self, now_ns: int) -> None:
        """One was made, whether or not there was room: what was approved has been approved."""
        slot = now_ns // self.slot_ns
        taken = self._taken_at(slot)
        if slot not in self._counts and len(self._counts) >= _MOST_KEPT:
            self._forget(slot)
        self._counts[slot] = self._counts.get(slot, 0) + 1
        self._taken = taken + 1

    @property
    def counts(self) -> Mapping[int, int]:
        """Of what may still count, by slot."""
        return self._counts

    def go_on(self, counts: Mapping[int, int]) -> None:
        """From what `counts` were."""
        self.begin_anew()
        self._counts.update(counts)

    def _taken_at(self, slot: int) -> int:
        if slot != self._looked_at:
            first, last = slot - SLOTS, slot + _AHEAD
            self._taken = sum(n for each, n in self._counts.items() if first <= each <= last)
            self._looked_at = slot
        return self._taken

    def _forget(self, now: int) -> None:
        """What is over, also for a signal of an earlier moment; nothing that lies ahead."""
        first = now - SLOTS - _AHEAD
        self._counts = {slot: n for slot, n in self._counts.items() if slot >= first}
