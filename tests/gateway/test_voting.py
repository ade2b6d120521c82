"""Strategies that vote together, on a real desk with a real journal."""

import asyncio
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk_driver import DeskDriver, Runner, buy, content, fill
from examples import examples
from risk_gateway.explanation_text import to_json, to_text
from risk_gateway.policies import parse_policy
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.verification import verified
from trading.aggregation import Method
from trading.reasons import Reason
from trading.signals import Action, OrderType, Side
from trading.votes import BoxMemory, memory_of_votes

UNANIMOUS = {"main": {"aggregation": {"method": "unanimous"}}}


def naming(policy: str = "main", mode: str = "simulation") -> str:
    return json.dumps({**json.loads(content(mode)), "policy": policy})


async def two(desk: DeskDriver, mode: str = "simulation", **policies: Any) -> tuple[Runner, Runner]:
    """Two strategies, the second in that mode, and a first tick."""
    desk.desk.bounds.list_policies(policies or UNANIMOUS)
    first = await desk.armed(naming(), instance="a", name="s")
    return first, await desk.armed(naming(mode=mode), instance="b", name="t")


async def reason_of(runner: Runner, name: str, **fields: Any) -> Reason | None:
    (verdict,) = await runner.decide(buy(name, **fields))
    return verdict.reason


async def seal_now(desk: DeskDriver) -> None:
    desk.journal.append([seal_record(made_of(desk.archive), 7)])
    await desk.settled()


async def test_off_by_default_strategies_disagree_freely(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk, main={})
    assert await reason_of(one, "x", side=Side.SELL) is None
    assert await reason_of(other, "y") is None
    assert bound_desk.state.pools.votes.boxes == {}


async def test_who_opens_against_the_others_is_refused_and_no_order_leaves(
    bound_desk: DeskDriver,
) -> None:
    one, other = await two(bound_desk)
    assert await reason_of(one, "x", side=Side.SELL) is None
    assert await reason_of(other, "y") is Reason.NO_CONSENSUS
    assert bound_desk.orders == ["x-0"]


async def test_what_was_refused_reserves_nothing(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL)
    account = bound_desk.state.strategies["t"].account
    made = dict(account._second.counts)
    assert await reason_of(other, "y", quantity="900") is Reason.NO_CONSENSUS
    assert account.working("BTCUSDT").buys == 0
    assert account._second.counts == made
    assert not account.orders


async def test_a_vote_at_the_windows_edge_counts_and_one_past_it_does_not(
    bound_desk: DeskDriver,
) -> None:
    """Ticks are a second apart, so the fifth after the vote is at the edge."""
    one, other = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL, cause=1)
    for _ in range(6):
        bound_desk.feed_next()
    assert await reason_of(other, "y", cause=6) is Reason.NO_CONSENSUS
    assert await reason_of(other, "z", cause=7) is None


async def test_closing_and_cancels_pass(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk)
    resting = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    assert await reason_of(other, "y") is None
    bound_desk.feed_next()
    assert await reason_of(other, "r", cause=2, **resting) is None
    await bound_desk.filled(fill("y", strategy="t"))
    bound_desk.feed_next()
    assert await reason_of(other, "c", cause=3, side=Side.SELL, closing=True) is None
    assert await reason_of(one, "x", cause=3) is Reason.NO_CONSENSUS  # t wants to close
    bound_desk.feed_next()
    assert await reason_of(other, "k", cause=4, action=Action.CANCEL, cancels="r") is None


async def test_a_rehearsal_sways_nobody(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk, mode="observation")
    assert await reason_of(other, "y", side=Side.SELL) is None
    assert await reason_of(one, "x") is None


@pytest.mark.parametrize("sealed", [False, True], ids=["from the records", "from a seal"])
async def test_votes_count_after_a_restart(bound_desk: DeskDriver, sealed: bool) -> None:
    one, _ = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL)
    before = bound_desk.state.pools.votes.boxes
    if sealed:
        await seal_now(bound_desk)
    again = bound_desk.again()
    assert again.state.pools.votes.boxes == before
    other = await again.armed(instance="b", name="t")
    assert await reason_of(other, "y") is Reason.NO_CONSENSUS


@pytest.mark.parametrize("sealed", [False, True], ids=["from the records", "from a seal"])
async def test_the_last_vote_of_a_moment_is_the_last_after_a_restart(
    bound_desk: DeskDriver, sealed: bool
) -> None:
    """A batch is judged by priority, and lies in its record as it was said."""
    one, _ = await two(bound_desk)
    await one.decide(buy("x", side=Side.SELL), buy("y", priority=10))
    if sealed:
        await seal_now(bound_desk)
    again = bound_desk.again()
    other = await again.armed(instance="b", name="t")
    assert await reason_of(other, "z", side=Side.SELL) is None  # the other wants SELL, too


