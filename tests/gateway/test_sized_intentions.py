"""Intentions on a real desk: sized, reserved, journalled, told, and the same after a restart."""

import json
from decimal import Decimal
from math import log, sqrt
from typing import Any

import pytest

from desk_driver import DeskDriver, Runner, buy, content, fill
from handover.messages import OrderEnd, OrderSized
from risk_gateway.explanation_text import to_json, to_text
from risk_gateway.policies import parse_policy
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.verification import verified
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Direction, Side, Signal

D = Decimal
TENTH: dict[str, Any] = {"sizing": {"fixedFraction": {"fraction": "0.1"}}}
TARGET: dict[str, Any] = {
    "sizing": {"volatilityTarget": {"volatility": "0.5", "cap": 1, "stepSeconds": 1, "returns": 3}}
}
LONG, SHORT, CLOSE, NONE = Direction.LONG, Direction.SHORT, Direction.CLOSE, Direction.NONE
# stdev(r, -r, r) is r * sqrt(4/3); a year has 31536000 seconds.
UP_AND_DOWN = D(log(101.5 / 100.5) * sqrt(4 / 3) * sqrt(31_536_000))


def want(name: str, direction: Direction = LONG, cause: int = 1, **fields: Any) -> Signal:
    return buy(name, cause, quantity="0", direction=direction, **fields)


async def trading(desk: DeskDriver, mode: str = "simulation", **policy: Any) -> Runner:
    """A strategy with 10000 to begin with, and a tick of 100 to 101."""
    desk.desk.bounds.list_policies({"main": policy})
    text = json.dumps({**json.loads(content(mode, capital="10000")), "policy": "main"})
    return await desk.armed(text)


async def test_the_sized_quantity_leaves_is_reserved_and_is_told(bound_desk: DeskDriver) -> None:
    """A tenth of 10000 at 101: 9.90099 in lots of 0.00001."""
    runner = await trading(bound_desk, **TENTH)
    (verdict,) = await runner.decide(want("x"))
    assert verdict.accepted
    (leaving,) = bound_desk.left
    assert leaving.request is not None
    assert leaving.request.quantity == "9.90099"
    assert bound_desk.strategy.account.working("BTCUSDT").buys == D("9.90099")
    assert runner.outcomes[-1].what == OrderSized("BTCUSDT", Side.BUY, D("9.90099"))


async def test_confidence_and_size_make_it_smaller(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, **TENTH)
    await runner.decide(want("x", confidence=D("0.8"), size=D("0.5")))
    assert bound_desk.strategy.account.working("BTCUSDT").buys == D("3.96039")


async def test_an_intention_that_is_repeated_buys_nothing_twice(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, **TENTH)
    verdicts = await runner.decide(want("x"), want("y"))
    assert [verdict.reason for verdict in verdicts] == [None, Reason.NOT_SIZED]
    assert bound_desk.orders == ["x-0"]


async def test_a_close_sells_what_is_held_and_no_more(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, **TENTH)
    await runner.decide(want("x"))
    await bound_desk.filled(fill("x", quantity="9.90099"))
    bound_desk.feed_next()
    verdicts = await runner.decide(want("c", CLOSE, cause=2), want("d", CLOSE, cause=2))
    assert [verdict.reason for verdict in verdicts] == [None, Reason.REDUCING_ONLY]
    assert bound_desk.strategy.account.working("BTCUSDT").sells == D("9.90099")


async def test_a_sized_order_obeys_every_limit(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, limits={"max_order_value": "500"}, **TENTH)
    (verdict,) = await runner.decide(want("x"))
    assert verdict.reason is Reason.MAX_ORDER_VALUE
    assert bound_desk.orders == []
    assert bound_desk.strategy.account.working("BTCUSDT").buys == 0


async def test_who_is_not_sized_is_refused_by_name(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk)
    (verdict,) = await runner.decide(want("x"))
    assert (verdict.reason, verdict.message) == (
        Reason.NOT_SIZED,
        "no risk policy says how s is sized",
    )


async def test_a_halt_is_said_before_anything_about_sizes(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk)
    bound_desk.desk.bounds.halt("drill")
    (verdict,) = await runner.decide(want("x"))
    assert verdict.reason is Reason.HALTED


async def test_nothing_is_an_intention_too(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, **TENTH)
    (verdict,) = await runner.decide(want("x", NONE))
    assert verdict.accepted
    assert bound_desk.orders == []
    assert runner.outcomes[-1].what == OrderEnd(OrderState.CANCELLED)


