"""Whether an order costs more, or keeps more, the more orders there were before it.

A real desk on a real journal, in this process: each order is judged, journalled, leaves, is
accepted and filled in whole, and ends. The venue is this benchmark; no wire is between.
"""

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median

import psutil
from benchmarks.own_desk import PRICE, OwnDesk
from benchmarks.table import Figure

from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, SIDES
from trading.fills import Fill
from trading.orders import OrderState
from trading.signals import Side

ORDERS = int(os.environ.get("ORDERS", "61000"))
TOGETHER, WINDOW = 100, 1_000
_SIDES = (Side.BUY, Side.SELL)
_QUANTITY, _PRICE, _FEE = Decimal("0.1"), Decimal(PRICE), Decimal("0.01")
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
    desk = OwnDesk(folder)
    await desk.deploy()
    try:
        gc.collect()
        costs = [await _trade(desk) for _ in range(0, orders, TOGETHER)]
        fills = desk.state.strategies["s"].tally.fills
        assert fills == orders, fills
        return costs
    finally:
        desk.close()


async def _trade(own: OwnDesk) -> _Cost:
    all_began, loop_began = time.process_time(), time.thread_time()
    await own.decide(own.batch(TOGETHER, _QUANTITY))
    for leaving in own.left:
        if own.desk.execution.may_leave(leaving):
            own.desk.execution.answered(leaving, _accepted(leaving))
    for leaving in own.left:
        own.desk.fill_book.take(_filled(leaving), _nothing)
    own.left.clear()
    await own.settled()
    loop_us = (time.thread_time() - loop_began) / TOGETHER * 1e6
    all_us = (time.process_time() - all_began) / TOGETHER * 1e6
    return _Cost(loop_us, all_us, psutil.Process().memory_info().rss / 2**20)


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
