"""Orders at the venue and their fills: counted once, told when durable."""

from decimal import Decimal
from typing import Any

import pytest

from desk_driver import DeskDriver, Runner, buy, fill
from handover.messages import Holdings, OrderEnd, OrderFill
from risk_gateway.execution import LATE_S
from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.fills import Fill
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side

LIMIT_AT_50 = {"order_type": OrderType.LIMIT, "price": Decimal(50)}


def answer(desk: DeskDriver, state: str, of: str = "x", **fields: Any) -> None:
    """The venue's word about an order that left."""
    client_order_id = f"{of}-0"
    stated = pb.OrderResponse(
        client_order_id=client_order_id,
        state=types.OrderState.Value(f"ORDER_STATE_{state}"),
        **fields,
    )
    desk.desk.execution.answered(Leaving("s", client_order_id, pb.OrderRequest()), stated)


async def with_order(desk: DeskDriver, **fields: Any) -> Runner:
    runner = await desk.armed()
    await runner.decide(buy("x", **fields))
    return runner


async def test_a_fill_is_counted_once(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    assert await desk.filled(fill("x"), fill("x")) == ["x-0-1", "x-0-1"]
    assert await desk.filled(fill("x")) == ["x-0-1"]
    assert desk.strategy.told.holdings() == Holdings({"BTCUSDT": Decimal(1)})
    assert [outcome.number for outcome in runner.outcomes] == [1]


async def test_a_fill_is_counted_once_over_a_restart(desk: DeskDriver) -> None:
    await with_order(desk)
    await desk.filled(fill("x"))
    desk.again()
    assert await desk.filled(fill("x")) == ["x-0-1"]
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 1


async def test_a_fill_is_not_acknowledged_before_it_is_durable(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    done: list[str] = []
    desk.desk.fill_book.take(fill("x"), lambda: done.append("x"))
    assert (done, runner.outcomes, desk.published) == ([], [], [])
    await desk.settled()
    assert (done, len(runner.outcomes), len(desk.published)) == (["x"], 1, 1)


async def test_a_foreign_fill_goes_to_the_strategy_it_names(desk: DeskDriver) -> None:
    await desk.armed()
    assert await desk.filled(fill("x", client_order_id="", fill_id="theirs")) == ["theirs"]
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 1


async def test_the_order_decides_whose_fill_it_is(desk: DeskDriver) -> None:
    await with_order(desk)
    await desk.filled(fill("x", strategy="somebody else"))
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 1


@pytest.mark.parametrize(
    "wrong",
    [{"strategy": "nobody", "client_order_id": ""}, {"symbol": "ETHUSDT"}, {"side": "sell"}],
)
async def test_a_fill_that_is_nobodys_is_kept_and_counted_nowhere(
    desk: DeskDriver, wrong: dict[str, Any]
) -> None:
    if "side" in wrong:
        wrong = {"side": Side.SELL}
    await with_order(desk)
    assert await desk.filled(fill("x", **wrong), fill("x", **wrong)) == ["x-0-1"] * 2
    assert desk.state.counts.strays == 1
    assert desk.strategy.told.holdings().positions == {}


async def test_the_same_fill_id_under_another_strategy_is_counted_once(desk: DeskDriver) -> None:
    await desk.deploy(strategy="other")
    await with_order(desk)
    await desk.filled(fill("x"), fill("x", strategy="other", client_order_id=""))
    assert desk.state.strategies["other"].tally.fills == 0


async def test_a_rejection_by_the_venue_is_an_outcome(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    answer(desk, "REJECTED", reason=types.REASON_NO_PRICE)
    await desk.settled()
    assert runner.outcomes[-1].what == OrderEnd(OrderState.REJECTED, Reason.NO_PRICE)
    assert desk.strategy.told.holdings().working == ()


async def test_whoever_comes_learns_of_an_order_until_its_end_is_told(desk: DeskDriver) -> None:
    """The venue has ended it with two fills, and one of them is here."""
    await with_order(desk, quantity="3")
    answer(desk, "CANCELLED", filled_quantity="2")
    await desk.filled(fill("x", 1))
    (working,) = desk.strategy.told.holdings().working
    assert working.quantity == 2
    assert desk.again().strategy.told.holdings().working == (working,)
    answer(desk, "CANCELLED", filled_quantity="2")
    await desk.filled(fill("x", 2))
    assert desk.strategy.told.holdings() == Holdings({"BTCUSDT": Decimal(2)})


async def test_an_end_comes_after_the_fills_that_were_announced(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    answer(desk, "CANCELLED", filled_quantity="0.4")
    await desk.settled()
    assert runner.outcomes == []
    await desk.filled(fill("x", quantity="0.4"))
    kinds = [type(outcome.what) for outcome in runner.outcomes]
    assert kinds == [OrderFill, OrderEnd]
    assert [outcome.number for outcome in runner.outcomes] == [1, 2]


async def test_a_fill_after_the_end_still_counts(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    answer(desk, "CANCELLED")
    await desk.filled(fill("x", quantity="0.4"))
    assert [type(outcome.what) for outcome in runner.outcomes] == [OrderEnd, OrderFill]
    row = desk.archive.order("x-0")
    assert row is not None
    assert (row.state, row.filled_quantity) == ("cancelled", Decimal("0.4"))


async def test_the_whole_quantity_is_filled_whatever_was_said(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    answer(desk, "CANCELLED", filled_quantity="0.4")
    await desk.filled(fill("x"))
    assert [type(outcome.what) for outcome in runner.outcomes] == [OrderFill]
    row = desk.archive.order("x-0")
    assert row is not None
    assert row.state == "filled"


async def test_an_order_without_an_answer_stays_an_exposure(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    desk.desk.execution.unanswered(desk.left[0], "DEADLINE_EXCEEDED")
    assert desk.strategy.account.orders["x-0"].state is OrderState.UNKNOWN
    assert desk.strategy.account.working("BTCUSDT").buys == 1
    assert runner.outcomes == []


async def test_a_venue_that_contradicts_itself_is_counted_and_believed_once(
    desk: DeskDriver,
) -> None:
    await with_order(desk, **LIMIT_AT_50)
    answer(desk, "ACCEPTED")
    answer(desk, "EXPIRED")
    answer(desk, "ACCEPTED")
    await desk.settled()
    assert desk.strategy.last_outcome == 1


async def test_an_answer_that_cannot_be_read_leaves_the_order_to_be_asked_for(
    desk: DeskDriver,
) -> None:
    await with_order(desk)
    assert desk.desk.execution.may_leave(desk.left[0])
    answer(desk, "ACCEPTED", filled_quantity="much")
    assert desk.strategy.account.orders["x-0"].state is OrderState.UNKNOWN


async def test_an_order_that_waited_too_long_behind_others_does_not_leave(
    desk: DeskDriver,
) -> None:
    """It was judged by another market."""
    runner = await with_order(desk)
    execution = desk.desk.execution
    assert execution.may_leave(desk.left[0], LATE_S)
    assert not execution.may_leave(desk.left[0], LATE_S + 0.1)
    await desk.settled()
    (outcome,) = runner.outcomes
    assert outcome.what == OrderEnd(OrderState.EXPIRED, Reason.EXPIRED)
    assert not desk.strategy.account.orders


async def test_holdings_name_what_works(desk: DeskDriver) -> None:
    await with_order(desk)
    await desk.filled(fill("x", quantity="0.3"))
    (working,) = desk.strategy.told.holdings().working
    assert (working.signal_id, working.quantity) == ("x", Decimal("0.7"))


async def test_old_outcomes_are_read_back_from_the_journal(desk: DeskDriver) -> None:
    runner = await with_order(desk, quantity="10")
    await desk.filled(*(fill("x", number, quantity="1") for number in range(1, 9)))
    told = type(desk.strategy.told)("s", desk.archive, remembered=3)
    for outcome in runner.outcomes:
        told.outcome(outcome)
    assert told.outcomes_after(0) == tuple(runner.outcomes)
    assert told.outcomes_after(6) == tuple(runner.outcomes[6:])
    assert told.outcomes_after(8) == ()


async def test_positions_are_published_with_their_number(desk: DeskDriver) -> None:
    await with_order(desk)
    await desk.filled(fill("x"))
    (update,) = desk.published
    assert update.message_id == "s:1"
    assert b'"side":"long","quantity":"1"' in update.payload()
    desk.again().desk.fill_book.publish_positions()
    assert desk.published[-1].message_id == "s:1"


def bust(of: str = "x", fill_number: int = 1, name: str = "bust", **fields: Any) -> Fill:
    """Takes back what `fill` made, fee included."""
    reversed_ = {"side": Side.SELL, "fee": Decimal("-0.1"), "busts": f"{of}-0-{fill_number}"}
    return fill(of, fill_number, **{**reversed_, "fill_id": f"{of}-{name}", **fields})


async def test_a_bust_takes_a_fill_back_and_is_told(desk: DeskDriver) -> None:
    runner = await with_order(desk)
    assert await desk.filled(fill("x"), bust(), bust()) == ["x-0-1", "x-bust", "x-bust"]
    account = desk.strategy.account
    assert account.positions["BTCUSDT"].quantity == 0
    assert account.ledger.balance == 1_000_000
    told = [outcome.what for outcome in runner.outcomes]
    assert [what.busts for what in told if isinstance(what, OrderFill)] == ["", "x-0-1"]
    row = desk.archive.order("x-0")
    assert row is not None
    assert row.state == "filled"
    assert row.filled_quantity == row.filled_notional == row.fee == 0


async def test_a_bust_holds_over_a_restart(desk: DeskDriver) -> None:
    await with_order(desk, quantity="3")
    await desk.filled(fill("x", 1), fill("x", 2), bust())
    before = desk.strategy.account.orders["x-0"]
    desk.again()
    after = desk.strategy.account.orders["x-0"]
    assert before.filled_quantity == before.busted_quantity == 1
    assert after.filled_quantity == after.busted_quantity == 1
    assert await desk.filled(bust(name="again")) == ["x-again"]
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 1  # it was taken back before


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_bust_before_its_fill_is_kept_and_booked_with_it(
    desk: DeskDriver, restarts: bool
) -> None:
    await with_order(desk)
    assert await desk.filled(bust()) == ["x-bust"]
    if restarts:
        desk.again()
    await desk.filled(fill("x"))
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 0
    desk.again()
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 0
    assert desk.state.early_busts == {}


async def test_a_restart_between_a_fill_and_its_early_bust_loses_neither(desk: DeskDriver) -> None:
    await with_order(desk)
    await desk.filled(bust())
    desk.state.early_busts.clear()  # as if the gateway had died when the fill was written
    await desk.filled(fill("x"))
    desk.again().desk.fill_book.resume()
    await desk.settled()
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": "0.5"},
        {"symbol": "ETHUSDT"},
        {"price": Decimal(102)},
        {"side": Side.BUY},
        {"busts": "x-0-9"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_bust_that_contradicts_its_fill_moves_nothing(
    desk: DeskDriver, wrong: dict[str, Any]
) -> None:
    await with_order(desk)
    assert await desk.filled(fill("x"), bust(**wrong)) == ["x-0-1", "x-bust"]
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 1
    assert desk.state.counts.strays == 1


async def test_a_bust_of_a_fill_that_is_nobodys_is_a_stray_too(desk: DeskDriver) -> None:
    await with_order(desk)
    nobodys: dict[str, Any] = {"strategy": "nobody", "client_order_id": ""}
    assert await desk.filled(bust(**nobodys), fill("x", **nobodys)) == ["x-bust", "x-0-1"]
    assert await desk.filled(bust(name="later", **nobodys)) == ["x-later"]
    assert desk.state.counts.strays == 3
