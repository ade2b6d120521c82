"""What a breach does, as a policy says: on a real journal, with prices and fills in hand."""

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk_driver import HASH, SECOND_NS, DeskDriver, Runner, buy, content, fill, tick
from examples import examples
from fateful_venue import FATES, FatefulVenue, answer
from handover.messages import Alive, Counters
from risk_gateway.callers import Runners
from risk_gateway.desk import deployment_of
from risk_gateway.explanation import explained
from risk_gateway.explanation_text import to_text
from risk_gateway.metrics import DeskCollector, exposition
from risk_gateway.records import Breached, Kind, Started, body_of, record, started_key
from risk_gateway.report import Surroundings, desk_to_proto, levels
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.settings import Clock
from risk_gateway.verification import verified
from stratops_api.v1 import risk_gateway_pb2 as gateway_pb
from stratops_api.v1 import types_pb2 as types
from stratops_wire import InvalidMessage
from trading.orders import OrderState
from trading.scopes import DESK, Level, Scope
from trading.signals import OrderType, Side
from trading.standings import Standing

OF_S = Scope(Level.STRATEGY, "s")
MAIN = Scope(Level.ACCOUNT, "main")
CALM, LOW = 100.0, 60.0  # bids; what is bought at 101 is worth 100.5, then 60.5
DAY_S = 86_400


def acting(action: str, limit: str = "max_daily_loss", bound: str = "50", **more: Any) -> Any:
    """A policy for the strategies that name it."""
    return {"limits": {limit: bound}, "actions": {limit: {"action": action} | more}}


def under(policy: str = "p", account: str = "main") -> str:
    return json.dumps({**json.loads(content()), "policy": policy, "account": account})


async def holding(desk: DeskDriver, quantity: str = "2", name: str = "s", **specs: Any) -> Runner:
    """A runner whose strategy has bought that many, under these policies."""
    if specs:
        desk.desk.bounds.list_policies(specs)
    runner = await desk.armed(under(), instance=f"of-{name}", name=name)
    await runner.decide(buy(f"x{name}", quantity=quantity))
    await desk.filled(fill(f"x{name}", quantity=quantity, strategy=name))
    desk.left.clear()
    return runner


async def falls(desk: DeskDriver, bid: float = LOW) -> None:
    desk.feed_next(bid)
    await desk.settled(0.3)


def closing(desk: DeskDriver) -> list[Decimal]:
    """Quantities of what left since, signed."""
    requests = [each.request for each in desk.left if each.request]
    signs = {int(types.SIDE_BUY): 1, int(types.SIDE_SELL): -1}
    return [signs[each.side] * Decimal(each.quantity) for each in requests]


async def fill_own(desk: DeskDriver, quantity: str, number: int = 1, name: str = "s") -> None:
    order = desk.state.strategies[name].order(desk.orders[-1])
    assert order is not None
    done = fill(
        order.signal_id, number, quantity, side=order.side, strategy=name, price=Decimal(60)
    )
    await desk.filled(done)


def acted(desk: DeskDriver) -> list[Breached]:
    """What the journal has of them."""
    rows = desk.archive.read(0, desk.archive.head().number)
    return [body_of(row) for row in rows if row.kind == Kind.BREACHED]


def standing(desk: DeskDriver, scope: Scope = OF_S) -> Standing:
    found = desk.state.standings.by_scope.get(scope)
    return found.standing if found else Standing.ACTIVE


def status(desk: DeskDriver) -> list[gateway_pb.Breach]:
    return list(desk_to_proto(desk.desk, Surroundings()).breaches)


def on_the_latest(runner: Runner) -> int:
    """What it decides next is caused by the latest quote."""
    runner.desk.feed_next(float(runner.desk.market.latest("BTCUSDT").bid))  # type: ignore[union-attr]  # there is one
    latest = runner.desk.market.tape.latest("BTCUSDT")
    assert latest is not None
    runner.count = latest.sequence - 1
    return latest.sequence


async def said(runner: Runner, name: str, **more: Any) -> str:
    (verdict,) = await runner.decide(buy(name, on_the_latest(runner), **more))
    return f"{verdict.reason}: {verdict.message}" if verdict.reason else "accepted"


# ---- what each action does


