"""How many runners may start at once, and how many strategies may hand over.

Fifty runners that start together on a small node hold one another up until probes kill them. Who
has to wait is called in the order of asking, when a runner has come up (what follows, catching up
and warming up, is little work), is gone or in trouble of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from strategy_operator.objects import PodObject
from strategy_operator.observed import Pod, PodPhase
from strategy_operator.queue import Key

STARTING_S, HANDING_OVER_S = 30.0, 60.0  # what takes longer does not hold up the others
_ALIVE = (PodPhase.PENDING, PodPhase.RUNNING)


@dataclass(frozen=True, slots=True)
class Load:
    starting: int = 0  # pods
    handing_over: int = 0  # strategies


def load(pods: Iterable[tuple[Key, PodObject]], now: float) -> Load:
    """`pods` by their own keys. A strategy with two pods of which one is new is handing over."""
    alive: dict[Key, list[Pod]] = {}
    for (namespace, _), each in pods:
        if each.pod.phase in _ALIVE and not each.pod.deleting:
            alive.setdefault((namespace, each.strategy), []).append(each.pod)
    return Load(
        starting=sum(_starts(pod, now) for pods in alive.values() for pod in pods),
        handing_over=sum(_hand_over(pods, now) for pods in alive.values()),
    )


def _starts(pod: Pod, now: float) -> bool:
    return not pod.started and pod.trouble is None and now - pod.created_at < STARTING_S


def _hand_over(pods: list[Pod], now: float) -> bool:
    newest = max(pods, key=lambda pod: pod.created_at)
    fresh = now - newest.created_at < HANDING_OVER_S
    return len(pods) > 1 and newest.trouble is None and fresh


@dataclass(frozen=True, slots=True)
class Leave:
    """What one more strategy may do now."""

    start: bool
    hand_over: bool


class Slots:
    def __init__(self, most_starting: int, most_handovers: int) -> None:
        self._most_starting = most_starting
        self._most_handovers = most_handovers
        self._taken: set[Key] = set()  # a pod is being created, and not seen yet
        self._waiting: dict[Key, bool] = {}  # in the order of asking: whether to hand over
        self._called: set[Key] = set()  # for them a place is kept

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def leave(self, key: Key, now: Load) -> Leave:
        """Whether this one may go; places of those that were called are theirs, and nobody passes
        those that wait."""
        ahead = len(self._taken) + len(self._called - {key})
        is_next = key in self._called or key == next(iter(self._waiting), key)
        return Leave(
            start=is_next and now.starting + ahead < self._most_starting,
            hand_over=now.handing_over + ahead < self._most_handovers,
        )

    def take(self, key: Key) -> None:
        self._taken.add(key)
        self._waiting.pop(key, None)

    def wait(self, key: Key, *, hand_over: bool) -> None:
        self._waiting[key] = hand_over

    def done(self, key: Key) -> None:
        """Looked at: what it created is seen, what it was called for is over."""
        self._taken.discard(key)
        self._called.discard(key)

    def forget(self, key: Key) -> None:
        self.done(key)
        self._waiting.pop(key, None)

    def call(self, now: Load) -> list[Key]:
        """Those that may try now; a place is kept for each until it was looked at."""
        kept = len(self._taken) + len(self._called)
        starts = self._most_starting - now.starting - kept
        hand_overs = self._most_handovers - now.handing_over - kept
        called: list[Key] = []
        for key, hand_over in tuple(self._waiting.items()):
            if len(called) < (min(starts, hand_overs) if hand_over else starts):
                del self._waiting[key]
                called.append(key)
        self._called.update(called)
        return called
