"""Junk on the market's own channels: counted by reason, nothing stops, every good tick arrives."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import redis.asyncio

from up_driver import Up

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
MESSAGES = 100_000
TICK = {
    "symbol": "BTCUSDT", "type": "tick", "session": "test", "timestamp": 1723161254000000000,
    "sequence": 1, "bid_price": 60000.0, "bid_size": 1.0, "ask_price": 60001.0, "ask_size": 1.0,
    "last_price": 60000.5,
}  # fmt: skip
WRONG: tuple[dict[str, object], ...] = (
    {"bid_price": 70000.0},
    {"sequence": -1},
    {"sequence": 2**64},
    {"bid_price": "sixty"},
    {"ask_price": None},
    {"symbol": "DOGEUSDT"},
    {"timestamp": "yesterday"},
    {"type": "gossip"},
    {"bid_price": float("nan")},
    {"ask_size": float("inf")},
    {"nested": 0},  # becomes a thousand levels of lists below
)


def junk(seed: int) -> Iterator[bytes]:
    choose = random.Random(seed)
    deep = "[" * 1000 + "]" * 1000
    for _ in range(MESSAGES):
        text = json.dumps(TICK | choose.choice(WRONG)).replace('"nested": 0', f'"nested": {deep}')
        yield choose.choice((text, text[: len(text) // 2], "", "\x00\xff", deep)).encode()


def batched(messages: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(islice(messages, size)):
        yield batch


async def publish_junk(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        for messages in batched(junk(seed=1), 100):
            async with client.pipeline(transaction=False) as pipeline:
                for message in messages:
                    pipeline.publish("market:btcusdt", message)
                await pipeline.execute()
        await client.publish("market:btcusdt", b"x" * 10_000_000)


async def test_good_ticks_between_junk_all_arrive(start_up: StartUp) -> None:
    up = start_up("--speed", "10", "-o", "json")
    await up.until(lambda desk: desk.fills > 0)
    await asyncio.wait_for(publish_junk(up.running().redis), 240)
    report = up.report(deadline_s=300)
    dropped = report["feed"]["dropped_by_gateway"]
    assert {"malformed", "crossed", "too_large"} <= set(dropped)
    assert sum(dropped.values()) > MESSAGES / 2
    assert report["restarts"] == 0
    for one in report["strategies"].values():
        assert one["ticks"] == one["ticks_expected"]
    assert report["ledger_equals_venue"], report["differences"]
