"""Consumers and feeds as they are in a desk: real subscriptions, real processes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dark_relay import Relay
from market_data import Intake, Subscription, Timing
from strategy_sdk.market import Event


class Reader:
    """A consumer of BTCUSDT and ETHUSDT that processes what it takes at once."""

    def __init__(self, url: str, name: str, **options: Any) -> None:
        self.events: list[Event] = []
        self.lost: list[str] = []
        self.subscribed: list[int] = []
        self.intake = Intake({"BTCUSDT", "ETHUSDT"})
        self.hang_s = 0.0  # per message
        self.holds = False  # has processed nothing, by its own word
        self.subscription = Subscription(
            url,
            options.pop("channels", ["market:btcusdt", "market:ethusdt"]),
            on_payload=self._take,
            on_subscribed=self.subscribed.append,
            on_lost=self.lost.append,
            consumer=name,
            progress=lambda: {} if self.holds else self.intake.sequences,
            dropped=self.intake.dropped,
            **options,
        )
        self.task = asyncio.create_task(self.subscription.run())

    def _take(self, payload: bytes) -> None:
        event = self.intake.accept(payload)
        if self.hang_s:
            time.sleep(self.hang_s)
        if event is not None:
            self.events.append(event)
            self.subscription.note_progress()

    def sequences(self, symbol: str) -> list[int]:
        return [event.sequence for event in self.events if event.symbol == symbol]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


Until = Callable[..., Awaitable[None]]


@pytest.fixture
def until() -> Until:
    async def until(fact: Callable[[], object], within_s: float = 120) -> None:
        async with asyncio.timeout(within_s):
            while not fact():
                await asyncio.sleep(0.01)

    return until


@pytest.fixture
async def reader(redis_server: Any, until: Until) -> AsyncIterator[Callable[..., Any]]:
    """Starts a reader by name, subscribed when it is answered."""
    started: list[Reader] = []

    async def start(name: str = "", url: str = redis_server.url, **options: Any) -> Reader:
        started.append(Reader(url, name, **options))
        await until(lambda: started[-1].subscription.connected)
        return started[-1]

    yield start
    for one in started:
        await one.stop()


class Feed:
    """A feed process over one desk folder; may be killed and started again."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        self.report_path = folder / "report.json"
        self._environment = {
            **os.environ,
            "STRATOPS_REDIS_URL": url,
            "STRATOPS_STATE_DIR": str(folder),
            "STRATOPS_REPORT": str(self.report_path),
            "STRATOPS_SPEED": "max",
            **{f"STRATOPS_{name.upper()}": value for name, value in settings.items()},
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "market_feed"], env=self._environment
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def report(self) -> Any:
        return json.loads(self.report_path.read_text()) if self.report_path.exists() else {}


@pytest.fixture
def feed(redis_server: Any, tmp_path: Path) -> Iterator[Callable[..., Feed]]:
    started: list[Feed] = []

    def start(**settings: str) -> Feed:
        started.append(Feed(redis_server.url, tmp_path, **settings))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
async def proxy(redis_server: Any) -> AsyncIterator[Relay]:
    relay = Relay(redis_server.port)
    relay.url = f"redis://{await relay.start()}"
    yield relay
    await relay.stop()


@pytest.fixture
def quick() -> Timing:
    return Timing(ping_s=0.2, pong_s=0.3, heartbeat_s=0.5)
