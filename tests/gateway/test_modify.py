"""Other terms for an order at work: judged, journalled, decided by the venue, told."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk_driver import DeskDriver, Runner, buy, content, fill
from handover.messages import OrderEnd, OrderModified
from risk_gateway.findings import Result
from risk_gateway.lanes import Leaving
from risk_gateway.report import order_to_proto
from risk_gateway.sealing import made_of, seal_record
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.orders import Modification, OrderState
from trading.reasons import Reason
from trading.rules import CLOSING, opening
from trading.signals import Action, OrderType, Side, Signal, Verdict

D = Decimal


def modify(name: str = "m", of: str = "x", quantity: str = "0", price: int | None = None) -> Signal:
    at = {"price": None if price is None else D(price)}
    return buy(name, quantity=quantity, action=Action.MODIFY, modifies=of, **at)  # type: ignore[arg-type]  # by name


def stated(desk: DeskDriver, quantity: str, price: str, modification: int, **more: Any) -> None:
    """The venue's word about order x after a modification."""
    desk.desk.execution.answered(desk.left[-1], terms(quantity, price, modification, **more))


def terms(quantity: str, price: str, modification: int, **more: Any) -> pb.OrderResponse:
    return pb.OrderResponse(
        client_order_id="x-0",
        state=types.ORDER_STATE_ACCEPTED,
        quantity=quantity,
        price=price,
        modification=modification,
        **more,
    )


async def decide(runner: Runner, signal: Signal) -> tuple[Verdict, ...]:
    """On the next tick."""
    runner.desk.feed_next()
    place = replace(signal.cause, sequence=runner.count + 1)
    return await runner.decide(replace(signal, cause=place))


@pytest.fixture
async def runner(desk: DeskDriver) -> Runner:
    """Whose strategy has an order x at work: to buy 2 at 90."""
    runner = await desk.armed(content(max_position_size="10", max_order_value="900"))
    order = buy("x", quantity="2", order_type=OrderType.LIMIT, price=D(90))
    await runner.decide(order)
    accepted = pb.OrderResponse(client_order_id="x-0", state=types.ORDER_STATE_ACCEPTED)
    desk.desk.execution.answered(desk.left[-1], accepted)
    return runner


async def test_a_modification_leaves_with_a_number(desk: DeskDriver, runner: Runner) -> None:
    (verdict,) = await decide(runner, modify(quantity="5", price=80))
    assert verdict.accepted
    assert desk.left[-1] == Leaving("s", "x-0", None, Modification(1, "m", D(5), D(80)))


@pytest.mark.parametrize(("quantity", "reserved"), [("5", 5), ("1", 2)], ids=["more", "less"])
async def test_until_the_venue_has_decided_the_worse_terms_count(
    desk: DeskDriver, runner: Runner, quantity: str, reserved: int
) -> None:
    await decide(runner, modify(quantity=quantity))
    assert desk.strategy.account.working("BTCUSDT").buys == reserved
    stated(desk, quantity, "90", 1)
    assert desk.strategy.account.working("BTCUSDT").buys == D(quantity)


async def test_what_was_taken_is_told(desk: DeskDriver, runner: Runner) -> None:
    await decide(runner, modify(quantity="5", price=80))
    await desk.filled(fill("x"))
    stated(desk, "5", "80", 1)
    await desk.settled()
    assert runner.outcomes[-1].what == OrderModified("x", D(4), D(80))
    (working,) = desk.strategy.told.holdings().working
    assert (working.quantity, working.price) == (D(4), D(80))


async def test_what_is_only_asked_is_told_to_nobody_who_comes_anew(
    desk: DeskDriver, runner: Runner
) -> None:
    """Neither after a fill meanwhile, nor after a restart from a seal."""
    await decide(runner, modify(quantity="5"))
    assert at_work(desk) == [D(2)]
    await desk.settled()
    desk.journal.append([seal_record(made_of(desk.archive), 7)])
    await desk.journal.durable()
    again = desk.again()
    assert at_work(again) == [D(2)]
    await again.filled(fill("x"))
    assert at_work(again) == [D(1)]


async def test_what_was_filled_whole_and_taken_back_is_not_at_work_by_what_is_only_asked(
    desk: DeskDriver, runner: Runner
) -> None:
    """It would be at work by more than is on disk: a restart may not know of the modification."""
    await decide(runner, modify(quantity="5"))
    busts = {"side": Side.SELL, "fee": D("-0.1"), "busts": "x-0-1"}
    await desk.filled(fill("x", quantity="2"), fill("x", 2, quantity="2", **busts))
    assert desk.strategy.account.working("BTCUSDT").buys == 5
    assert at_work(desk) == []


