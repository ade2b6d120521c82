"""A desk that was killed is, on its journal, the desk that it was."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from desk_driver import DeskDriver, buy, cancel, content, fill
from desk_story import STEPS, Story
from examples import examples
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.account_memory import RateMemory, memory_of

TEN_LOST = {"limits": {"max_daily_loss": "10"}}


def fingerprint(desk: DeskDriver) -> dict[str, Any]:
    """All that was told, and all that will be decided by."""
    strategy = desk.strategy
    account = strategy.account
    return {
        "holdings": strategy.told.holdings(),
        "outcomes": strategy.told.outcomes_after(0),
        "next": strategy.last_outcome,
        "tally": strategy.tally,
        "recent": list(strategy.recent),
        "ledger": (account.ledger.cash, account.ledger.realized_pnl, account.ledger.fees),
        "positions": dict(account.positions),
        "watermarks": account.watermarks,
        "working": account.working("BTCUSDT"),
        "rates": rates(desk),
        "terms": (account.terms, strategy.mode),
        "halted": desk.state.halted,
        "grants": (strategy.grants.epoch, strategy.grants.revision, strategy.grants.wanted),
        "orders": [placed.order for placed in desk.archive.orders()],
    }


def rates(desk: DeskDriver) -> tuple[RateMemory, RateMemory]:
    memory = memory_of(desk.strategy.account)
    return memory.second, memory.minute


async def told_again(steps: list[tuple[str, str]], folder: Path) -> None:
    desk = DeskDriver(folder)
    await Story(desk).play(steps)
    before = fingerprint(desk)
    assert fingerprint(desk.again()) == before
    desk.close()


@given(STEPS)
@examples(60)
def test_a_restart_changes_nothing(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(told_again(steps, Path(folder)))


async def test_an_order_whose_end_is_not_known_counts_as_exposure_after_a_restart(
    desk: DeskDriver,
) -> None:
    await (await desk.armed()).decide(buy("x"))
    account = desk.again().strategy.account
    assert account.orders["x-0"].state == "unknown"
    assert account.working("BTCUSDT").buys == Decimal(1)


async def test_an_order_filled_in_part_and_rejected_while_unknown_is_read_back(
    desk: DeskDriver,
) -> None:
    await (await desk.armed()).decide(buy("x"))
    (leaving,) = desk.left
    desk.desk.execution.unanswered(leaving, "DEADLINE_EXCEEDED")
    await desk.filled(fill("x", quantity="0.5"))
    rejected = types.ORDER_STATE_REJECTED
    stated = pb.OrderResponse(client_order_id="x-0", state=rejected, filled_quantity="0.5")
    desk.desk.execution.settle(desk.strategy, stated)
    await desk.settled()
    before = fingerprint(desk)
    assert desk.strategy.ended["x-0"].state == "rejected"
    assert fingerprint(desk.again()) == before


@pytest.mark.parametrize(("session", "accepted"), [("run-1", False), ("run-2", True)])
async def test_rates_go_on_over_a_restart_and_begin_anew_with_a_replay(
    desk: DeskDriver, session: str, accepted: bool
) -> None:
    await (await desk.armed(content(max_orders_per_minute=1))).decide(buy("x"))
    desk.again()
    await desk.settled(3)
    fresh = await desk.armed(instance="b")
    fresh.session, fresh.count = session, 1
    desk.feed_next()
    (verdict,) = await fresh.decide(buy("y", cause=2))
    assert verdict.accepted is accepted


async def test_a_tools_order_counts_for_rates_after_a_restart_as_before(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_orders_per_minute=1))
    runner.batch()  # what decides nothing is not written, its session neither
    assert desk.desk.submit(desk.strategy, runner.epoch, buy("x"), print) is None
    desk.feed_next()
    (verdict,) = await runner.decide(buy("y", cause=2))
    assert verdict.reason == "max_orders_per_minute"
    before = rates(desk)
    assert rates(desk.again()) == before


async def test_a_peak_that_a_tools_signal_met_is_known_after_a_restart(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    desk.feed_next(bid=500)
    assert desk.desk.submit(desk.strategy, runner.epoch, buy("y", cause=2), print) is None
    await desk.settled()
    peak = desk.strategy.account.watermarks.peak
    assert peak > Decimal(1_000_000)  # its capital
    assert desk.again().strategy.account.watermarks.peak == peak


@pytest.mark.parametrize(
    ("entry", "scope", "before"),
    [
        ({"desk": TEN_LOST}, "desk", 1_000_000),
        ({"accounts": {"default": TEN_LOST}}, "account default", 1_000_000),
        ({"symbols": {"BTCUSDT": TEN_LOST}}, "symbol BTCUSDT", 0),
    ],
    ids=["desk", "account", "symbol"],
)
async def test_so_is_the_peak_of_several(
    bound_desk: DeskDriver, entry: dict[str, Any], scope: str, before: int
) -> None:
    bound_desk.desk.bounds.list_policies({"p": entry})
    runner = await bound_desk.armed()
    await runner.decide(buy("x"))
    await bound_desk.filled(fill("x"))
    bound_desk.feed_next(bid=500)
    desk, strategy = bound_desk.desk, bound_desk.strategy
    assert desk.submit(strategy, runner.epoch, buy("y", cause=2), print) is None
    await bound_desk.settled()
    marks = bound_desk.state.pools.all_watermarks[scope]
    assert marks.peak > before
    assert bound_desk.again().state.pools.all_watermarks[scope] == marks


async def test_what_losses_are_measured_from_is_that_of_the_last_signal_judged(
    desk: DeskDriver,
) -> None:
    """A tool's may be judged before a batch that came earlier, and is written after it."""
    runner = await desk.armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    desk.feed_next(bid=500)
    desk.feed_next(bid=900)
    runner.batch(buy("y", cause=3, priority=1))
    assert desk.desk.submit(desk.strategy, runner.epoch, buy("z", cause=2), print) is None
    await desk.settled()
    marks = desk.strategy.account.watermarks
    assert marks.peak > Decimal(1_000_700)
    assert desk.again().strategy.account.watermarks == marks


async def test_a_cancel_that_was_accepted_is_still_to_be_sent_after_a_restart(
    desk: DeskDriver,
) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"), buy("y"))
    desk.feed_next()
    await runner.decide(cancel("c", of="x", cause=2), cancel("d", of="y", cause=2))
    await desk.filled(fill("y"))
    assert desk.again().strategy.cancelling == {"x-0"}


async def test_ticks_go_on_counting_over_restarts_and_runs(desk: DeskDriver) -> None:
    runner = await desk.armed()
    for n in range(1, 4):
        desk.feed_next()
        await runner.decide(buy(f"x{n}", cause=n))
    desk.again()
    await desk.settled(3)
    fresh = await desk.armed(instance="b")
    for _ in range(9):
        desk.feed_next()
    await fresh.decide(buy("y", cause=9))
    tally = desk.strategy.tally
    assert tally.ticks_before + tally.ticks == 3 + 1
