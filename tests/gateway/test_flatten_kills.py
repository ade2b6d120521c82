"""kill -9 while a strategy is being closed: it ends flat, also at the venue, and nothing twice."""

import asyncio
import random
import signal
from decimal import Decimal

import grpc.aio
import pytest

from desk_driver import OPERATOR, buy
from gateway_driver import Stack, until
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.signals import OrderType

pytestmark = pytest.mark.servers

KILLS = 6
# Two positions to close, and an order at work that would open one more.
BOUGHT, WORKING = Decimal("0.7"), Decimal("0.2")


async def holding(stack: Stack, *, working: bool = True) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    low = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    signals = [buy("x", cause, str(BOUGHT)), buy("y", cause, str(WORKING), **low)]
    await runner.decide(*signals[: 1 + working])
    await until(lambda: holds(stack, BOUGHT))


async def holds(stack: Stack, quantity: Decimal) -> bool:
    (status,) = (await stack.desk()).strategies
    return Decimal(status.positions.get("BTCUSDT", "0")) == quantity


async def withdraw(stack: Stack, *, flatten: bool = True) -> None:
    """As a supervisor does it: again, when it was not answered."""
    term = await stack.begin_term()
    asked = pb.WithdrawRequest(
        token=OPERATOR, term=term, strategy="s", reason="deleted", flatten=flatten
    )
    await stack.stub().Withdraw(asked)


async def is_closed(stack: Stack) -> bool:
    (status,) = (await stack.desk()).strategies
    return status.withdrawn and not status.flattening


def sold(orders: dict[str, venue_pb.OrderResponse]) -> Decimal:
    sells = [order for order in orders.values() if order.side == types.SIDE_SELL]
    return sum((Decimal(order.filled_quantity or 0) for order in sells), Decimal(0))


async def test_it_closes_what_is_held_and_cancels_what_works(stack: Stack) -> None:
    await holding(stack)
    await withdraw(stack)
    await until(lambda: is_closed(stack))
    orders = await stack.venue_orders()
    assert orders["y-0"].state == types.ORDER_STATE_CANCELLED
    assert sold(orders) == BOUGHT
    assert await holds(stack, Decimal(0))
    await until(stack.agrees)


async def test_a_kill_does_not_leave_a_withdrawn_strategys_order_at_the_venue(stack: Stack) -> None:
    await holding(stack)
    stack.market.subscribers = 1  # the venue stays when the gateway goes
    await withdraw(stack, flatten=False)
    stack.gateway.kill()
    await stack.gateway.start_again()
    await until(lambda: is_closed(stack))
    assert (await stack.venue_orders())["y-0"].state == types.ORDER_STATE_CANCELLED
    assert await holds(stack, BOUGHT)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_any_kills_it_has_sold_what_it_held_and_not_more(
    stack: Stack, seed: int
) -> None:
    moments = random.Random(seed)
    await holding(stack)
    stack.market.subscribers = 1  # the venue stays when the gateway goes
    for _ in range(KILLS):
        asking = asyncio.create_task(withdraw(stack))
        await asyncio.sleep(moments.uniform(0, 0.15))
        stack.gateway.kill()
        await asyncio.gather(asking, return_exceptions=True)
        assert sold(await stack.venue_orders()) <= BOUGHT
        await stack.gateway.start_again()
    await withdraw(stack)
    await until(lambda: is_closed(stack))
    assert sold(await stack.venue_orders()) == BOUGHT
    assert await holds(stack, Decimal(0))
    await until(stack.agrees)


async def test_a_kill_while_its_order_is_on_its_way_sells_once(stack: Stack) -> None:
    await holding(stack, working=False)
    stack.venue.process.send_signal(signal.SIGSTOP)
    await withdraw(stack)
    await until(lambda: says(stack, "orders at work: 1"))
    await asyncio.sleep(0.2)  # it has left: the venue will find it when it goes on
    stack.gateway.kill()
    stack.venue.process.send_signal(signal.SIGCONT)
    await stack.gateway.start_again()
    await until(lambda: is_closed(stack))
    assert sold(await stack.venue_orders()) == BOUGHT
    await until(stack.agrees)


async def says(stack: Stack, flattening: str) -> bool:
    (status,) = (await stack.desk()).strategies
    return status.flattening == flattening


async def test_a_venue_that_dies_meanwhile_is_waited_for(stack: Stack) -> None:
    await holding(stack)
    stack.venue.kill()
    await withdraw(stack)
    await until(lambda: is_waiting(stack))
    await stack.venue.start_again()
    await stack.market.next()
    await until(lambda: is_closed(stack))
    assert sold(await stack.venue_orders()) == BOUGHT


async def is_waiting(stack: Stack) -> bool:
    (status,) = (await stack.desk()).strategies
    return bool(status.flattening)


async def test_nobody_else_may_ask_for_it(shared_stack: Stack) -> None:
    await shared_stack.deploy()
    with pytest.raises(grpc.aio.AioRpcError):
        await shared_stack.stub().Withdraw(
            pb.WithdrawRequest(token="x", term=1, strategy="s", flatten=True)
        )
    assert not await is_waiting(shared_stack)