def at_work(desk: DeskDriver) -> list[Decimal]:
    return [each.quantity for each in desk.strategy.told.holdings().working]


@pytest.mark.parametrize(
    ("quantity", "result"), [("11", Result.REFUSED), ("5", Result.PASSED)], ids=["refused", "more"]
)
async def test_its_checks_are_explained_as_of_an_order_in_its_place(
    desk: DeskDriver, runner: Runner, quantity: str, result: Result
) -> None:
    await decide(runner, modify(quantity=quantity, price=10))
    checks = {each.check: each for each in desk.explain("m").checks}
    asked = opening(desk.strategy.account.terms.limits)
    assert checks.keys() == {each.__name__ for each in asked}
    position = checks["position_stays_within_limit"]
    assert (position.result, D(position.compared["reached"])) == (result, D(quantity))


async def test_less_is_explained_as_what_only_closes(desk: DeskDriver, runner: Runner) -> None:
    await decide(runner, modify(quantity="1"))
    checks = [each.check for each in desk.explain("m").checks]
    assert checks == [each.__name__ for each in CLOSING]


async def test_what_the_venue_would_not_take_is_told_with_its_reason(
    desk: DeskDriver, runner: Runner
) -> None:
    await decide(runner, modify(quantity="5"))
    stated(desk, "2", "90", 1, reason=types.REASON_INVALID_PRICE)
    await desk.settled()
    ended = OrderEnd(OrderState.REJECTED, Reason.INVALID_PRICE)
    assert (runner.outcomes[-1].signal_id, runner.outcomes[-1].what) == ("m", ended)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (modify(quantity="11", price=10), Reason.MAX_POSITION_SIZE),
        (modify(quantity="9", price=101), Reason.MAX_ORDER_VALUE),
        (modify(price=0), Reason.INVALID_PRICE),
        (modify(quantity="-1"), Reason.INVALID_QUANTITY),
        (modify(of="y"), Reason.UNKNOWN_ORDER),
        # What holds for a symbol is asked by the signal's: it has to be the order's.
        (replace(modify(quantity="3"), symbol="ETHUSDT"), Reason.INVALID_SIGNAL),
    ],
    ids=["position", "value", "price", "quantity", "order", "symbol"],
)
async def test_other_terms_are_judged_as_an_order_in_its_place(
    desk: DeskDriver, runner: Runner, signal: Signal, reason: Reason
) -> None:
    (verdict,) = await decide(runner, signal)
    assert verdict.reason is reason
    assert desk.strategy.account.working("BTCUSDT").buys == 2


async def test_one_modification_is_under_way_at_a_time(desk: DeskDriver, runner: Runner) -> None:
    await decide(runner, modify(quantity="5"))
    (verdict,) = await decide(runner, modify("n", quantity="6"))
    assert verdict.reason is Reason.INVALID_SIGNAL


async def test_a_smaller_order_is_never_refused_by_a_limit(
    desk: DeskDriver, runner: Runner
) -> None:
    await desk.deploy("r2", content(max_position_size="0.5", max_order_value="1"))
    (verdict,) = await decide(runner, modify(quantity="1"))
    assert verdict.accepted


async def test_a_halt_keeps_a_modification_from_leaving(desk: DeskDriver, runner: Runner) -> None:
    await decide(runner, modify(quantity="5"))
    desk.desk.bounds.halt("drill")
    assert not desk.desk.execution.may_leave(desk.left[-1])
    await desk.settled()
    assert runner.outcomes[-1].what == OrderEnd(OrderState.REJECTED, Reason.HALTED)
    assert desk.strategy.account.working("BTCUSDT").buys == 2


async def test_a_venue_that_cannot_modify_is_named(desk: DeskDriver, runner: Runner) -> None:
    await decide(runner, modify(quantity="5"))
    desk.desk.execution.refused(desk.left[-1], "UNIMPLEMENTED: Method not found!")
    await desk.settled()
    assert runner.outcomes[-1].what == OrderEnd(OrderState.REJECTED, Reason.VENUE_REJECTED)


async def test_the_larger_quantity_is_what_completes_an_order(
    desk: DeskDriver, runner: Runner
) -> None:
    await decide(runner, modify(quantity="3"))
    await desk.filled(fill("x", quantity="2"))
    assert desk.strategy.account.orders["x-0"].is_open
    stated(desk, "2", "90", 1, filled_quantity="2")
    await desk.settled()
    row = desk.archive.order("x-0")
    assert row is not None
    assert (row.state, desk.strategy.account.orders) == ("filled", {})