async def test_a_price_that_falls_pauses_though_nobody_asks_for_an_order(
    bound_desk: DeskDriver,
) -> None:
    runner = await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    assert standing(bound_desk) is Standing.REDUCING
    expected = "the strategy s is reducing: breach/max_daily_loss: equity 999918.9, 1000000 at"
    assert expected in await said(runner, "more")
    assert await said(runner, "out", side=Side.SELL) == "accepted"


async def test_what_is_within_its_limits_is_left_alone(bound_desk: DeskDriver) -> None:
    runner = await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk, 90.0)
    assert (status(bound_desk), acted(bound_desk)) == ([], [])
    assert await said(runner, "more") == "accepted"


async def test_an_alert_stops_nothing(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("alert"))
    await falls(bound_desk)
    assert standing(bound_desk) is Standing.ACTIVE
    assert closing(bound_desk) == []
    (seen,) = status(bound_desk)
    assert (seen.scope, seen.limit, seen.action) == ("strategy s", "max_daily_loss", "alert")
    assert seen.why == "equity 999918.9, 1000000 at the day's start, allowed is a loss of 50"


async def test_reduce_closes_a_share_once_and_pauses(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("reduce", share="0.25"))
    await falls(bound_desk)
    assert closing(bound_desk) == [Decimal("-0.5")]
    await fill_own(bound_desk, "0.5")
    await falls(bound_desk, 50.0)
    await falls(bound_desk, 40.0)
    assert closing(bound_desk) == [Decimal("-0.5")]
    assert standing(bound_desk) is Standing.REDUCING
    assert [each.left for each in status(bound_desk)] == [""]


async def test_reduce_closes_only_what_is_too_much(bound_desk: DeskDriver) -> None:
    policy = acting("reduce", "max_position_size", "1000", share="0.5")
    await holding(bound_desk, p=policy)
    bound_desk.desk.bounds.policy_changed(
        "p", acting("reduce", "max_position_size", "1.5", share="0.5")
    )
    await bound_desk.settled(0.3)
    assert closing(bound_desk) == [Decimal(-1)]
    assert status(bound_desk)[0].why == "position of BTCUSDT is 2, allowed is 1.5"


async def test_stop_cancels_closes_everything_and_then_halts(bound_desk: DeskDriver) -> None:
    runner = await holding(bound_desk, p=acting("stop"))
    low: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    assert await said(runner, "rests", **low) == "accepted"
    bound_desk.left.clear()
    await falls(bound_desk)
    assert bound_desk.strategy.cancelling == {"rests-0"}
    assert status(bound_desk)[0].left == "s: orders at work: 1"
    answer(bound_desk, "rests-0", "CANCELLED")
    await bound_desk.settled(0.3)
    assert closing(bound_desk) == [Decimal(-2)]
    assert standing(bound_desk) is Standing.REDUCING
    await fill_own(bound_desk, "2")
    assert standing(bound_desk) is Standing.HALTED
    assert "halted: the strategy s is halted: breach/max_daily_loss" in await said(runner, "more")


async def test_a_fill_that_comes_after_the_halt_is_closed_as_well(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk)
    await fill_own(bound_desk, "2")
    bound_desk.left.clear()
    await bound_desk.filled(fill("foreign", quantity="0.3", client_order_id=""))
    await bound_desk.settled(1)
    assert closing(bound_desk) == [Decimal("-0.3")]
    await fill_own(bound_desk, "0.3")
    assert standing(bound_desk) is Standing.HALTED


async def test_what_no_order_can_close_keeps_nobody_from_the_halt(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk)
    await fill_own(bound_desk, "2")
    await bound_desk.filled(fill("foreign", quantity="0.0000001", client_order_id=""))
    await bound_desk.settled(1)
    assert standing(bound_desk) is Standing.HALTED
    assert status(bound_desk)[0].left == "s: BTCUSDT 0.0000001 (less than a lot)"


async def test_a_short_is_bought_back(bound_desk: DeskDriver) -> None:
    bound_desk.desk.bounds.list_policies({"p": acting("stop")})
    runner = await bound_desk.armed(under())
    await runner.decide(buy("x", quantity="2", side=Side.SELL))
    await bound_desk.filled(fill("x", quantity="2", side=Side.SELL, price=Decimal(100)))
    bound_desk.left.clear()
    await falls(bound_desk, 140.0)
    assert closing(bound_desk) == [Decimal(2)]


