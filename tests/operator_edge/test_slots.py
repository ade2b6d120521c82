"""Who may start a runner now, and who is called when there is room."""

from dataclasses import dataclass, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from strategy_operator.objects import PodObject
from strategy_operator.observed import Pod, PodPhase, Trouble
from strategy_operator.queue import Key
from strategy_operator.slots import Load, Slots, load

NOW = 1_000.0
A, B, C = ("desk", "a"), ("desk", "b"), ("desk", "c")
STARTING = Pod("a-0123456789-1", "u1", "o", "0123456789", 1, PodPhase.PENDING, "image", NOW - 2)
UP = replace(STARTING, phase=PodPhase.RUNNING, started=True, created_at=NOW - 500)
FULL = Load(starting=2)


def pods(*each: Pod, strategy: str = "a") -> list[tuple[Key, PodObject]]:
    return [(("desk", f"{number}"), PodObject(strategy, pod)) for number, pod in enumerate(each)]


def test_a_fresh_pod_that_has_not_come_up_is_starting() -> None:
    assert load(pods(STARTING, UP), NOW) == Load(starting=1, handing_over=1)


def test_what_cannot_come_up_holds_up_nobody() -> None:
    stuck = replace(STARTING, trouble=Trouble("ImagePullBackOff"))
    old = replace(STARTING, created_at=NOW - 31)
    leaving = replace(STARTING, deleting=True)
    ended = replace(STARTING, phase=PodPhase.FAILED)
    assert load(pods(stuck, old, leaving, ended), NOW).starting == 0


def test_a_strategy_with_a_new_pod_beside_the_old_one_hands_over() -> None:
    fresh = replace(UP, created_at=NOW - 5)
    assert load(pods(UP, fresh), NOW).handing_over == 1
    assert load(pods(fresh), NOW).handing_over == 0


def test_a_hand_over_that_does_not_end_holds_up_nobody() -> None:
    slow = replace(STARTING, created_at=NOW - 61)
    assert load(pods(UP, slow), NOW).handing_over == 0


def test_there_is_room_up_to_the_limit() -> None:
    slots = Slots(most_starting=2, most_handovers=1)
    leave = slots.leave(A, Load(starting=1, handing_over=1))
    assert (leave.start, leave.hand_over) == (True, False)


def test_a_pod_that_is_being_created_counts_before_it_is_seen() -> None:
    slots = Slots(2, 2)
    slots.take(A)
    slots.take(B)
    assert not slots.leave(C, Load()).start
    slots.done(A)
    assert slots.leave(C, Load()).start


def test_those_that_wait_are_called_in_the_order_of_asking() -> None:
    slots = Slots(2, 2)
    for key in (B, A, C):
        slots.wait(key, hand_over=False)
    assert slots.call(FULL) == []
    assert slots.call(Load(starting=1)) == [B]
    assert slots.call(Load()) == [A]


def test_a_place_is_kept_for_who_was_called() -> None:
    slots = Slots(1, 1)
    slots.wait(A, hand_over=False)
    assert slots.call(Load()) == [A]
    assert not slots.leave(B, Load()).start
    assert slots.leave(A, Load()).start


def test_a_place_that_was_not_used_is_free_again() -> None:
    slots = Slots(1, 1)
    slots.wait(A, hand_over=False)
    slots.call(Load())
    slots.done(A)
    assert slots.leave(B, Load()).start


def test_nobody_passes_those_that_wait() -> None:
    slots = Slots(2, 2)
    slots.wait(A, hand_over=False)
    slots.wait(B, hand_over=False)
    assert not slots.leave(C, Load()).start
    assert not slots.leave(B, Load()).start
    assert slots.leave(A, Load()).start


def test_who_waits_to_hand_over_holds_up_nobody_who_only_starts() -> None:
    slots = Slots(2, 1)
    slots.wait(A, hand_over=True)
    slots.wait(B, hand_over=False)
    assert slots.call(Load(handing_over=1)) == [B]


def test_a_strategy_that_is_gone_waits_no_more() -> None:
    slots = Slots(1, 1)
    slots.wait(A, hand_over=False)
    slots.forget(A)
    assert slots.call(Load()) == []


@dataclass(frozen=True)
class Wish:
    """Of one strategy: what it needs, and what becomes of it while it waits."""

    hands_over: bool
    looked_at: int  # how often, without having been called
    loses_interest: bool  # it is suspended


WISHES = st.lists(st.builds(Wish, st.booleans(), st.integers(0, 3), st.booleans()), max_size=12)


@given(WISHES, st.randoms(use_true_random=False))
def test_everybody_starts_who_still_wants_to_and_never_too_many(
    wishes: list[Wish], chance: Random
) -> None:
    crowd = Crowd(Slots(2, 1), wishes)
    for key in chance.sample(crowd.extra, len(crowd.extra)):
        crowd.look(key)
        if chance.random() < 0.3:
            crowd.come_up()
    for _ in range(2 * len(wishes)):
        crowd.come_up()
        crowd.lose_interest()
        for key in crowd.slots.call(crowd.load):
            crowd.look(key)
    assert crowd.started >= crowd.eager
    assert crowd.slots.waiting == 0


class Crowd:
    """Strategies, as the worker looks at them one after the other."""

    def __init__(self, slots: Slots, wishes: list[Wish]) -> None:
        self.slots = slots
        self.wishes = {("desk", str(number)): wish for number, wish in enumerate(wishes)}
        self.extra = [key for key, wish in self.wishes.items() for _ in range(1 + wish.looked_at)]
        self.eager = {key for key, wish in self.wishes.items() if not wish.loses_interest}
        self.wants = set(self.wishes)
        self.started: set[Key] = set()
        self.starting: list[Key] = []

    @property
    def load(self) -> Load:
        handing_over = sum(self.wishes[key].hands_over for key in self.starting)
        return Load(len(self.starting), handing_over)

    def look(self, key: Key) -> None:
        if key in self.wants - self.started:
            self._try(key, self.wishes[key].hands_over)
        self.slots.done(key)
        assert self.load.starting <= 2
        assert self.load.handing_over <= 1

    def _try(self, key: Key, hands_over: bool) -> None:
        leave = self.slots.leave(key, self.load)
        if leave.start and (leave.hand_over or not hands_over):
            self.slots.take(key)
            self.started.add(key)
            self.starting.append(key)
        else:
            self.slots.wait(key, hand_over=hands_over)

    def come_up(self) -> None:
        del self.starting[:1]

    def lose_interest(self) -> None:
        self.wants &= self.eager
