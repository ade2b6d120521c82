"""A gateway with its servers, each a process of its own, for benchmarks that load it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hiredis
import psutil

from handover import messages as m
from stratops.ports import free_ports
from stratops.servers import find_nats, find_redis
from stratops_wire.gateway_client import GatewayUnavailable
from stratops_wire.session import runner_message_to_proto

TOKEN = "the operator's"  # of servers that live for a benchmark
START_S = 30.0
USUAL_BID = 100.0
TICK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Servers:
    gateway: str
    venue: str
    redis: int  # port
    process: psutil.Process  # the gateway's

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


class Market:
    """Says its price again and again, so that it never is stale."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sequence = 0
        self._bid = USUAL_BID

    async def run(self) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            self.publish(self._bid)
            await asyncio.sleep(TICK_EVERY_S)
            await reader.read(65_536)

    def publish(self, bid: float) -> None:
        self._bid = bid
        self._sequence += 1
        tick = {"type": "tick", "symbol": "BTCUSDT", "sequence": self._sequence,
                "timestamp": time.time_ns(), "bid_price": bid, "ask_price": bid + 0.01,
                "bid_size": 1_000_000, "ask_size": 1_000_000}  # fmt: skip
        command = (b"PUBLISH", b"market:btcusdt", json.dumps(tick).encode())
        self._writer.write(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub has a tuple of one


async def say(call: Any, message: m.RunnerMessage) -> None:
    await call.write(runner_message_to_proto(message))


async def answers(ask: Callable[[], Awaitable[object]]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            await ask()
        except GatewayUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    redis, nats, venue, gateway = free_ports(4)
    redis_command = [find_redis(os.environ).program, "--port", str(redis), "--save", "",
                     "--bind", "127.0.0.1", "--dir", str(folder)]  # fmt: skip
    nats_command = [find_nats(os.environ).program, "-a", "127.0.0.1", "-p", str(nats), "-js",
                    "-sd", str(folder / "nats")]  # fmt: skip
    shared = {
        "STRATOPS_REDIS_URL": f"redis://127.0.0.1:{redis}",
        "STRATOPS_NATS_URL": f"nats://127.0.0.1:{nats}",
        "STRATOPS_SYMBOLS": "BTCUSDT", "STRATOPS_CLOCK": "wall",
    }  # fmt: skip
    venue_settings = {"STRATOPS_FILL_MODEL": "touch", "STRATOPS_FILL_SIZES": "false"}
    gateway_settings = {
        "STRATOPS_OPERATOR_TOKEN": TOKEN, "STRATOPS_VENUE": f"127.0.0.1:{venue}",
    }  # fmt: skip
    with ExitStack() as running:
        running.enter_context(_process(redis_command, {}))
        running.enter_context(_process(nats_command, {}))
        for module, port, more in (
            ("paper_venue", venue, venue_settings),
            ("risk_gateway", gateway, gateway_settings),
        ):
            name = module.removeprefix("risk_").removeprefix("paper_")
            where = {
                "STRATOPS_LISTEN": f"127.0.0.1:{port}", "STRATOPS_STATE_DIR": str(folder / name),
            }  # fmt: skip
            command = [sys.executable, "-m", module]
            last = running.enter_context(_process(command, shared | where | more))
        yield Servers(f"127.0.0.1:{gateway}", f"127.0.0.1:{venue}", redis, psutil.Process(last))


@contextmanager
def _process(command: list[str], settings: dict[str, str]) -> Iterator[int]:
    """Its id."""
    started = subprocess.Popen(
        command,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
