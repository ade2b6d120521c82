"""The subscription against a real Redis."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis.asyncio
from market_data import Heartbeat, Subscription
from market_data.progress import encode

pytestmark = pytest.mark.servers


async def until(fact: Callable[[], object], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not fact():
            await asyncio.sleep(0.01)


async def test_messages_of_the_channels_arrive_in_order(redis_server):
    got = []
    subscription = Subscription(redis_server.url, ["market:a", "market:b"], on_payload=got.append)
    task = asyncio.create_task(subscription.run())
    await until(lambda: subscription.connected)
    async with redis.asyncio.from_url(redis_server.url) as client:
        for n in range(1000):
            await client.publish(f"market:{'ab'[n % 2]}", str(n))
        await client.publish("market-heartbeat:run-1", encode(Heartbeat("run-1")))
    await until(lambda: len(got) == 1000 and subscription.session)
    assert got == [str(n).encode() for n in range(1000)]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
