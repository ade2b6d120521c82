"""Value at risk and correlation through a whole desk: by its own tape, on a real journal."""

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from desk_driver import SECOND_NS, DeskDriver, Runner, buy, content, fill, tick
from risk_gateway.explanation import explained
from risk_gateway.explanation_text import to_text
from risk_gateway.findings import Result
from risk_gateway.records import Kind
from risk_gateway.report import levels
from risk_gateway.sealing import made_of, seal_record
from trading.prospects import Change
from trading.samples import Sample
from trading.signals import Side
from trading.value_at_risk import value_at_risk

SAMPLES = 20
QUICK = {"intervalSeconds": 1, "samples": SAMPLES, "confidence": "0.95"}


def bids(count: int, start: int = 0) -> Iterator[float]:
    return (100 + 3 * math.sin(each) for each in range(start, start + count))


def walk(desk: DeskDriver, count: int = SAMPLES + 2) -> None:
    """A tick a second, each at another price, so each makes the sample of the second before."""
    latest = desk.market.tape.latest("BTCUSDT")
    last = latest.sequence if latest else 0
    for place, bid in enumerate(bids(count, last), last + 1):
        desk.feed(tick(place, bid))


def naming_main(**limits: Any) -> str:
    return json.dumps({**json.loads(content(**limits)), "policy": "main", "account": "main"})


async def crew(desk: DeskDriver, policy: dict[str, Any], **limits: Any) -> tuple[Runner, Runner]:
    """Strategies `s` and `t` of account `main`, and a policy that everybody is held to."""
    desk.desk.bounds.list_policies({"main": policy})
    text = naming_main(**limits)
    return await desk.armed(text), await desk.armed(text, "b", "t")


async def said(runner: Runner, name: str, quantity: str = "1", **more: Any) -> str:
    latest = runner.desk.market.tape.latest("BTCUSDT")
    assert latest is not None
    (verdict,) = await runner.decide(buy(name, latest.sequence, quantity, **more))
    return f"{verdict.reason}: {verdict.message}" if verdict.reason else "accepted"


def of_desk(**limits: str) -> dict[str, Any]:
    return {"desk": {"limits": limits, "sampling": QUICK}}


def kept(desk: DeskDriver) -> list[Sample]:
    return list(desk.state.pools.prospects.samples.kept)


# ---- correlation


@pytest.mark.parametrize("level", ["desk", "account", "strategy"])
async def test_a_second_strategy_that_does_the_same_is_refused(
    bound_desk: DeskDriver, level: str
) -> None:
    limits = {"max_correlation": "0.5"}
    policies: dict[str, dict[str, Any]] = {
        "desk": of_desk(**limits),
        "account": {"accounts": {"main": {"limits": limits}}, "desk": {"sampling": QUICK}},
        "strategy": {"limits": limits, "desk": {"sampling": QUICK}},
    }
    one, other = await crew(bound_desk, policies[level])
    walk(bound_desk)
    assert await said(one, "x") == "accepted"
    whose = {"desk": "desk: ", "account": "account main: ", "strategy": ""}[level]
    expected = f"max_correlation: {whose}correlation with s could become 1, by 20 samples, "
    assert await said(other, "y") == f"{expected}allowed is 0.5"
    assert bound_desk.orders == ["x-0"]
    assert bound_desk.state.counts.checks["max_correlation", "refused"] == 1
    assert bound_desk.state.counts.levels[level, "max_correlation"] == 1


async def test_an_account_is_compared_with_nobody_elses(bound_desk: DeskDriver) -> None:
    limits = {"main": {"limits": {"max_correlation": "0.5"}}}
    one, _ = await crew(bound_desk, {"accounts": limits, "desk": {"sampling": QUICK}})
    elsewhere = json.dumps({**json.loads(naming_main()), "account": "other"})
    stranger = await bound_desk.armed(elsewhere, "c", "u")
    walk(bound_desk)
    assert await said(stranger, "x") == "accepted"
    assert await said(one, "y") == "accepted"


@pytest.mark.parametrize("level", ["desk", "strategy"])
async def test_two_in_opposite_directions_pass(bound_desk: DeskDriver, level: str) -> None:
    limits = {"max_correlation": "0.5"}
    own = {"limits": limits, "desk": {"sampling": QUICK}}
    one, other = await crew(bound_desk, own if level == "strategy" else of_desk(**limits))
    walk(bound_desk)
    assert await said(one, "x") == "accepted"
    await bound_desk.filled(fill("x"))
    assert await said(other, "y", side=Side.SELL) == "accepted"


async def test_a_strategy_is_not_compared_with_itself(bound_desk: DeskDriver) -> None:
    one, _ = await crew(bound_desk, of_desk(max_correlation="0.5"))
    walk(bound_desk)
    assert await said(one, "x") == "accepted"
    await bound_desk.filled(fill("x"))
    assert await said(one, "y") == "accepted"


