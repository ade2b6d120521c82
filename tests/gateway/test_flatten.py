"""A strategy that was withdrawn to own nothing: what closes it, in what order, and never twice."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from desk_driver import DeskDriver, Runner, buy, content, fill
from examples import examples
from fateful_venue import FATES, FatefulVenue, answer
from risk_gateway.report import Surroundings, desk_to_proto
from stratops_api.v1 import risk_gateway_pb2 as gateway_pb
from stratops_api.v1 import types_pb2 as types
from trading.orders import OrderState
from trading.signals import Side

BUY, SELL = int(types.SIDE_BUY), int(types.SIDE_SELL)
SELL_2 = (SELL, Decimal(2))


async def holding(desk: DeskDriver, quantity: str = "2", side: Side = Side.BUY) -> Runner:
    """A runner whose strategy holds that many."""
    runner = await desk.armed()
    await runner.decide(buy("x", quantity=quantity, side=side))
    await desk.filled(fill("x", quantity=quantity, side=side))
    desk.left.clear()
    return runner


async def withdrawn(desk: DeskDriver, *, flatten: bool = True) -> None:
    desk.desk.withdraw(desk.state.term, "s", "deleted", flatten=flatten)
    await desk.settled()


def closing(desk: DeskDriver) -> list[tuple[int, Decimal]]:
    """Side and quantity of what left since."""
    requests = [each.request for each in desk.left if each.request]
    return [(each.side, Decimal(each.quantity)) for each in requests]


async def fill_own(desk: DeskDriver, quantity: str, number: int = 1) -> None:
    """Of the gateway's last order."""
    order = desk.strategy.order(desk.orders[-1])
    assert order is not None
    done = fill(order.signal_id, number, quantity, side=order.side)
    await desk.filled(done)


def left(desk: DeskDriver) -> str:
    return told(desk).flattening


def told(desk: DeskDriver) -> gateway_pb.StrategyStatus:
    (status,) = desk_to_proto(desk.desk, Surroundings()).strategies
    return status


@pytest.mark.parametrize(("side", "closes"), [(Side.BUY, SELL), (Side.SELL, BUY)])
async def test_a_position_is_closed_by_a_market_order(
    desk: DeskDriver, side: Side, closes: int
) -> None:
    await holding(desk, side=side)
    await withdrawn(desk)
    assert closing(desk) == [(closes, Decimal(2))]
    await fill_own(desk, "2")
    assert left(desk) == ""


async def test_what_is_withdrawn_as_it_is_keeps_its_position(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk, flatten=False)
    await desk.settled(2)
    assert closing(desk) == []


async def working(desk: DeskDriver) -> None:
    """A strategy that holds 2, and has an order at work."""
    runner = await desk.armed()
    await runner.decide(buy("x", quantity="2"), buy("y"))
    await desk.filled(fill("x", quantity="2"))
    desk.left.clear()


@pytest.mark.parametrize("flatten", [True, False], ids=["flatten", "keep"])
async def test_every_withdrawal_cancels_what_is_at_work(desk: DeskDriver, *, flatten: bool) -> None:
    await working(desk)
    await withdrawn(desk, flatten=flatten)
    assert desk.strategy.cancelling == {"y-0"}
    assert left(desk) == "orders at work: 1"


async def test_a_withdrawal_is_over_when_nothing_is_at_work(desk: DeskDriver) -> None:
    await working(desk)
    await withdrawn(desk, flatten=False)
    desk.left.clear()
    answer(desk, "y-0", "CANCELLED")
    await desk.settled(2)
    assert (left(desk), closing(desk)) == ("", [])
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 2


async def test_a_restart_goes_on_cancelling_and_closes_nothing(desk: DeskDriver) -> None:
    await working(desk)
    await withdrawn(desk, flatten=False)
    desk.again()
    await desk.settled()
    assert desk.strategy.cancelling == {"y-0"}
    answer(desk, "y-0", "CANCELLED")
    await desk.settled(2)
    assert (left(desk), closing(desk)) == ("", [])


async def test_a_halt_lets_the_cancels_of_a_withdrawal_pass(desk: DeskDriver) -> None:
    await working(desk)
    desk.desk.bounds.halt("drill")
    await withdrawn(desk, flatten=False)
    assert desk.strategy.cancelling == {"y-0"}


async def test_a_deploy_ends_a_withdrawal(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk, flatten=False)
    await desk.deploy()
    assert desk.strategy.flattening is None
    assert desk.again().strategy.flattening is None


async def test_it_may_be_flattened_later(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk, flatten=False)
    await withdrawn(desk)
    assert closing(desk) == [SELL_2]


