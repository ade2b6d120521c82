"""An uninstall leaves no order behind that nobody would cancel: real gateway, real venue."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk_driver import buy
from gateway_driver import Stack, until
from strategy_operator.uninstall import still_to_cancel
from stratops_api.v1 import types_pb2 as types
from stratops_wire.gateway_client import GatewayClient
from trading.signals import OrderType

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
async def stack(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    started = Stack(tmp_path, port, redis_server, nats_server)
    yield started
    await started.hang_up()
    started.close()


async def resting_order(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    await runner.decide(buy("x", cause, order_type=OrderType.LIMIT, price=Decimal(50)))

    async def rests() -> bool:
        return "x-0" in await stack.venue_orders()

    await until(rests)


async def test_it_waits_until_the_venue_has_cancelled(stack: Stack) -> None:
    await resting_order(stack)
    async with GatewayClient(stack.gateway.address, stack.operator, None) as gateway:
        await gateway.begin_term("uninstaller")
        stack.venue.process.send_signal(signal.SIGSTOP)
        await gateway.withdraw("s", "uninstalled")
        (left,) = await still_to_cancel(gateway, ["s"], time.monotonic())
        assert left in ("s: just withdrawn", "s: not yet disarmed", "s: orders at work: 1")
        waiting = asyncio.ensure_future(still_to_cancel(gateway, ["s"], time.monotonic() + 60))
        stack.venue.process.send_signal(signal.SIGCONT)
        assert await waiting == []
    (order,) = (await stack.venue_orders()).values()
    assert order.state == types.ORDER_STATE_CANCELLED


async def test_a_gateway_that_is_gone_is_named(stack: Stack) -> None:
    stack.gateway.kill()
    async with GatewayClient(stack.gateway.address, stack.operator, None) as gateway:
        (left,) = await still_to_cancel(gateway, ["s"], time.monotonic())
    assert left.startswith("not known what is at work: ")
