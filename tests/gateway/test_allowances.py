"""How much one caller may ask for: laws over any order of calls and any clock."""

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.allowances import Allowances, Bound, BoundMet, Most
from risk_gateway.lobby import Lobby

MOST = Most(a_second=10, at_once=3, streams=2)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def asked(allowances: Allowances, who: str = "ana", rpc: str = "GetDesk") -> bool:
    try:
        with allowances.call(who, rpc):
            return True
    except BoundMet:
        return False


@given(st.lists(st.floats(0, 3), max_size=200))
def test_never_more_calls_than_a_burst_and_the_rate_allow(gaps: list[float]) -> None:
    clock = Clock()
    allowances = Allowances(MOST, clock)
    passed = 0
    for gap in gaps:
        clock.now += gap
        passed += asked(allowances)
        assert passed <= MOST.burst + MOST.a_second * clock.now + 1e-6


@given(st.lists(st.sampled_from(["GetDesk", "Deploy"]), max_size=100))
def test_a_flood_takes_nothing_from_another_caller_or_call(flood: list[str]) -> None:
    allowances = Allowances(MOST, Clock())
    for rpc in flood:
        asked(allowances, "eve", rpc)
    assert asked(allowances, "ana")
    assert asked(allowances, "eve", "ListDeskOrders")


def test_halt_is_never_refused_for_its_rate() -> None:
    allowances = Allowances(MOST, Clock())
    assert all(asked(allowances, rpc="Halt") for _ in range(1_000))
    assert not all(asked(allowances, rpc="Resume") for _ in range(1_000))


def test_what_is_open_is_bounded_and_given_back() -> None:
    allowances = Allowances(MOST, Clock())
    with ExitStack() as open_calls:
        for _ in range(MOST.at_once):
            open_calls.enter_context(allowances.call("ana", "GetDesk"))
        with pytest.raises(BoundMet) as met, allowances.call("ana", "GetDesk"):
            pass
        assert met.value.bound is Bound.CONCURRENCY
    assert asked(allowances)


def test_streams_are_bounded_by_caller() -> None:
    allowances = Allowances(MOST, Clock())
    with allowances.stream("ana"), allowances.stream("ana"), allowances.stream("bo"):
        assert not streams(allowances, "ana")
    assert streams(allowances, "ana")


def streams(allowances: Allowances, who: str) -> bool:
    try:
        with allowances.stream(who):
            return True
    except BoundMet:
        return False


def test_the_number_of_callers_that_are_kept_is_bounded() -> None:
    allowances = Allowances(MOST, Clock())
    with allowances.call("first", "GetDesk"):
        for n in range(10_000):
            asked(allowances, f"{n}")
        assert len(allowances._uses) <= 4_096
        assert ("first", "GetDesk") in allowances._uses  # it has something open


async def silence() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_whoever_says_nothing_is_sent_away_in_time() -> None:
    with pytest.raises(BoundMet, match=r"^silent_stream: no hello within 0\.05 s"):
        await Lobby(within_s=0.05).first(silence())


async def test_where_too_many_say_nothing_the_longest_silent_goes() -> None:
    lobby = Lobby(most=2)
    silent = [asyncio.ensure_future(lobby.first(silence())) for _ in range(3)]
    with pytest.raises(BoundMet, match=r"^silent_stream: 2 streams say no hello"):
        await silent[0]
    assert await lobby.first(asyncio.sleep(0, "hello")) == "hello"
    assert [each.done() for each in silent] == [True, True, False]
    for each in silent:
        each.cancel()
    await asyncio.gather(*silent, return_exceptions=True)
