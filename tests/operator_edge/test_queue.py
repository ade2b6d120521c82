"""The queue of keys: each once, one at a time, fair, and later when asked for later."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from strategy_operator.queue import Keys

A, B, C = ("desk", "a"), ("desk", "b"), ("desk", "c")


async def taken(keys: Keys, within_s: float = 0.05) -> tuple[str, str] | None:
    try:
        async with asyncio.timeout(within_s):
            return await keys.take()
    except TimeoutError:
        return None


async def test_a_key_added_twice_is_taken_once() -> None:
    keys = Keys()
    keys.add(A)
    keys.add(A)
    assert (await taken(keys), await taken(keys)) == (A, None)


async def test_keys_are_taken_in_the_order_in_which_they_came() -> None:
    keys = Keys()
    for key in (B, A, C):
        keys.add(key)
    assert [await taken(keys) for _ in range(3)] == [B, A, C]


async def test_a_key_that_is_being_handled_is_not_given_again() -> None:
    keys = Keys()
    keys.add(A)
    await taken(keys)
    keys.add(A)
    assert await taken(keys) is None


async def test_a_key_that_came_meanwhile_is_handled_once_more() -> None:
    keys = Keys()
    keys.add(A)
    await taken(keys)
    keys.add(A)
    keys.done(A)
    assert await taken(keys) == A


async def test_a_busy_key_does_not_hold_up_the_others() -> None:
    keys = Keys()
    keys.add(A)
    await taken(keys)
    keys.add(A)
    keys.add(B)
    keys.done(A)
    assert [await taken(keys), await taken(keys)] == [B, A]


async def test_a_later_key_comes_at_its_time() -> None:
    keys = Keys()
    keys.add(A, after_s=0.2)
    assert (await taken(keys, 0.1), await taken(keys, 60)) == (None, A)


async def test_the_earlier_of_two_times_stands() -> None:
    keys = Keys()
    keys.add(A, after_s=60)
    keys.add(A, after_s=0.1)
    assert await taken(keys, 60) == A


async def test_a_key_that_comes_before_its_later_time_comes_once() -> None:
    keys = Keys()
    keys.add(A, after_s=0.1)
    keys.add(A)
    assert await taken(keys) == A
    keys.done(A)
    assert await taken(keys, 0.3) is None


async def test_a_later_time_that_falls_into_its_handling_is_not_lost() -> None:
    keys = Keys()
    keys.add(A)
    await taken(keys)
    keys.add(A, after_s=0.05)
    assert await taken(keys, 0.2) is None
    keys.done(A)
    assert await taken(keys) == A


async def test_a_dropped_key_does_not_come_later() -> None:
    keys = Keys()
    keys.add(A, after_s=0.05)
    keys.drop(A)
    assert await taken(keys, 0.2) is None


async def test_asking_again_and_again_for_later_does_not_grow_the_queue() -> None:
    keys = Keys()
    for _ in range(10_000):
        keys.add(A)
        await keys.take()
        keys.done(A, again_s=300)
    assert len(keys._later) < 2_000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("atd"), st.sampled_from([A, B, C])), max_size=60))
def test_no_key_is_lost_and_none_is_handled_by_two(
    steps: list[tuple[str, tuple[str, str]]],
) -> None:
    asyncio.run(_no_key_is_lost(steps))


async def _no_key_is_lost(steps: list[tuple[str, tuple[str, str]]]) -> None:
    keys, wanted, handled = Keys(), set[tuple[str, str]](), set[tuple[str, str]]()
    for what, key in steps:
        if what == "a":
            keys.add(key)
            wanted.add(key)
        elif what == "t" and wanted - handled:
            got = await keys.take()
            assert got not in handled
            assert got in wanted
            handled.add(got)
            wanted.discard(got)
        elif what == "d" and key in handled:
            handled.discard(key)
            keys.done(key)
    for key in tuple(handled):
        keys.done(key)
    assert {await keys.take() for _ in wanted} == wanted
