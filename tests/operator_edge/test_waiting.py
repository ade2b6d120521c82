"""What the worker makes of a strategy for which there is no place now."""

import time
from dataclasses import replace
from typing import Any, cast

from strategy_operator.actions import CreatePod, Decision
from strategy_operator.cache import Cache
from strategy_operator.metrics import Counts
from strategy_operator.objects import PodObject
from strategy_operator.observed import Observed, Pod, PodPhase
from strategy_operator.queue import Keys
from strategy_operator.slots import Slots
from strategy_operator.worker import Parts, Worker

UP = Pod("old-0123456789-1", "u1", "o", "0123456789", 1, PodPhase.RUNNING, "image", 0, True)
NEW, MOVER, STARTER = ("desk", "new"), ("desk", "mover"), ("desk", "starter")
SEEN = Observed({}, 0.0, "", "image", "Never")


def starts(observed: Observed) -> Decision:
    return Decision(None, (CreatePod({}),) if observed.may_start else ())


def hands_over(observed: Observed) -> Decision:
    return starts(observed) if observed.may_hand_over else Decision(None)


class Place:
    """With room for two that start and one that hands over."""

    def __init__(self) -> None:
        self.cache, self.slots = Cache(), Slots(2, 1)
        self.decide = {MOVER: hands_over, STARTER: starts, NEW: starts}
        none = cast(Any, None)  # neither observes nor acts here
        parts = Parts(self.cache, none, none, none, self.slots, Counts())
        self.worker = Worker(parts, Keys(), lambda observed: self._decide(observed), lambda: True)
        self._version = 0

    def look(self, key: tuple[str, str]) -> bool:
        """Whether it may create its pod."""
        self._decide = self.decide[key]
        return bool(self.worker._decide(key, SEEN).actions)

    def has(self, strategy: str, *pods: Pod) -> None:
        for pod in pods:
            self._version += 1
            where = "desk", f"{strategy}-{pod.uid}"
            self.cache.pods.put(where, pod.uid, self._version, PodObject(strategy, pod))

    def called(self) -> list[tuple[str, str]]:
        return self.slots.call(self.worker._load())


def fresh(uid: str) -> Pod:
    return replace(UP, uid=uid, started=False, created_at=time.monotonic())


async def test_who_only_starts_does_not_wait_for_a_place_to_hand_over() -> None:
    place = Place()
    place.has("a", UP, fresh("u2"))  # hands over, and starts
    place.has("b", fresh("u3"))
    assert not place.look(STARTER)
    place.has("b", replace(UP, uid="u3"))  # has come up
    assert place.called() == [STARTER]
    assert place.look(STARTER)


async def test_who_hands_over_is_not_called_before_there_is_a_place_for_that() -> None:
    """Or it would be called in vain, and then wait behind those that came after it."""
    place = Place()
    place.has("b", fresh("u3"))
    place.has("c", fresh("u4"))
    assert not place.look(MOVER)
    place.has("a", UP, replace(UP, uid="u2", created_at=time.monotonic()))
    place.has("b", replace(UP, uid="u3"))
    assert place.called() == []
