"""Fills over a real NATS server."""

import asyncio
from typing import Any

import nats
import pytest

from risk_gateway.bus import FILLS_SUBJECT, Bus
from risk_gateway.fills import FillReader

pytestmark = pytest.mark.servers
FILL = (
    b'{"fill_id": "f", "symbol": "BTCUSDT", "side": "buy", "price": "1", "quantity": "1",'
    b' "timestamp": 1}'
)


async def test_a_fill_that_breaks_the_books_is_a_fault_and_no_line_in_a_log(
    nats_server: Any,
) -> None:
    faults: asyncio.Queue[BaseException] = asyncio.Queue()
    broken = ValueError("half a booking")

    def take(*_: object) -> None:
        raise broken

    bus = Bus(nats_server.url)
    working = [bus.run(), FillReader(bus, take, faults.put_nowait).run()]
    running = asyncio.gather(*working)
    client = await nats.connect(nats_server.url)
    async with asyncio.timeout(60):
        while faults.empty():
            await client.publish(FILLS_SUBJECT, FILL)
            await asyncio.sleep(0.1)
    assert faults.get_nowait() is broken
    running.cancel()
    await asyncio.wait({running})
    await client.close()