async def test_what_closes_passes_whatever_the_correlation(bound_desk: DeskDriver) -> None:
    one, other = await crew(bound_desk, of_desk())
    walk(bound_desk)
    for runner, name in ((one, "x"), (other, "y")):
        assert await said(runner, name) == "accepted"
        await bound_desk.filled(fill(name, strategy=runner.name))
    bound_desk.desk.bounds.policy_changed("main", of_desk(max_correlation="0"))
    assert (await said(one, "more")).startswith("max_correlation: desk: ")
    assert await said(one, "out", side=Side.SELL) == "accepted"


# ---- value at risk


@pytest.mark.parametrize("level", ["desk", "account", "strategy"])
async def test_an_order_is_refused_for_what_it_would_have_lost(
    bound_desk: DeskDriver, level: str
) -> None:
    limits = {"max_value_at_risk": "10"}
    policies: dict[str, dict[str, Any]] = {
        "desk": of_desk(**limits),
        "account": {"accounts": {"main": {"limits": limits}}, "desk": {"sampling": QUICK}},
        "strategy": {"limits": limits, "desk": {"sampling": QUICK}},
    }
    one, _ = await crew(bound_desk, policies[level])
    walk(bound_desk)
    mids = [each + 0.5 for each in bids(SAMPLES + 1, 1)]
    lost = [mids[-1] * (1 - now / before) for before, now in pairwise(mids)]
    of_one = value_at_risk(lost, Decimal("0.95"))  # of the 20, the second largest
    assert of_one == sorted(lost)[-2]
    most = int(10 / of_one)
    message = await said(one, "x", str(most + 1))
    whose = {"desk": "desk: ", "account": "account main: ", "strategy": ""}[level]
    amount = f"{of_one * (most + 1):.6f}"[:7]
    assert message.startswith(f"max_value_at_risk: {whose}value at risk could become {amount}")
    assert message.endswith(" at 0.95 over 1 s, by 20 samples, allowed is 10")
    assert await said(one, "y", str(most)) == "accepted"
    assert await said(one, "z") != "accepted"  # what was approved counts


async def test_a_bypass_lets_pass_and_counts(bound_desk: DeskDriver) -> None:
    policy = {"limits": {"max_value_at_risk": "0.1"}, "bypass": ["max_value_at_risk"]}
    one, _ = await crew(bound_desk, {**policy, "desk": {"sampling": QUICK}})
    assert await said(one, "x") == "accepted"  # without any sample
    walk(bound_desk)
    assert await said(one, "y") == "accepted"
    checks = bound_desk.state.counts.checks
    assert checks["too_few_samples", "bypassed"] == 1
    assert checks["max_value_at_risk", "bypassed"] == 1


async def test_a_verdict_is_explained_with_what_it_rests_on(bound_desk: DeskDriver) -> None:
    policy = {"limits": {"max_value_at_risk": "50", "max_correlation": "0.5"}}
    one, _ = await crew(bound_desk, {**policy, "desk": {"sampling": QUICK}})
    walk(bound_desk)
    assert await said(one, "x") == "accepted"
    found = explained(bound_desk.archive, "x")
    assert {each.result for each in found.checks} == {Result.PASSED}
    seen = {each.check: each.compared for each in found.checks}
    compared = seen["value_at_risk_stays_within_limit"]
    of_1 = Change("BTCUSDT", Decimal(1))
    again = bound_desk.state.pools.prospects.value_at_risk("s", {}, of_1, found.decided_ns)
    assert Decimal(compared["value_at_risk.amount"]) == again.amount
    assert compared["value_at_risk.basis.found"] == "20"
    assert seen["correlation_stays_within_limit"]["correlation.most"] == "0"
    assert "value_at_risk.amount" in to_text(found)


async def test_a_refusal_is_explained_by_its_check(bound_desk: DeskDriver) -> None:
    one, _ = await crew(
        bound_desk, {"limits": {"max_value_at_risk": "0.1"}, "desk": {"sampling": QUICK}}
    )
    walk(bound_desk, 5)
    assert (await said(one, "x")).startswith("too_few_samples: ")
    found = explained(bound_desk.archive, "x")
    refused = [each for each in found.checks if each.result is Result.REFUSED]
    assert [each.check for each in refused] == ["value_at_risk_stays_within_limit"]
    assert refused[0].compared["value_at_risk.basis.found"] == "4"


# ---- samples


async def test_too_few_samples_are_refused_by_name_until_there_are_enough(
    bound_desk: DeskDriver,
) -> None:
    one, _ = await crew(bound_desk, of_desk(max_value_at_risk="1000"))
    walk(bound_desk, SAMPLES)  # the first tick came before
    expected = "too_few_samples: desk: 19 of BTCUSDT together, a sample each 1 s, needed are 20"
    assert await said(one, "x") == expected
    walk(bound_desk, 1)
    assert await said(one, "y") == "accepted"
    assert bound_desk.state.counts.checks["too_few_samples", "refused"] == 1


