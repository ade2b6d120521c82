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
    async def until(fact: Callable[[], object], within_s: float = 20) -> None:
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


class Proxy:
    """A TCP relay that can go dark: connections stay open, and nothing passes any more."""

    def __init__(self, port: int) -> None:
        self.dark = False
        self.url = ""
        self._to = port
        self._relays: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                while self.dark:
                    await asyncio.sleep(0.05)
                target.write(data)
        except ConnectionError:
            pass  # the other side hung up
        finally:
            target.close()

    async def stop(self) -> None:
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)


@pytest.fixture
async def proxy(redis_server: Any) -> AsyncIterator[Proxy]:
    relay = Proxy(redis_server.port)
    relay.url = await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
def quick() -> Timing:
    return Timing(ping_s=0.2, pong_s=0.3, heartbeat_s=0.5)
