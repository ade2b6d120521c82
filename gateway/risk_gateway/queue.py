"""The bounded queue between the fence and the risk checks: pure, by priority, with ageing.

A signal's turn is its place in the order of arrival, put back by AGEING for each priority that it
is below the highest. So a higher priority overtakes, and nothing is overtaken for ever: at most
`9 * AGEING` signals that came later are taken before one of priority 1.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

LIMIT = 1_000
BATCH = 100
HIGHEST = 10
AGEING = BATCH


@dataclass(slots=True)
class PriorityQueue(Generic[T]):
    """Holds at most `limit` items; a full queue refuses, it never drops what it has taken."""

    limit: int = LIMIT
    queued: Counter[int] = field(default_factory=Counter)  # ever, by priority
    _arrived: int = 0
    _waiting: list[tuple[int, int, T]] = field(default_factory=list)  # a heap: turn, arrival, item

    @property
    def size(self) -> int:
        return len(self._waiting)

    def put(self, item: T, priority: int) -> bool:
        """False when the queue is full."""
        if len(self._waiting) >= self.limit:
            return False
        self._arrived += 1
        turn = self._arrived + (HIGHEST - priority) * AGEING
        heapq.heappush(self._waiting, (turn, self._arrived, item))
        self.queued[priority] += 1
        return True

    def take(self, most: int = BATCH) -> list[T]:
        """Up to `most` items, in their turn; each priority in order of arrival."""
        count = min(most, len(self._waiting))
        return [heapq.heappop(self._waiting)[2] for _ in range(count)]


def has_room(mine: int, all_: int, more: int, streams: int, limit: int = LIMIT) -> bool:
    """Whether a stream with `mine` of `all_` waiting signals may add `more` now.

    Its credit is an equal share of the queue. A batch beyond that goes alone; one that no queue
    could hold goes at once, and is refused there by name.
    """
    credit = limit // max(1, streams)
    return more > limit or (all_ + more <= limit and (not mine or mine + more <= credit))