async def test_nothing_is_sampled_while_nobody_asks(bound_desk: DeskDriver) -> None:
    await crew(bound_desk, {"desk": {"limits": {"max_net_exposure": "10000"}}})
    walk(bound_desk)
    assert kept(bound_desk) == []
    assert bound_desk.market.sampler is None
    bound_desk.desk.bounds.policy_changed("main", of_desk())
    walk(bound_desk, 3)
    assert len(kept(bound_desk)) == levels(bound_desk.desk, None).samples == 2
    bound_desk.desk.bounds.policy_changed("main", {})
    walk(bound_desk)
    assert len(kept(bound_desk)) == 2


async def test_a_strategys_own_limit_has_samples_made(desk: DeskDriver) -> None:
    """By the defaults: each minute, 250 of them."""
    runner = await desk.armed(content(max_value_at_risk="100"))
    for minute in range(1, 253):
        desk.feed(tick(60 * minute, 100 + minute % 7))
        if minute == 250:
            assert (await said(runner, "x")).startswith("too_few_samples: 249 of BTCUSDT")
    assert await said(runner, "y") == "accepted"


async def test_a_restart_goes_on_with_the_samples_it_had(bound_desk: DeskDriver) -> None:
    await crew(bound_desk, of_desk(max_value_at_risk="1000"))
    walk(bound_desk, SAMPLES)
    before = kept(bound_desk)
    assert before
    await bound_desk.journal.durable()
    made = made_of(bound_desk.archive)  # the next start begins at this seal
    bound_desk.journal.append([seal_record(made, 1)])
    walk(bound_desk, 1)
    samples = kept(bound_desk)
    assert len(samples) == len(before) + 1
    await bound_desk.journal.durable()
    again = bound_desk.again()
    assert again.archive.seals() == [made.number]
    assert kept(again) == samples


async def test_after_a_restart_a_gap_has_no_return(bound_desk: DeskDriver) -> None:
    await crew(bound_desk, of_desk(max_value_at_risk="1000"))
    walk(bound_desk)
    await bound_desk.journal.durable()
    again = bound_desk.again()
    prospects = again.state.pools.prospects
    for at in (1000, 1001):
        again.feed(tick(at))
    change = Change("BTCUSDT", Decimal(1))
    found = prospects.value_at_risk("desk", {}, change, 1001 * SECOND_NS)
    assert found.basis.found == SAMPLES  # all from before the gap
    assert prospects.value_at_risk("desk", {}, change, 999 * SECOND_NS).basis.found == 0


async def test_the_journal_has_each_sample_once(bound_desk: DeskDriver) -> None:
    await crew(bound_desk, of_desk())
    walk(bound_desk, 4)
    await bound_desk.journal.durable()
    rows = bound_desk.archive.backwards(Kind.SAMPLED, "", 2**40)
    found = [json.loads(row.body) for row in rows]
    assert [each["at_ns"] // SECOND_NS for each in found] == [5, 4, 3, 2]
    assert all(each["interval_s"] == 1 and set(each["mids"]) == {"BTCUSDT"} for each in found)


async def test_a_late_decision_sees_what_was_sampled_at_its_cause(bound_desk: DeskDriver) -> None:
    """However far the gateway is ahead of the strategy."""
    one, _ = await crew(bound_desk, of_desk(max_value_at_risk="0.000001"))
    walk(bound_desk)
    latest = bound_desk.market.tape.latest("BTCUSDT")
    assert latest is not None
    at_once = await said(one, "x")
    walk(bound_desk, 5)
    (verdict,) = await one.decide(buy("y", latest.sequence))
    assert at_once == f"{verdict.reason}: {verdict.message}"
    now = await said(one, "z")
    assert now.startswith("max_value_at_risk: ")
    assert now != at_once


async def test_on_the_walls_clock_samples_are_made_by_arrival(wall_desk: DeskDriver) -> None:
    now = [1_000 * SECOND_NS]
    wall_desk.market._wall_ns = lambda: now[0]
    await wall_desk.armed(content(max_correlation="0.5"))
    for place in range(2, 6):
        now[0] += 60 * SECOND_NS
        wall_desk.feed(tick(place))
    assert [each.at_ns // SECOND_NS for each in kept(wall_desk)] == [1020, 1080, 1140, 1200]


# ---- what cannot be read


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"desk": {"sampling": 3}}, "desk.sampling: 3, expected an object"),
        ({"desk": {"sampling": {"samples": 1}}}, "sampling samples: 1, expected a whole number"),
        ({"accounts": {"a": {"sampling": {}}}}, "sampling of the account a: expected of the desk"),
        ({"limits": {"max_correlation": "1.1"}}, "limit max_correlation: '1.1', expected a frac"),
        (
            {"symbols": {"B": {"limits": {"max_value_at_risk": 1}}}},
            "limit max_value_at_risk of the symbol B: expected one of ",
        ),
    ],
    ids=str,
)
async def test_what_cannot_be_read_lets_nobody_open(
    bound_desk: DeskDriver, policy: dict[str, Any], why: str
) -> None:
    one, _ = await crew(bound_desk, {})
    bound_desk.desk.bounds.policy_changed("main", policy)
    message = await said(one, "x")
    assert message.startswith("reducing_only: ")
    assert why in message
