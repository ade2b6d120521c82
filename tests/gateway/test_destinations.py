"""Where orders of a desk with several venues go, over restarts and other routes too."""

from decimal import Decimal
from typing import Any

import pytest

from desk_driver import DeskDriver, Runner, buy, cancel, content, fill, foreign_order, tick
from risk_gateway.adoption import Adoption
from risk_gateway.desk import NotAllowed
from risk_gateway.venue_file import VenueTerms
from risk_gateway.venues import check_orders
from stratops_process.environment import InvalidSettings
from trading.orders import OrderEvent, OrderState
from trading.reasons import Reason
from trading.routes import Route, Routes
from trading.signals import Action, OrderType, Side

BTC, ETH = frozenset({"BTCUSDT"}), frozenset({"ETHUSDT"})
APART = Routes((Route("a", symbols=BTC), Route("b", symbols=ETH)))
MOVED = Routes((Route("a", symbols=ETH), Route("b", symbols=BTC)))


def left(desk: DeskDriver) -> list[tuple[str, str]]:
    return [(each.client_order_id, each.venue) for each in desk.left]


async def decided(runner: Runner, name: str, **more: Any) -> tuple[str, str]:
    """The verdict on one signal, by the next tick."""
    runner.desk.feed_next()
    latest = runner.desk.market.tape.latest("BTCUSDT")
    assert latest is not None
    (verdict,) = await runner.decide(buy(name, latest.sequence, **more))
    return str(verdict.reason or "accepted"), verdict.message


async def next_life(desk: DeskDriver) -> Runner:
    """On other routes."""
    desk.again(routes=MOVED)
    await desk.settled(3)
    desk.feed(tick(20))
    runner = await desk.armed(instance="b")
    runner.count = 20
    return runner


async def test_an_order_its_cancel_and_its_modification_go_where_it_went(desk: DeskDriver) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x"), buy("y"), cancel("c", of="x"))
    desk.desk.execution.cancel_all(desk.strategy, "all of it")
    await desk.settled()
    assert left(desk) == [
        ("x-0", "a"), ("y-0", "a"), ("x-0", "a"), ("x-0", "a"), ("y-0", "a"),
    ]  # fmt: skip


async def test_what_no_venue_takes_is_refused_by_name(desk: DeskDriver) -> None:
    runner = await desk.again(routes=Routes((Route("b", symbols=ETH),))).armed()
    said = await decided(runner, "x")
    assert said == ("no_venue", "no venue takes BTCUSDT of account default")
    assert left(desk) == []


async def test_an_order_stays_at_its_venue_when_routes_change(desk: DeskDriver) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x", quantity="2"))
    await desk.filled(fill("x", quantity="1"))
    runner = await next_life(desk)
    order = desk.strategy.account.orders["x-0"]
    assert (order.venue, order.state) == ("a", OrderState.UNKNOWN)
    await decided(runner, "c", action=Action.CANCEL, cancels="x")
    assert left(desk) == [("x-0", "a")]


async def test_a_position_is_closed_where_it_is_and_opened_nowhere_before(
    desk: DeskDriver,
) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    desk.desk.execution.end(desk.strategy, "x-0", OrderState.EXPIRED, None)
    runner = await next_life(desk)
    moved = "BTCUSDT is at venue a and its route goes to venue b: only what closes"
    assert await decided(runner, "more") == ("no_venue", moved)
    assert (await decided(runner, "out", side=Side.SELL))[0] == "accepted"
    await desk.filled(fill("out", side=Side.SELL, fill_id="f2"))
    assert (await decided(runner, "again"))[0] == "accepted"
    assert left(desk) == [("out-0", "a"), ("again-0", "b")]


async def test_a_venue_that_is_away_holds_up_no_other(desk: DeskDriver) -> None:
    runner = await desk.again(routes=APART).armed()
    away: set[str] = {"b"}
    desk.state.outside.venue_available = lambda name: name not in away
    assert (await decided(runner, "x"))[0] == "accepted"
    away.add("a")
    said = await decided(runner, "y")
    assert said == ("venue_unavailable", "venue a does not answer")
    assert (await decided(runner, "c", action=Action.CANCEL, cancels="x"))[0] == "accepted"


async def test_no_larger_order_at_a_venue_that_its_route_has_left(desk: DeskDriver) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x", order_type=OrderType.LIMIT, price=Decimal(90), quantity="2"))
    runner = await next_life(desk)
    more = await decided(runner, "m", quantity="3", action=Action.MODIFY, modifies="x")
    assert more[0] == Reason.NO_VENUE
    less = await decided(runner, "n", quantity="1", action=Action.MODIFY, modifies="x")
    assert less[0] == "accepted"


async def test_a_start_without_a_venue_that_has_orders_is_refused(desk: DeskDriver) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x"))
    with pytest.raises(InvalidSettings, match=r"expected venue 'a' until .* 1 orders of s .*: x-0"):
        check_orders((VenueTerms("h:1", "b"),), desk.state.strategies.values())
    check_orders((VenueTerms("h:1", "a"),), desk.state.strategies.values())


async def test_a_simulation_costs_no_money_at_the_venue_of_any_symbol(desk: DeskDriver) -> None:
    routes = (Route("a", symbols=BTC, real=True), Route("b", symbols=ETH))
    desk.again(routes=Routes(routes))
    with pytest.raises(NotAllowed, match="mode simulation, venue a of BTCUSDT is real"):
        await desk.deploy(text=content())
    desk.again(routes=Routes((Route("a", symbols=BTC),)))
    await desk.deploy(text=content())


@pytest.mark.parametrize("real", [True, False])
async def test_what_is_live_may_rehearse_on_paper(desk: DeskDriver, real: bool) -> None:
    desk.again(routes=Routes((Route("a", symbols=BTC, real=real),))).desk.allow_live = True
    await desk.deploy(text=content(mode="live"))


async def test_an_id_that_somebody_else_has_used_is_taken(desk: DeskDriver) -> None:
    runner = await desk.armed()
    Adoption(desk.state, desk.desk.fill_book)._keep(foreign_order("x-0"))
    assert (await decided(runner, "x"))[0] == Reason.DUPLICATE
    desk.again()
    await desk.settled(3)
    desk.feed(tick(20))
    runner = await desk.armed(instance="b")
    runner.count = 20
    desk.strategy.account.on_event("x-0", OrderEvent.CANCEL)
    assert (await decided(runner, "x"))[0] == Reason.DUPLICATE
    assert (await decided(runner, "y"))[0] == "accepted"


async def test_where_it_traded_once_says_nothing_of_a_position_that_no_order_of_ours_made(
    desk: DeskDriver,
) -> None:
    runner = await desk.again(routes=APART).armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    await decided(runner, "out", side=Side.SELL)
    await desk.filled(fill("out", side=Side.SELL, fill_id="f2"))
    await next_life(desk)
    await desk.filled(fill("hand", fill_id="f3"))
    assert desk.strategy.held_at("BTCUSDT") == ""
    assert desk.state.destination(desk.strategy, "BTCUSDT").venue == "b"


async def test_what_is_adopted_before_its_symbol_has_a_price_holds_up_no_later_order(
    desk: DeskDriver,
) -> None:
    """It is dated by the wall then, and the market of a replay is years behind."""
    runner = await desk.armed(content(max_orders_per_second="2"))
    await decided(runner, "first")
    Adoption(desk.state, desk.desk.fill_book)._keep(foreign_order(at_ns=desk.state.wall_ns()))
    said = [await decided(runner, f"n{nth}") for nth in range(4)]
    assert said == [("accepted", "")] * 4