async def test_an_order_on_its_way_when_it_is_paused_does_not_stay_with_reduce(
    bound_desk: DeskDriver,
) -> None:
    """What would open more is cancelled; what closes may stay once nothing is left to reduce."""
    runner = await holding(bound_desk, p=acting("reduce", share="0.5"))
    low: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    assert await said(runner, "rests", **low) == "accepted"
    await falls(bound_desk)
    answer(bound_desk, "rests-0", "CANCELLED")
    await bound_desk.settled(0.3)
    bound_desk.left.clear()
    await fill_own_of(bound_desk)
    high: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": Decimal(150)}
    assert await said(runner, "exit", side=Side.SELL, quantity="1", **high) == "accepted"
    await bound_desk.settled(1)
    assert bound_desk.strategy.cancelling == set()


async def fill_own_of(desk: DeskDriver) -> None:
    (order,) = desk.strategy.account.orders.values()
    await desk.filled(fill(order.signal_id, 1, str(order.quantity), side=order.side))


# ---- once, and until it is taken back


async def test_it_acts_once_however_often_it_is_looked_at(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("pause"))
    for bid in (LOW, CALM, 40.0, 30.0):
        await falls(bound_desk, bid)
    (once,) = acted(bound_desk)
    assert (once.limit, once.found, once.allowed) == (
        "max_daily_loss",
        Decimal("81.1"),
        Decimal(50),
    )
    assert bound_desk.state.counts.breaches["strategy", "max_daily_loss", "pause"] == 1


async def test_a_person_takes_it_back(bound_desk: DeskDriver) -> None:
    runner = await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    await falls(bound_desk, CALM)
    bound_desk.desk.resume("seen", OF_S, "breach", "ann")
    await bound_desk.settled(0.3)
    assert status(bound_desk) == []
    assert await said(runner, "more") == "accepted"
    assert bound_desk.again().state.breaches == {}