TALKS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([*Side, "seal"]), st.integers(1, 4)),
    max_size=10,
)


@examples(15)
@given(TALKS)
def test_whatever_was_said_a_restart_counts_it_alike(talk: list[tuple[str, str, int]]) -> None:
    asyncio.run(_talked(talk))


async def _talked(talk: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = DeskDriver(Path(folder), asks_for_policies=True)
        runners = dict(zip("ab", await two(desk), strict=True))
        cause = 1
        for place, (who, what, ticks) in enumerate(talk):
            for _ in range(ticks):
                desk.feed_next()
            cause += ticks
            if what == "seal":
                await seal_now(desk)
            else:
                await reason_of(runners[who], f"n{place}", cause=cause, side=Side(what))
        before = memory_of_votes(desk.state.pools.votes)
        assert bool(before) is any(what != "seal" for _, what, _ in talk)
        desk.again()
        assert sorted_memory(memory_of_votes(desk.state.pools.votes)) == sorted_memory(before)
        assert verified(desk.journal.path)
        desk.close()


def sorted_memory(memory: tuple[BoxMemory, ...]) -> list[BoxMemory]:
    return sorted(memory, key=lambda box: box.votes[0].strategy)


async def test_a_desk_with_votes_is_proven(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL)
    await seal_now(bound_desk)
    await reason_of(other, "y")
    assert verified(bound_desk.journal.path).seals == 1


async def test_explain_shows_how_each_voted(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL, confidence=Decimal("0.9"))
    await reason_of(other, "y")
    found = bound_desk.explain("y")
    assert found.verdict == "no_consensus"
    assert "risk policy main, simulation: NONE by unanimous, window 5 s" in to_text(found)
    (consensus,) = json.loads(to_json(found))["poll"]["consensus"]
    votes = {each["strategy"]: each["direction"] for each in consensus["votes"]}
    assert votes == {"s": "SHORT", "t": "LONG"}


async def test_a_policy_that_stops_asking_stops_counting(bound_desk: DeskDriver) -> None:
    one, other = await two(bound_desk)
    await reason_of(one, "x", side=Side.SELL)
    bound_desk.desk.bounds.policy_changed("main", {})
    await bound_desk.settled()
    assert await reason_of(other, "y") is None


def test_a_policy_says_how_they_vote() -> None:
    said = {"method": "majority", "windowSeconds": 2, "threshold": "0.5"}
    found = parse_policy({"aggregation": said}).aggregation
    assert found is not None
    assert (found.method, found.window_ns, found.threshold) == (
        Method.MAJORITY, 2_000_000_000, Decimal("0.5"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("aggregation", "why"),
    [
        ([], "aggregation: [], expected an object"),
        ({"method": "loudest"}, "aggregation.method: 'loudest', expected one of majority, "
         "weighted_average, unanimous, first_signal"),
        ({"method": "majority", "quorum": 2}, "aggregation.quorum: unknown, expected one of "
         "method, windowSeconds, threshold"),
        ({"method": "majority", "windowSeconds": 0}, "aggregation.windowSeconds: 0, expected a "
         "whole number from 1 to 3600"),
        ({"method": "majority", "windowSeconds": True}, "aggregation.windowSeconds: True, expected "
         "a whole number from 1 to 3600"),
        ({"method": "majority", "threshold": "x"}, "aggregation.threshold: 'x', expected a number "
         "from 0 to 1"),
        ({"method": "majority", "threshold": "2"}, "aggregation.threshold: '2', expected a number "
         "from 0 to 1"),
    ],
    ids=["list", "method", "unknown", "window", "truth", "text", "too much"],
)  # fmt: skip
def test_what_cannot_be_read_lets_nobody_open(aggregation: Any, why: str) -> None:
    assert parse_policy({"aggregation": aggregation}).unreadable == why


async def test_a_modification_that_asks_for_more_is_a_vote_also_where_a_limit_refuses_it(
    bound_desk: DeskDriver,
) -> None:
    one, other = await two(bound_desk)
    assert await reason_of(one, "x", order_type=OrderType.LIMIT, price=Decimal(50)) is None
    for _ in range(6):  # its order is no vote any more
        bound_desk.feed_next()
    more = {"action": Action.MODIFY, "modifies": "x", "quantity": "1000000"}
    assert await reason_of(one, "m", cause=7, **more) is Reason.MAX_ORDER_VALUE
    far = {"side": Side.SELL, "order_type": OrderType.LIMIT, "price": Decimal(150)}
    assert await reason_of(other, "y", cause=7, **far) is Reason.NO_CONSENSUS