async def test_what_is_asked_twice_is_done_once(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk)
    written = desk.journal.written
    await withdrawn(desk)
    assert (closing(desk), desk.journal.written) == ([SELL_2], written)


async def test_orders_at_work_are_cancelled_first(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    await withdrawn(desk)
    assert desk.strategy.cancelling == {"x-0"}
    assert left(desk) == "orders at work: 1"
    answer(desk, "x-0", "CANCELLED", filled_quantity="0.4")
    await desk.filled(fill("x", quantity="0.4"))
    assert closing(desk)[-1] == (SELL, Decimal("0.4"))


async def test_a_halt_stops_it_and_a_resume_lets_it_go_on(desk: DeskDriver) -> None:
    await holding(desk)
    desk.desk.bounds.halt("drill")
    await withdrawn(desk)
    assert left(desk) == "BTCUSDT 2 (the desk is halted: drill)"
    desk.desk.bounds.resume("")
    await desk.settled()
    assert closing(desk) == [SELL_2]


async def test_a_venue_that_is_away_is_waited_for(desk: DeskDriver) -> None:
    await holding(desk)
    desk.venue_available = False
    await withdrawn(desk)
    assert left(desk) == "BTCUSDT 2 (venue main does not answer)"


async def test_what_the_venue_rejects_is_tried_again_by_another_id(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk)
    answer(desk, desk.orders[0], "REJECTED")
    await desk.settled(0.1)
    assert len(desk.orders) == 1  # after a moment
    await desk.settled(1)
    assert len(set(desk.orders)) == 2
    assert closing(desk) == [SELL_2] * 2


async def test_it_closes_what_observation_would_only_watch(desk: DeskDriver) -> None:
    await holding(desk)
    await desk.deploy("r2", content("observation"))
    await withdrawn(desk)
    assert closing(desk) == [SELL_2]


async def test_a_remainder_that_is_no_lot_is_named(desk: DeskDriver) -> None:
    await desk.armed()
    await desk.filled(fill("foreign", quantity="0.0000001", client_order_id=""))
    await withdrawn(desk)
    assert left(desk) == "BTCUSDT 0.0000001 (less than a lot)"
    assert closing(desk) == []


async def test_a_deploy_takes_it_back(desk: DeskDriver) -> None:
    await holding(desk)
    desk.desk.bounds.halt("so that nothing leaves")
    await withdrawn(desk)
    await desk.deploy()
    assert desk.strategy.flattening is None
    assert desk.again().strategy.flattening is None


async def test_a_restart_goes_on(desk: DeskDriver) -> None:
    await holding(desk)
    desk.desk.bounds.halt("so that nothing leaves")
    await withdrawn(desk)
    desk.again()
    desk.desk.bounds.resume("")
    await desk.settled()
    assert closing(desk) == [SELL_2]


async def test_a_restart_sends_nothing_twice(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk)
    (sent,) = desk.orders
    desk.again()
    await desk.settled(2)
    assert closing(desk) == []
    assert desk.strategy.account.orders[sent].state is OrderState.UNKNOWN
    assert left(desk) == "orders at work: 1"


async def test_its_orders_are_in_the_journal_as_the_gateways_own(desk: DeskDriver) -> None:
    await holding(desk)
    await withdrawn(desk)
    (_, own) = desk.archive.orders()
    assert '"origin":"gateway"' in own.made.body
    assert '"epoch":0' in own.made.body


# ---- whatever the venue does, whenever it restarts


async def ends_flat(folder: Path, fates: list[str], seed: int) -> None:
    desk = DeskDriver(folder)
    await desk.armed()
    venue = FatefulVenue(desk, seed)
    await desk.filled(fill("start", quantity="3", client_order_id=""))
    venue.held = Decimal(3)
    await withdrawn(desk)
    for fate in [*fates, "fill", "fill"]:
        await venue.give(fate)
        await desk.settled(40, step_s=0.2)  # longer than it ever waits between two attempts
    # Of a part of a part of a part, less may be left than an order may be worth.
    small = f"BTCUSDT {venue.held} (worth less than an order may be)"
    assert left(desk) == (small if venue.held else "")
    desk.close()


@example(["part, then cancelled"] * 3, 591)
@given(FATES, st.integers(0, 2**16))
@examples(15)
def test_whatever_happens_it_ends_flat_and_never_flips(fates: list[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ends_flat(Path(folder), fates, seed))


async def test_revisions_with_orders_at_work_are_named_until_they_end(desk: DeskDriver) -> None:
    """What the operator keeps them for."""
    runner = await desk.armed()
    await runner.decide(buy("x"))
    assert list(told(desk).revisions_at_work) == ["r1"]
    await desk.filled(fill("x"))
    assert not told(desk).revisions_at_work
