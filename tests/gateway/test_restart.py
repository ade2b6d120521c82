"""A desk that was killed is, on its journal, the desk that it was."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk_driver import DeskDriver, Runner, buy, cancel, content, fill
from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.signals import Side

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "too much", "repeat", "cancel", "halt", "resume"]),
        st.sampled_from(["nothing", "fill", "part", "part, then the end", "refused", "late fill"]),
    ),
    max_size=12,
)


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
        "terms": (account.terms, strategy.mode),
        "halted": desk.state.halted,
        "grants": (strategy.grants.epoch, strategy.grants.revision, strategy.grants.wanted),
        "orders": [placed.order for placed in desk.archive.orders()],
    }


class Story:
    """Plays steps on a desk: decisions, then what the venue makes of them."""

    def __init__(self, desk: DeskDriver) -> None:
        self.desk = desk
        self.count = 0
        self.runner: Runner

    async def play(self, steps: list[tuple[str, str]]) -> None:
        self.runner = await self.desk.armed()
        for decision, echo in steps:
            self.count += 1
            self.desk.feed_next(bid=100 + self.count)
            await self.decide(decision)
            await self.echo(echo)
        await self.desk.settled()

    async def decide(self, decision: str) -> None:
        name, cause = f"n{self.count}", self.count + 1
        before = f"n{self.count - 1}"
        if decision in ("halt", "resume"):
            getattr(self.desk.desk.bounds, decision)("drill")
        elif decision == "cancel":
            await self.runner.decide(cancel(name, of=before, cause=cause))
        else:
            side = Side.SELL if decision == "sell" else Side.BUY
            quantity = "5000" if decision == "too much" else "2"
            name = before if decision == "repeat" else name
            await self.runner.decide(buy(name, cause, quantity, side=side))

    async def echo(self, echo: str) -> None:
        name = f"n{self.count}"
        order = self.desk.strategy.order(f"{name}-0")
        if order is None or echo == "nothing":
            return
        if echo in ("refused", "late fill"):
            self.answer(name, "REJECTED" if echo == "refused" else "CANCELLED")
        if echo.startswith("part, then"):
            self.answer(name, "CANCELLED", filled_quantity="0.5")
        if echo != "refused":
            quantity = "2" if echo == "fill" else "0.5"
            await self.desk.filled(fill(name, quantity=quantity, side=order.side))

    def answer(self, name: str, state: str, **fields: Any) -> None:
        number = types.OrderState.Value(f"ORDER_STATE_{state}")
        stated = pb.OrderResponse(client_order_id=f"{name}-0", state=number, **fields)
        leaving = Leaving("s", f"{name}-0", pb.OrderRequest())
        self.desk.desk.execution.answered(leaving, stated)


async def told_again(steps: list[tuple[str, str]], folder: Path) -> None:
    desk = DeskDriver(folder)
    await Story(desk).play(steps)
    before = fingerprint(desk)
    assert fingerprint(desk.again()) == before
    desk.close()


@given(STEPS)
@settings(max_examples=60)
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
