"""The comparison with a venue that answers slowly."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from desk_driver import DeskDriver, buy
from own_time import Watch
from risk_gateway import reconcile
from risk_gateway.reconcile import differences_at
from risk_gateway.venue import Venue
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)

SETTLE_S = 1.0
SLOW_S = 0.05
FOREIGN = 200
AT_ONCE = 32


class Slow(OrderExecutionServicer):
    """Has orders that the journal lacks; one of them is asked for again and again."""

    def __init__(self) -> None:
        self.asked = self.most = 0
        self.now = 0

    async def ListOrders(self, _: Any, __: Any) -> pb.ListOrdersResponse:  # noqa: N802
        return pb.ListOrdersResponse(orders=[_filled(f"z{nth}-0") for nth in range(FOREIGN)])

    async def GetOrder(self, request: pb.GetOrderRequest, _: Any) -> pb.OrderResponse:  # noqa: N802
        self.now, self.asked = self.now + 1, self.asked + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(SLOW_S)
        while self.most < AT_ONCE:
            await asyncio.sleep(SLOW_S)  # until the others are there
        self.now -= 1
        return _filled(request.client_order_id)


def _filled(name: str) -> pb.OrderResponse:
    return pb.OrderResponse(
        client_order_id=name, strategy_id="s", filled_quantity="1", filled_notional="101", fee="0"
    )


@pytest.fixture
async def slow() -> AsyncIterator[tuple[Slow, Venue]]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    servicer = Slow()  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
    add_OrderExecutionServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    venue = Venue(f"127.0.0.1:{port}")
    yield servicer, venue
    await venue.close()
    await server.stop(0)


async def test_what_differs_is_asked_for_together_and_by_the_clock(
    desk: DeskDriver, slow: tuple[Slow, Venue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "SETTLE_S", SETTLE_S)
    await (await desk.armed()).decide(buy("x"))
    servicer, venue = slow
    began = time.monotonic()
    with Watch() as watch:
        found = await differences_at(desk.state, venue)
        own_s = watch.seconds
    took_s = time.monotonic() - began
    one_round = FOREIGN * SLOW_S
    assert len(found) == 100  # named at most
    assert servicer.most == AT_ONCE
    assert servicer.asked >= FOREIGN
    assert took_s >= SETTLE_S
    assert own_s < one_round
