"""What is at work is cancelled at one word: of a strategy, or of the desk."""

from decimal import Decimal

import grpc
import grpc.aio
import pytest

from desk_driver import DeskDriver, buy, fill
from gateway_driver import Stack, until
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.signals import OrderType, Signal


def resting(name: str, cause: int = 1) -> Signal:
    return buy(name, cause, order_type=OrderType.LIMIT, price=Decimal(50))


def cancels(desk: DeskDriver) -> list[str]:
    return [each.client_order_id for each in desk.left if each.is_cancel]


async def test_the_orders_of_one_strategy_are_cancelled(desk: DeskDriver) -> None:
    await (await desk.armed()).decide(resting("x"), resting("y"))
    await (await desk.armed(instance="b", name="other")).decide(resting("z"))
    assert desk.desk.execution.cancel_all(desk.strategy, "drill") == 2
    assert cancels(desk) == []  # not before it is on disk
    await desk.settled()
    assert cancels(desk) == ["x-0", "y-0"]


async def test_it_passes_a_halt_and_survives_a_restart(desk: DeskDriver) -> None:
    await (await desk.armed()).decide(resting("x"))
    desk.desk.bounds.halt("drill")
    desk.desk.execution.cancel_all(desk.strategy, "drill")
    await desk.settled()
    assert desk.desk.execution.may_leave(desk.left[-1])
    assert desk.again().strategy.cancelling == {"x-0"}


async def test_an_order_that_is_made_afterwards_is_not_meant(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(resting("x"))
    desk.desk.execution.cancel_all(desk.strategy, "drill")
    desk.feed_next()
    await runner.decide(resting("y", cause=2))
    assert cancels(desk) == ["x-0"]
    assert desk.again().strategy.cancelling == {"x-0"}


async def test_what_has_ended_meanwhile_is_cancelled_no_more(desk: DeskDriver) -> None:
    await (await desk.armed()).decide(resting("x"), resting("y"))
    for _ in range(2):
        desk.desk.execution.cancel_all(desk.strategy, "drill")
        await desk.settled()
    await desk.filled(fill("x"))
    leaving = [each for each in desk.left if each.is_cancel]
    may_leave = desk.desk.execution.may_leave
    assert [each.client_order_id for each in leaving if may_leave(each)] == ["y-0", "y-0"]


async def asked(stack: Stack, **request: object) -> int:
    message = pb.CancelOrdersRequest(token=stack.operator(), reason="drill", **request)  # type: ignore[arg-type]  # by name
    return int((await stack.stub().CancelOrders(message)).orders)


@pytest.mark.servers
@pytest.mark.parametrize("whose", [{"strategy": "s"}, {"all": True}], ids=["strategy", "all"])
async def test_the_venue_has_nothing_open_afterwards(
    stack: Stack, whose: dict[str, object]
) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    await runner.decide(*(resting(f"x{number}", cause) for number in range(20)))
    await stack.stub().Halt(pb.HaltRequest(token=stack.operator(), reason="news"))
    assert await asked(stack, **whose) == 20

    async def cancelled() -> bool:
        found = await stack.venue_orders()
        return {order.state for order in found.values()} <= {types.ORDER_STATE_CANCELLED}

    await until(cancelled)
    await until(stack.agrees)
    listed = venue_pb.ListOrdersRequest(open_only=True)
    assert not (await stack.venue_stub().ListOrders(listed)).orders


@pytest.mark.servers
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"strategy": "s", "all": True}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"strategy": "nobody"}, grpc.StatusCode.FAILED_PRECONDITION),
        ({"all": True, "token": "stolen"}, grpc.StatusCode.UNAUTHENTICATED),
    ],
    ids=["nobody meant", "both", "unknown", "not the operator's"],
)
async def test_what_is_not_meant_clearly_is_refused(
    shared_stack: Stack, request_: dict[str, object], status: grpc.StatusCode
) -> None:
    message = pb.CancelOrdersRequest(**{"token": shared_stack.operator(), **request_})  # type: ignore[arg-type]  # by name
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shared_stack.stub().CancelOrders(message)
    assert refused.value.code() is status