async def test_what_is_still_beyond_its_limit_is_acted_upon_again(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    bound_desk.desk.resume("seen", OF_S, "breach", "ann")
    await bound_desk.settled(0.3)
    assert len(acted(bound_desk)) == 2


async def test_an_operators_resume_takes_back_no_breach(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    bound_desk.desk.resume("mistaken", OF_S, "", "ann")
    assert standing(bound_desk) is Standing.REDUCING


@pytest.mark.parametrize(
    ("source", "says"),
    [("breach", "a breach in force of the strategy s"), ("file", "operator or breach")],
)
async def test_there_is_nothing_else_to_take_back(
    bound_desk: DeskDriver, source: str, says: str
) -> None:
    await holding(bound_desk, p=acting("pause"))
    with pytest.raises(InvalidMessage, match=says):
        bound_desk.desk.resume("", OF_S, source, "ann")


async def test_each_limit_is_taken_back_with_its_scope(bound_desk: DeskDriver) -> None:
    both = {
        "limits": {"max_daily_loss": "50", "max_net_exposure": "201"},
        "actions": {
            "max_daily_loss": {"action": "pause"}, "max_net_exposure": {"action": "alert"},
        },
    }  # fmt: skip
    await holding(bound_desk, p=both)
    await falls(bound_desk, 110.0)
    await falls(bound_desk)
    assert [each.limit for each in status(bound_desk)] == ["max_net_exposure", "max_daily_loss"]
    await falls(bound_desk, CALM)
    bound_desk.desk.resume("seen", OF_S, "breach", "ann")
    assert status(bound_desk) == []


# ---- the next day


def at_s(seconds: int, bid: float) -> bytes:
    return tick(seconds, bid)


async def test_the_next_day_takes_back_what_a_policy_lets_it(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("pause", untilNextDay=True))
    await falls(bound_desk)
    bound_desk.feed(at_s(DAY_S - 1, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING
    bound_desk.feed(at_s(DAY_S, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.ACTIVE
    assert len(acted(bound_desk)) == 1  # the loss was yesterday's


async def test_nothing_else_is_taken_back_by_a_day(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    bound_desk.feed(at_s(DAY_S, CALM))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING


async def test_a_stop_is_finished_before_the_next_day_takes_it_back(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop", untilNextDay=True))
    await falls(bound_desk)
    bound_desk.feed(at_s(DAY_S, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING
    await fill_own(bound_desk, "2")
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.ACTIVE


async def test_the_day_is_the_policys(bound_desk: DeskDriver) -> None:
    """17:00 in Auckland is 05:00 of UTC on that day, in 1970."""
    day = {"day": {"timeZone": "Pacific/Auckland", "hour": 17}}
    await holding(bound_desk, p=acting("pause", untilNextDay=True) | day)
    await falls(bound_desk)
    bound_desk.feed(at_s(5 * 3_600 - 1, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING
    bound_desk.feed(at_s(5 * 3_600, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.ACTIVE


async def test_the_day_of_a_policy_holds_without_any_action(bound_desk: DeskDriver) -> None:
    day = {"timeZone": "Pacific/Auckland", "hour": 17}
    runner = await holding(bound_desk, p={"limits": {"max_daily_loss": "50"}, "day": day})
    await falls(bound_desk)
    assert (await said(runner, "today")).startswith("max_daily_loss")
    bound_desk.feed(at_s(5 * 3_600, LOW))
    assert await said(runner, "tomorrow") == "accepted"


async def test_a_day_that_began_while_nobody_asked_survives_a_restart(
    bound_desk: DeskDriver,
) -> None:
    await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk, 90.0)
    bound_desk.feed(at_s(DAY_S, 80.0))
    await bound_desk.settled(0.3)
    before = bound_desk.strategy.account.watermarks
    assert before.began_ns == DAY_S * SECOND_NS
    assert before.day_start < 1_000_000
    assert bound_desk.again().strategy.account.watermarks == before


# ---- accounts and the desk


def pooled(level: str, action: str, limit: str = "max_daily_loss", bound: str = "50") -> Any:
    entry = {"limits": {limit: bound}, "actions": {limit: {"action": action}}}
    return {"desk": entry} if level == "desk" else {"accounts": {"main": entry}}


@pytest.mark.parametrize(("level", "scope"), [("desk", DESK), ("account", MAIN)])
async def test_what_strategies_lose_together_stops_all_of_them(
    bound_desk: DeskDriver, level: str, scope: Scope
) -> None:
    await holding(bound_desk, "1", main=pooled(level, "stop"))
    await holding(bound_desk, "1", name="t")
    await falls(bound_desk, 75.0)  # 26.5 and 2 fees: more than 50 together, and neither alone
    assert closing(bound_desk) == [Decimal(-1), Decimal(-1)]
    for name in ("s", "t"):
        (order,) = bound_desk.state.strategies[name].account.orders.values()
        done = fill(order.signal_id, 1, "1", side=Side.SELL, strategy=name, price=Decimal(75))
        await bound_desk.filled(done)
    assert standing(bound_desk, scope) is Standing.HALTED
    assert standing(bound_desk.again(), scope) is Standing.HALTED


async def test_another_account_is_left_alone(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, "2", main=pooled("account", "stop"), p={})
    other = await bound_desk.armed(under(account="other"), "b", "t")
    await falls(bound_desk)
    assert await said(other, "more") == "accepted"


@pytest.mark.parametrize(
    ("limit", "bound", "bid"),
    [
        ("max_drawdown", "0.00004", LOW),
        ("min_account_balance", "1999950", LOW),
        ("max_gross_exposure", "250", 130.0),
        ("max_net_exposure", "250", 130.0),
        ("max_concentration", "0.000125", 130.0),
        ("max_daily_loss", "50", LOW),
    ],
)
async def test_each_limit_of_the_desk_can_be_breached_by_the_market(
    bound_desk: DeskDriver, limit: str, bound: str, bid: float
) -> None:
    await holding(bound_desk, "2", main=pooled("desk", "pause", limit, bound))
    await holding(bound_desk, "0.0001", name="t")
    assert status(bound_desk) == []
    await falls(bound_desk, bid)
    assert [each.limit for each in status(bound_desk)] == [limit]
    assert standing(bound_desk, DESK) is Standing.REDUCING


# ---- written first


async def test_nothing_is_cancelled_or_closed_before_the_breach_is_on_disk(
    bound_desk: DeskDriver,
) -> None:
    runner = await holding(bound_desk, p=acting("stop"))
    low: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    assert await said(runner, "rests", **low) == "accepted"
    bound_desk.feed_next(LOW)
    bound_desk.tick(1)  # the journal's answer comes to the loop, which does not run meanwhile
    assert standing(bound_desk) is Standing.REDUCING
    assert bound_desk.strategy.cancelling == set()
    await bound_desk.settled()
    assert bound_desk.strategy.cancelling == {"rests-0"}


# ---- what is not known


async def test_a_price_that_is_too_old_breaches_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from risk_gateway.settings import Clock

    clock = {"ns": 1_000 * SECOND_NS}
    monkeypatch.setattr(DeskDriver, "wall_ns", staticmethod(lambda: clock["ns"]))
    monkeypatch.setattr(DeskDriver, "monotonic_ns", staticmethod(lambda: clock["ns"]))
    desk = DeskDriver(tmp_path, Clock.WALL, asks_for_policies=True)
    await holding(desk, p=acting("pause", bound="1000"))
    desk.feed_next(LOW)
    clock["ns"] += 6 * SECOND_NS
    desk.desk.bounds.policy_changed("p", acting("pause"))
    await desk.settled(0.3)
    assert status(desk) == []
    desk.feed_next(LOW)
    await desk.settled(0.3)
    assert len(status(desk)) == 1
    desk.close()


async def test_a_policy_that_says_nothing_of_it_has_nothing_written(
    bound_desk: DeskDriver,
) -> None:
    await holding(bound_desk, p={"limits": {"max_daily_loss": "50"}})
    written = bound_desk.journal.written
    await falls(bound_desk)
    assert bound_desk.journal.written == written


# ---- what is seen of it


async def test_an_explanation_says_why_the_gateway_closed(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk)
    text = to_text(explained(bound_desk.archive, bound_desk.orders[-1]))
    assert "origin gateway, breach max_daily_loss of the strategy s: equity 999918.9" in text


async def test_metrics_count_what_was_done_and_show_what_is_in_force(
    bound_desk: DeskDriver,
) -> None:
    await holding(bound_desk, p=acting("pause"))
    await falls(bound_desk)
    desk = bound_desk.desk
    collector = DeskCollector(bound_desk.state.counts, lambda: levels(desk, None))
    text = exposition(collector).decode()
    for each in (
        'limit_breaches_total{action="pause",level="strategy",type="max_daily_loss"} 1.0',
        'breaches_in_force{action="pause",scope="strategy s",type="max_daily_loss"} 1.0',
    ):
        assert each in text


async def test_a_journal_with_breaches_is_proven(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk)
    await fill_own(bound_desk, "2")
    bound_desk.desk.resume("seen", OF_S, "breach", "ann")
    await bound_desk.settled()
    assert verified(bound_desk.journal.home).ledgers["s"].position("BTCUSDT").quantity == 0


# ---- restarts


async def test_a_restart_goes_on_and_sends_nothing_twice(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("stop"))
    await falls(bound_desk)
    (sent,) = bound_desk.orders
    bound_desk.again()
    bound_desk.feed_next(LOW)
    await bound_desk.settled(2)
    assert closing(bound_desk) == []
    assert bound_desk.strategy.account.orders[sent].state is OrderState.UNKNOWN
    answer(bound_desk, sent, "EXPIRED")
    await bound_desk.settled(0.3)  # at once: by an id that was not used before
    assert closing(bound_desk) == [Decimal(-2)]
    assert bound_desk.orders != [sent]


async def test_what_reduce_leaves_is_known_after_a_restart(bound_desk: DeskDriver) -> None:
    bound: Mapping[str, Any] = acting("reduce", share="0.25")
    await holding(bound_desk, p=bound)
    bound_desk.venue_available = False
    await falls(bound_desk)
    assert closing(bound_desk) == []
    bound_desk.again()
    bound_desk.feed_next(LOW)
    await bound_desk.settled(1)
    assert closing(bound_desk) == [Decimal("-0.5")]


async def test_a_restart_knows_what_was_acted_upon(bound_desk: DeskDriver) -> None:
    await holding(bound_desk, p=acting("reduce", share="0.25"))
    await falls(bound_desk)
    await fill_own(bound_desk, "0.5")
    bound_desk.left.clear()
    bound_desk.again()
    await falls(bound_desk)
    assert (closing(bound_desk), len(acted(bound_desk))) == ([], 1)
    assert standing(bound_desk) is Standing.REDUCING


# ---- whatever the venue does, whenever it restarts


def is_left(desk: DeskDriver, quantity: Decimal) -> bool:
    """But for what no order may be worth."""
    instrument = desk.state.instruments["BTCUSDT"]
    over = desk.strategy.account.positions["BTCUSDT"].quantity - quantity
    return 0 <= over * Decimal(str(LOW + 0.5)) < instrument.min_notional


async def brought_down(folder: Path, action: Any, fates: list[str], seed: int) -> DeskDriver:
    desk = DeskDriver(folder, asks_for_policies=True)
    await holding(desk, "3", p=action)
    venue = FatefulVenue(desk, seed)
    venue.held, venue.met = Decimal(3), set()
    await falls(desk)
    for fate in [*fates, "fill", "fill"]:
        await venue.give(fate)
        desk.feed_next(LOW)
        await desk.settled(40, step_s=0.2)  # longer than it ever waits between two attempts
    assert venue.held == desk.strategy.account.positions["BTCUSDT"].quantity
    return desk


@given(FATES, st.integers(0, 2**16))
@examples(10)
def test_whatever_happens_a_stop_ends_flat_and_halted_and_never_flips(
    fates: list[str], seed: int
) -> None:
    async def ends() -> None:
        with tempfile.TemporaryDirectory() as folder:
            desk = await brought_down(Path(folder), acting("stop"), fates, seed)
            assert is_left(desk, Decimal(0))
            assert standing(desk) is Standing.HALTED
            assert len(acted(desk)) == 1
            desk.close()

    asyncio.run(ends())


@given(FATES, st.integers(0, 2**16))
@examples(10)
def test_whatever_happens_reduce_leaves_what_it_said(fates: list[str], seed: int) -> None:
    async def ends() -> None:
        with tempfile.TemporaryDirectory() as folder:
            desk = await brought_down(Path(folder), acting("reduce", share="0.4"), fates, seed)
            (breach,) = acted(desk)
            assert breach.kept == {"s": {"BTCUSDT": Decimal("1.8")}}
            assert is_left(desk, Decimal("1.8"))
            desk.close()

    asyncio.run(ends())


# ---- what meets it


async def test_a_policy_that_cannot_be_read_begins_no_day_of_its_own(
    bound_desk: DeskDriver,
) -> None:
    """17:00 in Auckland is 05:00 of UTC on that day, in 1970."""
    policy = acting("pause", untilNextDay=True)
    policy |= {"day": {"timeZone": "Pacific/Auckland", "hour": 17}}
    runner = await holding(bound_desk, p=policy)
    bound_desk.feed(at_s(6 * 3_600, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING
    bound_desk.desk.bounds.list_policies({"p": policy | {"sizing": "all of it"}})
    bound_desk.feed(at_s(DAY_S + 1, LOW))
    await bound_desk.settled(0.3)
    assert standing(bound_desk) is Standing.REDUCING
    bound_desk.desk.bounds.list_policies({"p": policy})
    assert (await said(runner, "more")).startswith("reducing_only")


@pytest.mark.parametrize("sealed", [False, True])
async def test_who_was_withdrawn_and_holds_is_still_looked_at_after_a_restart(
    bound_desk: DeskDriver, sealed: bool
) -> None:
    day = {"day": {"timeZone": "Pacific/Auckland", "hour": 17}}
    await holding(bound_desk, p=acting("stop") | day)
    bound_desk.desk.withdraw(bound_desk.state.term, "s", "enough")
    await bound_desk.settled(0.3)
    if sealed:
        started = Started(Clock.MARKET, True, False, bound_desk.state.instruments)
        bound_desk.journal.append([record(Kind.STARTED, started, 7, key=started_key(7))])
        await bound_desk.settled()
        bound_desk.journal.append([seal_record(made_of(bound_desk.archive), 7)])
        await bound_desk.settled()
    again = bound_desk.again()
    assert again.strategy.account.days.hour == 17
    again.feed_next()
    await falls(again)
    assert closing(again) == [Decimal(-2)]


async def test_a_desk_remembers_from_what_it_fell_while_its_policy_cannot_be_read(
    bound_desk: DeskDriver,
) -> None:
    policy = pooled("desk", "pause", "max_drawdown", "0.5")
    await holding(bound_desk, p=policy)
    await falls(bound_desk, 200.0)
    peak = bound_desk.state.pools.all_watermarks["desk"].peak
    assert peak > 1_000_000
    await falls(bound_desk, 150.0)
    bound_desk.desk.bounds.list_policies({"p": policy | {"sizing": "all of it"}})
    await falls(bound_desk, 140.0)
    bound_desk.desk.bounds.list_policies({"p": policy})
    await falls(bound_desk, 130.0)
    assert bound_desk.state.pools.all_watermarks["desk"].peak == peak


async def test_what_looks_have_moved_is_kept_when_nobody_asks_for_looks_any_more(
    bound_desk: DeskDriver,
) -> None:
    await holding(bound_desk, p=acting("alert", bound="1000000"))
    await falls(bound_desk, 200.0)
    peak = bound_desk.strategy.account.watermarks.peak
    assert peak > 1_000_000
    bound_desk.desk.bounds.list_policies({"p": {}})
    await bound_desk.settled(0.4)
    assert bound_desk.again().strategy.account.watermarks.peak == peak


@pytest.mark.parametrize(
    ("level", "scope"), [("desk", "desk"), ("account", "account main")], ids=str
)
async def test_a_peak_from_just_before_is_remembered_over_a_restart_too(
    bound_desk: DeskDriver, level: str, scope: str
) -> None:
    """Looks have moved it, and nobody looks any more."""
    policy = pooled(level, "pause", "max_drawdown", "0.5")
    await holding(bound_desk, p=policy)
    for bid in (200.0, 300.0):
        await falls(bound_desk, bid)
    peak = bound_desk.state.pools.all_watermarks[scope].peak
    bound_desk.desk.bounds.list_policies({"p": policy | {"limits": {"max_fun": 1}}})
    await bound_desk.settled(0.3)
    again = bound_desk.again()
    again.desk.bounds.list_policies({"p": policy})
    assert again.state.pools.all_watermarks[scope].peak == peak


async def test_what_a_look_moves_back_is_remembered_over_a_restart_too(
    bound_desk: DeskDriver,
) -> None:
    """After a batch has moved it, and written that."""
    runner = await holding(bound_desk, p=pooled("desk", "pause", "max_drawdown", "1"))
    await later(bound_desk, runner, 200.0)
    bound_desk.feed_next(150.0)
    await runner.decide(buy("other", 3))
    await later(bound_desk, runner, 200.0)
    marks = bound_desk.state.pools.all_watermarks["desk"]
    assert bound_desk.again().state.pools.all_watermarks["desk"] == marks


async def later(desk: DeskDriver, runner: Runner, bid: float) -> None:
    """At that bid, until what looks have moved is written."""
    desk.feed_next(bid)
    for _ in range(12):
        runner.say(Alive(Counters()))
        await desk.settled(0.5)


async def test_many_that_are_stopped_at_once_do_not_hold_the_desk_up(
    bound_desk: DeskDriver,
) -> None:
    """By the processor's time, so that a busy machine does not matter: it was 2 s, and 130 ms."""
    desk, many = bound_desk, 300
    desk.desk.bounds.list_policies({"p": acting("stop")})
    desk.feed_next()
    term = desk.desk.begin_term("test")
    for number in range(many):
        made = deployment_of("r1", under(), Runners(HASH))
        desk.desk.deploy(term, f"s{number}", made)
    await desk.settled()
    for number in range(many):
        bought = fill(f"x{number}", quantity="2", strategy=f"s{number}")
        desk.desk.fill_book.take(bought, lambda: None)
    await desk.settled()
    desk.feed_next(LOW)
    began = time.thread_time()
    while not desk.state.breaches:  # a look that took long is not repeated at once
        desk.tick(0.2)
    assert time.thread_time() - began < 1.2
    await desk.settled()
    assert len(acted(desk)) == many
    began = time.thread_time()
    for _ in range(10):
        desk.tick()
    assert (time.thread_time() - began) / 10 < 0.02


@pytest.mark.parametrize("policy", [acting("stop"), pooled("desk", "stop")])
async def test_what_a_policy_that_cannot_be_read_says_of_breaches_is_done(
    bound_desk: DeskDriver, policy: Any
) -> None:
    await holding(bound_desk, p=policy)
    bound_desk.desk.bounds.list_policies({"p": policy | {"sizing": "all of it"}})
    await falls(bound_desk)
    assert closing(bound_desk) == [Decimal(-2)]
