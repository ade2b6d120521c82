"""A histogram that costs one bisection per value, turned into a metric when somebody asks."""

from bisect import bisect_left

TICK_US = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000)
AGE_US = (*TICK_US, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000)


class Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[int, ...] = TICK_US) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def add(self, value: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Upper bound and how many were at most that, as Prometheus wants it."""
        found, so_far = [], 0
        bounds = (*(str(float(bound)) for bound in self.bounds), "+Inf")
        for bound, count in zip(bounds, self.counts, strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found
