"""Whether an order costs more, or keeps more, the more orders there were before it.

A real desk on a real journal, in this process: each order is judged, journalled, leaves, is
accepted and filled in whole, and ends. The venue is this benchmark; no wire is between.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median

import psutil
import structlog
from benchmarks.load import content
from benchmarks.table import Figure

from handover.messages import Batch, Mark
from market_data import Intake, catalogue
from risk_gateway.archive import Archive
from risk_gateway.callers import NOBODY
from risk_gateway.desk import Desk, deployment_of
from risk_gateway.journal import Journal
from risk_gateway.lanes import Leaving
from risk_gateway.market_view import MarketView
from risk_gateway.settings import Clock
from risk_gateway.state import Outside, State
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, SIDES
from trading.fills import Fill
from trading.market import Quote
from trading.orders import OrderState
from trading.signals import Cause, Side, Signal

ORDERS = 61_000
TOGETHER, WINDOW = 100, 1_000
_SIDES = (Side.BUY, Side.SELL)
_QUANTITY, _PRICE, _FEE = Decimal("0.1"), Decimal(100), Decimal("0.01")
_ACCEPTED = ORDER_STATES.number(OrderState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class _Cost:
    loop_us: float  # CPU of the loop's thread, an order
    all_us: float  # of the process, with the journal's writer
    rss_mb: float


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_costs(Path(name, "warm-up"), WINDOW))
        costs = asyncio.run(_costs(Path(name, "measured"), ORDERS))
    most = WINDOW // TOGETHER
    first, last = costs[:most], costs[-most:]
    earlier, now = costs[len(costs) // 2].rss_mb, costs[-1].rss_mb
    kept = (now - earlier) / (len(costs) / 2 * TOGETHER) * 1e6
    what = f"orders {ORDERS - WINDOW + 1:,} to {ORDERS:,}"
    return [
        Figure(f"growth: deciding and booking, {what}", _loop(last), "us CPU/order", _loop(first),
               f"us, orders 1 to {WINDOW:,}", aim="<= 1.1x"),
        Figure(f"growth: with the journal's writer, {what}", _all(last), "us CPU/order",
               _all(first), f"us, orders 1 to {WINDOW:,}"),
        Figure(f"growth: memory, {ORDERS // 2:,} to {ORDERS:,} orders", now, "MB RSS", earlier,
               "MB"),
        Figure("growth: memory, a million orders more at that rate", kept, "MB"),
    ]  # fmt: skip


def _loop(costs: Sequence[_Cost]) -> float:
    """Of the middle one: the machine is not ours alone."""
    return median(each.loop_us for each in costs)


def _all(costs: Sequence[_Cost]) -> float:
    return median(each.all_us for each in costs)


async def _costs(folder: Path, orders: int) -> list[_Cost]:
    """Of each TOGETHER orders, one after the other."""
    desk = _Desk(folder)
    await desk.deploy()
    try:
        gc.collect()
        costs = [await desk.trade() for _ in range(0, orders, TOGETHER)]
        assert desk.fills == orders, desk.fills
        return costs
    finally:
        desk.close()


class _Desk:
    """One that fills what it is asked for."""

    def __init__(self, folder: Path) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        loop = asyncio.get_running_loop()
        self._journal = Journal(folder, loop)
        self._archive = Archive(self._journal.home)
        self._left: list[Leaving] = []
        market = MarketView(Intake(("BTCUSDT",)), Clock.WALL)
        now = time.monotonic_ns() + 10**15  # stays fresh
        market.tape.append("BTCUSDT/tick", 1, Quote("BTCUSDT", 1, 1, 100.0, 9.0, 100.0, 9.0, now))
        outside = Outside(leave=self._left.append)
        self._state = State(self._journal, self._archive, market, catalogue.load(), outside)
        self._desk = Desk(self._state, loop)
        self._number = 0
        self._process = psutil.Process()

    async def deploy(self) -> None:
        term = self._desk.begin_term("benchmark")
        self._desk.deploy(term, "s", deployment_of("r1", content("simulation"), NOBODY))
        await self._settled()

    @property
    def fills(self) -> int:
        return self._state.strategies["s"].tally.fills

    async def trade(self) -> _Cost:
        all_began, loop_began = time.process_time(), time.thread_time()
        self._decide()
        await self._settled()
        for leaving in self._left:
            if self._desk.execution.may_leave(leaving):
                self._desk.execution.answered(leaving, _accepted(leaving))
        for leaving in self._left:
            self._desk.fill_book.take(_filled(leaving), _nothing)
        self._left.clear()
        await self._settled()
        loop_us = (time.thread_time() - loop_began) / TOGETHER * 1e6
        all_us = (time.process_time() - all_began) / TOGETHER * 1e6
        return _Cost(loop_us, all_us, self._process.memory_info().rss / 2**20)

    def _decide(self) -> None:
        self._number += 1
        cause = Cause("BTCUSDT", "tick", 1, 1)
        signals = tuple(
            Signal(f"growth-{self._number}-{nth}", "BTCUSDT", cause, 1, side=_SIDES[nth % 2],
                   quantity=_QUANTITY)
            for nth in range(TOGETHER)
        )  # fmt: skip
        batch = Batch(1, self._number, Mark(self._number), signals)
        self._desk.admission.take(self._state.strategies["s"], batch, "r1")

    async def _settled(self) -> None:
        await asyncio.sleep(0)
        while self._desk.admission.queued or self._journal.waiting:
            await self._journal.durable()

    def close(self) -> None:
        self._archive.close()
        self._journal.close()


def _nothing() -> None:
    pass


def _accepted(leaving: Leaving) -> pb.OrderResponse:
    state: int = _ACCEPTED
    return pb.OrderResponse(
        client_order_id=leaving.client_order_id,
        order_id=f"v-{leaving.client_order_id}",
        state=state,  # type: ignore[arg-type]  # the stubs' own enum type
    )


def _filled(leaving: Leaving) -> Fill:
    request = leaving.request
    assert request is not None
    side = SIDES.member("side", request.side)
    return Fill(
        fill_id=f"f-{leaving.client_order_id}", client_order_id=leaving.client_order_id,
        strategy="s", symbol="BTCUSDT", side=side, price=_PRICE, quantity=_QUANTITY, fee=_FEE,
        at_ns=1,
    )  # fmt: skip
