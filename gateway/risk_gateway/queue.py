"""The bounded queue between the fence and the risk checks: pure, by priority, FIFO within one."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

LIMIT = 1_000
BATCH = 100
PRIORITIES = range(10, 0, -1)  # 10 goes first


@dataclass(slots=True)
class PriorityQueue(Generic[T]):
    """Holds at most `limit` items; a full queue refuses, it never drops what it has taken."""

    limit: int = LIMIT
    size: int = 0
    _lanes: dict[int, deque[T]] = field(default_factory=lambda: {p: deque() for p in PRIORITIES})

    def put(self, item: T, priority: int) -> bool:
        """False when the queue is full."""
        if self.size >= self.limit:
            return False
        self._lanes[priority].append(item)
        self.size += 1
        return True

    def take(self, most: int = BATCH) -> list[T]:
        """Up to `most` items, the highest priority first, each priority in order of arrival."""
        taken: list[T] = []
        for lane in self._lanes.values():
            while lane and len(taken) < most:
                taken.append(lane.popleft())
        self.size -= len(taken)
        return taken
