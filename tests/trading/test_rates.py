"""Rates: never more than the limit in any period, in whatever order they are counted."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from trading.rates import SECOND_NS, SLOTS, RateWindow

SLOT = SECOND_NS // SLOTS
HOUR_NS = 3600 * SECOND_NS
NEAR = st.integers(0, 5 * SECOND_NS)  # times that all count beside each other, or too early to


def window_after(*times: int, limit: int = 10) -> RateWindow:
    window = RateWindow(limit, SECOND_NS)
    for at_ns in times:
        window.take(at_ns)
    return window


def test_nothing_was_made_at_first() -> None:
    assert window_after().left(5 * SECOND_NS) == 10
    assert window_after().left(0) == 10


def test_all_may_be_made_at_once_and_again_when_the_period_is_over() -> None:
    window = window_after(*[0] * 10)
    assert window.left(0) == 0
    assert window.left(SECOND_NS) == 0
    assert window.left(SECOND_NS + SLOT) == 10


def test_room_comes_back_as_it_was_used() -> None:
    window = window_after(*range(0, SECOND_NS, SECOND_NS // 10))
    assert window.left(SECOND_NS) == 0
    assert window.left(SECOND_NS + SLOT) == 1
    assert window.left(SECOND_NS + 2 * SLOT) == 1
    assert window.left(SECOND_NS + 3 * SLOT) == 2


def test_what_was_made_too_much_leaves_no_debt() -> None:
    window = window_after(*[0] * 12)
    assert window.left(0) == 0
    assert window.left(SECOND_NS + SLOT) == 10


def test_what_lies_ahead_counts() -> None:
    """The queue judges by priority: a signal of an earlier moment may come later."""
    window = window_after(*[3 * SECOND_NS] * 9)
    assert window.left(0) == 1
    window.take(0)
    assert window.left(0) == 0
    assert window.left(3 * SECOND_NS) == 1


def test_a_clock_that_is_set_back_stops_nobody() -> None:
    window = window_after(*[HOUR_NS] * 10)
    assert window.left(0) == 10
    window.take(0)
    assert window.left(0) == 9
    assert window.left(HOUR_NS) == 0


def test_a_signal_of_long_ago_makes_no_room_for_those_of_now() -> None:
    now = 60 * SECOND_NS
    window = window_after(*range(0, now, SLOT), *[now] * 10)
    assert window.left(now) == 0
    window.take(now - 6 * SECOND_NS)
    assert window.left(now) == 0


def test_what_begins_anew_has_all() -> None:
    window = window_after(*[SECOND_NS] * 10)
    window.begin_anew()
    assert window.left(SECOND_NS) == 10


def test_a_limit_of_zero_leaves_nothing() -> None:
    assert window_after(limit=0).left(SECOND_NS) == 0


def test_another_limit_forgets_nothing() -> None:
    window = window_after(*[0] * 8)
    window.limit = 20
    assert window.left(0) == 12
    window.limit = 5
    assert window.left(0) == 0


def test_what_counts_no_more_is_not_kept() -> None:
    window = window_after(*range(0, 60 * SECOND_NS, SLOT))
    assert len(window.counts) <= 12 * SLOTS
    assert window.left(60 * SECOND_NS) == 0
    assert window.left(62 * SECOND_NS) == 10


@given(st.lists(NEAR, max_size=150), st.randoms(), NEAR)
def test_the_order_in_which_they_come_is_nothing(
    times: list[int], chance: Random, now: int
) -> None:
    other = times.copy()
    chance.shuffle(other)
    window, shuffled = window_after(*times, limit=150), window_after(*other, limit=150)
    assert window.left(now) == shuffled.left(now)
    assert window.counts == shuffled.counts
    made = sum(at_ns // SLOT >= now // SLOT - SLOTS for at_ns in times)
    assert window.left(now) == 150 - made


@given(st.integers(1, 20), st.lists(st.integers(0, 2 * SLOT), max_size=300))
def test_no_period_has_more_than_the_limit(limit: int, steps: list[int]) -> None:
    window, now = window_after(limit=limit), 0
    made: list[int] = []
    for step in steps:
        now += step
        if window.left(now):
            window.take(now)
            made.append(now)
        else:
            assert now - made[-limit] <= SECOND_NS + SLOT
    for earlier, later in zip(made, made[limit:], strict=False):
        assert later - earlier > SECOND_NS


@given(st.lists(NEAR, max_size=150), st.lists(NEAR, max_size=20), NEAR)
def test_what_goes_on_from_counts_goes_on(times: list[int], more: list[int], now: int) -> None:
    window, other = window_after(*times), window_after()
    other.go_on(window.counts)
    assert other.left(now) == window.left(now)
    for at_ns in more:
        window.take(at_ns)
        other.take(at_ns)
    assert other.counts == window.counts