async def test_a_restart_keeps_what_is_under_way_and_what_was_decided(
    desk: DeskDriver, runner: Runner
) -> None:
    await decide(runner, modify(quantity="5"))
    desk.again()
    assert desk.strategy.account.working("BTCUSDT").buys == 5
    assert desk.strategy.modifying == {"x-0"}


async def test_an_order_is_listed_on_its_terms(desk: DeskDriver, runner: Runner) -> None:
    (before,) = desk.archive.orders()
    assert order_to_proto(desk.archive, before).price == "90"
    await decide(runner, modify(quantity="5", price=80))
    stated(desk, "5", "80", 1)
    await desk.settled()
    (placed,) = desk.archive.orders()
    listed = order_to_proto(desk.archive, placed)
    assert (listed.quantity, listed.price) == ("5", "80")


async def test_a_late_fill_meets_the_terms_that_were_decided(
    desk: DeskDriver, runner: Runner
) -> None:
    await decide(runner, modify(quantity="5"))
    stated(desk, "5", "90", 1)
    await desk.filled(fill("x", 1, "2"))
    desk.desk.execution.end(desk.strategy, "x-0", OrderState.CANCELLED, None)
    await desk.settled()
    desk.strategy.ended.clear()  # as if it were long ago
    await desk.filled(fill("x", 2, "1"))
    row = desk.archive.order("x-0")
    assert row is not None
    assert row.state == "cancelled"


@pytest.mark.parametrize("answered", [False, True])
async def test_a_restart_knows_that_it_does_not_only_close_any_more(
    desk: DeskDriver, answered: bool
) -> None:
    runner = await desk.armed(content())
    await runner.decide(buy("h"))
    await desk.filled(fill("h"))
    await decide(runner, buy("x", side=Side.SELL, order_type=OrderType.LIMIT, price=D(110)))
    accepted = pb.OrderResponse(client_order_id="x-0", state=types.ORDER_STATE_ACCEPTED)
    desk.desk.execution.answered(desk.left[-1], accepted)
    assert desk.strategy.account.orders["x-0"].closing
    sell = replace(modify(quantity="5", price=110), side=Side.SELL)
    (verdict,) = await decide(runner, sell)
    assert verdict.accepted
    if answered:
        stated(desk, "5", "110", 1)
        await desk.settled()
    before = desk.strategy.account.orders["x-0"]
    assert not before.closing
    assert not desk.again().strategy.account.orders["x-0"].closing


async def test_an_end_that_overtakes_the_verdict_decides_the_modification_for_good(
    desk: DeskDriver, runner: Runner
) -> None:
    """Its batch waits for a cause when the venue states the end; a fill is yet to come."""
    desk.feed_next()
    here, late = buy("x", cause=2).cause, buy("x", cause=3).cause
    runner.batch(replace(modify(quantity="5"), cause=here), replace(buy("n"), cause=late))
    await desk.settled()
    told = pb.OrderResponse(
        client_order_id="x-0", state=types.ORDER_STATE_CANCELLED, filled_quantity="1"
    )
    desk.desk.execution.answered(desk.left[-1], told)
    await desk.settled(1.2)
    desk.again()
    assert desk.strategy.account.orders["x-0"].asked is None
    await desk.filled(fill("x"))
    desk.desk.execution.settle(desk.strategy, told)
    await desk.settled()
    row = desk.archive.order("x-0")
    assert row is not None
    assert row.state == "cancelled"


async def test_a_late_answer_says_nothing_about_a_newer_modification(
    desk: DeskDriver, runner: Runner
) -> None:
    """The first was settled while its call still hung, and the next waits behind it."""
    await decide(runner, modify(quantity="5"))
    first = desk.left[-1]
    desk.desk.execution.settle(desk.strategy, terms("5", "90", 1))
    await decide(runner, modify("n", quantity="3"))
    desk.desk.execution.unanswered(first, "late")
    assert desk.strategy.modifying == set()
    desk.desk.execution.refused(first, "INVALID_ARGUMENT")
    assert desk.strategy.account.orders["x-0"].asked == Modification(2, "n", D(3), D(90))
    assert not desk.desk.execution.may_leave(first)
    assert desk.desk.execution.may_leave(desk.left[-1])


async def test_who_only_observes_makes_no_order_larger(desk: DeskDriver, runner: Runner) -> None:
    """Its order was made before, by a revision that traded."""
    await desk.deploy("r2", content("observation"))
    (refused,) = await decide(runner, modify(quantity="5"))
    assert (refused.reason, refused.message) == (
        Reason.REDUCING_ONLY,
        "buy 5.00000 at position 0: s may only reduce: it only observes",
    )
    (taken,) = await decide(runner, modify("n", quantity="1"))
    assert taken.accepted
