"""A feed that somebody else publishes: no replay, no heartbeat, decisions in the wall's time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]


def tick(sequence: int) -> str:
    price = 60_000 + 50 * (sequence // 40 % 2)  # up and down every 40 ticks
    size = {"bid_size": 5.0, "ask_size": 5.0}
    prices = {"bid_price": price - 0.5, "ask_price": price + 0.5, "last_price": float(price)}
    stamp = {"timestamp": time.time_ns(), "sequence": sequence}
    return json.dumps({"symbol": "BTCUSDT", "type": "tick", **stamp, **prices, **size})


async def publish(url: str, done: asyncio.Event) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        for sequence in count(1):
            await client.publish("prices.btcusdt", tick(sequence))
            await asyncio.sleep(0.01)
            if done.is_set():
                return


@pytest.fixture
async def feed(redis_server: Any) -> AsyncIterator[str]:
    """The address of a redis that somebody publishes to."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish(redis_server.url, done))
        yield redis_server.url
        done.set()


async def test_a_desk_trades_on_a_feed_of_others(
    start_up: StartUp, tmp_path: Path, feed: str
) -> None:
    path = tmp_path / "probe.yaml"
    channels = '  feed: {redis: {url: "redis://feed:6379", channels: ["prices.{symbol}"]}}\n'
    path.write_text(manifest("probe", more=channels))
    up = start_up("-f", str(path), "--feed", feed, "-o", "json")
    await up.until(lambda desk: strategy(desk, "probe").fills > 5 and desk.feed.age_ns < 2e9)
    up.stop()
    report = up.report()
    assert report["ledger_equals_venue"], report["differences"]
    assert report["strategies"]["probe"]["ticks_expected"] is None


async def test_a_feed_that_is_not_there_starts_nothing(start_up: StartUp) -> None:
    up = start_up("--feed", "redis://127.0.0.1:1")
    assert up.process.wait(120) == 1
    assert "--feed: no Redis at 127.0.0.1:1: " in up.err
