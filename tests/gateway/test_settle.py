"""Orders in doubt, settled by the venue's word, each by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from desk_driver import DeskDriver, buy
from risk_gateway.settle import Settler
from risk_gateway.venue import Venue
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)
from trading.orders import OrderState


class Registrar(OrderExecutionServicer):
    """A venue that keeps no tombstones, and denies what it does not have."""

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        if request.client_order_id == "lost-0":
            await context.abort(grpc.StatusCode.NOT_FOUND, "never seen")
        rejected = types.ORDER_STATE_REJECTED
        return pb.OrderResponse(client_order_id=request.client_order_id, state=rejected)

    async def CancelOrder(self, request: pb.CancelRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        await context.abort(grpc.StatusCode.NOT_FOUND, "never seen")
        raise AssertionError


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_OrderExecutionServicer_to_server(Registrar(), server)  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    made = Venue(f"127.0.0.1:{port}")
    yield made
    await made.close()
    await server.stop(0)


async def test_an_order_that_the_venue_will_not_settle_keeps_no_other_waiting(
    desk: DeskDriver, venue: Venue
) -> None:
    await (await desk.armed()).decide(buy("lost"), buy("known"))
    for leaving in desk.left:
        desk.desk.execution.unanswered(leaving, "DEADLINE_EXCEEDED")
    settling = asyncio.create_task(Settler(desk.state, venue, desk.desk.execution).run())
    async with asyncio.timeout(60):
        while "known-0" in desk.strategy.account.orders:
            await asyncio.sleep(0.02)
    settling.cancel()
    assert desk.strategy.account.orders["lost-0"].state is OrderState.UNKNOWN