async def test_what_is_observed_is_sized_and_never_an_order(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, mode="observation", **TENTH)
    (verdict,) = await runner.decide(want("x"))
    assert verdict.accepted
    assert bound_desk.orders == []
    assert bound_desk.explain("x").signal.quantity == D("9.90099")


async def test_volatility_is_that_of_the_desks_own_market(bound_desk: DeskDriver) -> None:
    """Mids 100.5, 101.5, 100.5, 101.5, a second apart."""
    runner = await trading(bound_desk, **TARGET)
    (early,) = await runner.decide(want("early"))
    assert early.message == "volatility of BTCUSDT: unknown, expected 3 returns of 1 s each"
    for bid in (101.0, 100.0, 101.0):
        bound_desk.feed_next(bid)
    (verdict,) = await runner.decide(want("x", cause=4))
    assert verdict.accepted
    (by,) = bound_desk.explain("x").sized
    assert by.volatility == pytest.approx(UP_AND_DOWN)
    assert by.quantity == bound_desk.strategy.account.working("BTCUSDT").buys


async def test_what_stood_at_the_cause_counts_however_late_it_is_judged(
    bound_desk: DeskDriver,
) -> None:
    runner = await trading(bound_desk, **TARGET)
    for bid in (101.0, 100.0, 101.0, 150.0, 60.0):
        bound_desk.feed_next(bid)
    await runner.decide(want("x", cause=4))
    (by,) = bound_desk.explain("x").sized
    assert by.volatility == pytest.approx(UP_AND_DOWN)


async def test_explain_shows_what_the_size_was_made_of(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, **TENTH)
    await runner.decide(want("x", confidence=D("0.8")))
    found = bound_desk.explain("x")
    assert "order: LONG: buy 7.92079 BTCUSDT, market" in to_text(found)
    assert (
        "risk policy main: 7.92079 by fixed_fraction: share 0.1 of equity 10000, times "
        "0.800000000 of confidence and size, at 101.0"
    ) in to_text(found)
    assert json.loads(to_json(found))["sized"][0]["quantity"] == "7.92079"


@pytest.mark.parametrize("sealed", [False, True], ids=["from the records", "from a seal"])
async def test_a_restart_has_the_sized_order_and_tells_of_it(
    bound_desk: DeskDriver, sealed: bool
) -> None:
    runner = await trading(bound_desk, **TENTH)
    await runner.decide(want("x"))
    if sealed:
        bound_desk.journal.append([seal_record(made_of(bound_desk.archive), 7)])
        await bound_desk.settled()
        assert verified(bound_desk.journal.path).seals == 1
    again = bound_desk.again()
    assert again.strategy.account.working("BTCUSDT").buys == D("9.90099")
    (told,) = again.strategy.told.outcomes_after(0)
    assert told.what == OrderSized("BTCUSDT", Side.BUY, D("9.90099"))


async def test_an_intention_that_cannot_be_sized_votes_all_the_same(
    bound_desk: DeskDriver,
) -> None:
    runner = await trading(bound_desk, aggregation={"method": "unanimous"})
    await runner.decide(want("x", SHORT))
    (vote,) = bound_desk.state.pools.votes.boxes["BTCUSDT"]["s"].votes
    assert vote.direction is SHORT


@pytest.mark.parametrize(
    ("sizing", "why"),
    [
        ({}, "sizing: {}, expected exactly one of fixedFraction, volatilityTarget, kelly"),
        ({"martingale": {}}, "sizing.martingale: unknown, expected exactly one of fixedFraction, "
         "volatilityTarget, kelly"),
        ({"kelly": 1}, "sizing.kelly: 1, expected an object"),
        ({"kelly": {"fraction": 1}}, "sizing.kelly.winRate: missing, expected a number"),
        ({"fixedFraction": {"fraction": 0}}, "sizing.fixedFraction.fraction: 0, expected a number "
         "above 0, at most 1"),
        ({"fixedFraction": {"fraction": 1, "cap": 1}}, "sizing.fixedFraction.cap: unknown, "
         "expected one of fraction"),
        ({"volatilityTarget": {"volatility": 1, "cap": 1, "returns": 1}},
         "sizing.volatilityTarget.returns: 1, expected a whole number from 2 to 1000"),
    ],
    ids=["none", "unknown", "no object", "missing", "nothing", "too much", "one return"],
)  # fmt: skip
def test_what_cannot_be_read_lets_nobody_open(sizing: Any, why: str) -> None:
    assert parse_policy({"sizing": sizing}).unreadable == why
