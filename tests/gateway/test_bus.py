"""Who uses the bus, on a real NATS server."""

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client

from risk_gateway.bus import Bus

pytestmark = pytest.mark.servers


async def test_who_is_served_ends_though_its_client_swallowed_the_cancellation(
    nats_server: Any,
) -> None:
    bus, using = Bus(nats_server.url), asyncio.Event()

    async def use(_: Client) -> None:
        using.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None

    running, serving = (asyncio.create_task(work) for work in (bus.run(), bus.serve("x", use)))
    async with asyncio.timeout(60):
        await using.wait()
    serving.cancel()
    done, _ = await asyncio.wait({serving}, timeout=10)
    running.cancel()
    await asyncio.wait({running})
    assert done
    assert serving.cancelled()
