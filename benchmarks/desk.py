"""A real desk under a paced market: CPU per tick, memory, and the rate that it holds.

The reference for ingest is a raw hiredis + msgspec reader on the same Redis in the same run.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.table import Figure

from stratops.folder import NoDesk, running_in
from stratops.ports import free_ports
from stratops.servers import find_redis
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable

HERE = Path(__file__).parent
RATE = 50_000  # ticks a second
RATES = (50_000, 40_000, 30_000, 20_000, 10_000)
SECONDS = 10.0
SMALL_LAG_S = 0.1  # of the market; less is the scheduler's, and the sampling's, doing
HELD = 0.99  # of what was published is acknowledged, within a second of the end
START_S = 30.0

_SIGNALLING = '''
from strategy_sdk import Event, Strategy


class Probe(Strategy):
    """Buys and sells in turn, on every tenth tick."""

    def start(self) -> None:
        self.seen = 0

    def on_market_data(self, event: Event) -> None:
        self.seen += 1
        if self.seen % 10 == 0:
            order = self.buy if self.seen % 20 else self.sell
            order("BTCUSDT", "0.01")
'''
_IDLE = """
from strategy_sdk import Event, Strategy


class Probe(Strategy):
    def on_market_data(self, event: Event) -> None:
        pass
"""
_MANIFEST = """
apiVersion: stratops.dev/v1alpha1
kind: Strategy
metadata: {name: probe}
spec:
  strategy: {source: {file: probe.py}}
  version: 1.0.0
  symbols: [BTCUSDT]
  mode: observation
  risk:
    limits: {max_order_value: "1e9", max_position_size: "1e9", max_daily_loss: "1e9",
      max_drawdown: 1, min_account_balance: "0", max_orders_per_second: 1000000,
      max_orders_per_minute: 1000000}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    ticks: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one desk did under a flood of `rate` ticks a second for SECONDS."""

    rate: int
    ticks: int
    published: int
    signals: int
    restarts: int
    runner_cpu_s: float
    gateway_cpu_s: float
    runner_rss_mb: float
    raw_us: float  # CPU of the raw reader per tick
    samples: list[Sample]

    @property
    def runner_us(self) -> float:
        return self.runner_cpu_s / self.ticks * 1e6

    @property
    def held(self) -> bool:
        """Everything acknowledged, and the lag did not grow."""
        if self.restarts or self.ticks < HELD * self.published:
            return False
        return self.lag(0.9, 1.0) <= max(2 * self.lag(0.1, 0.2), self.rate * SMALL_LAG_S)

    def lag(self, first: float, last: float) -> float:
        """Ticks published, not yet acknowledged: the mean from `first` to `last` of the run."""
        began = self.samples[0].at
        picked = [s for s in self.samples if first <= (s.at - began) / SECONDS <= last]
        published = [(s.at - began) * self.rate for s in picked]
        ticks = [s.ticks - self.samples[0].ticks for s in picked]
        return (sum(published) - sum(ticks)) / max(1, len(picked))


def figures() -> list[Figure]:
    idle = asyncio.run(measure(_IDLE, RATE))
    tried = _highest_held()
    gateway_us = (
        (tried.gateway_cpu_s - idle.gateway_cpu_s * tried.published / idle.published)
        / max(1, tried.signals)
        * 1e6
    )
    return [
        Figure(f"ingest: runner, no-op strategy, {RATE:,} ticks/s", idle.runner_us, "us CPU/tick",
               idle.raw_us, "us, raw hiredis + msgspec", aim="<= 1.5x"),
        Figure("runner: memory", idle.runner_rss_mb, "MB RSS", aim="<= 45"),
        Figure(f"end to end: held for {SECONDS:.0f} s, a signal per 10 ticks",
               tried.rate if tried.held else 0, "ticks/s", aim="50,000"),
        Figure("end to end: lag, last tenth", tried.lag(0.9, 1.0), "ticks",
               max(1.0, tried.lag(0.1, 0.2)), "in the second tenth", aim="<= 2x"),
        Figure("end to end: runner", tried.runner_us, "us CPU/tick"),
        Figure("end to end: gateway, beyond reading the market", gateway_us, "us CPU/signal",
               aim="<= 60"),
    ]  # fmt: skip


def _highest_held() -> Run:
    """The run at the highest of RATES that was held, else the one at the lowest."""
    for rate in RATES:
        run = asyncio.run(measure(_SIGNALLING, rate))
        if run.held:
            break
    return run


async def measure(strategy: str, rate: int) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "probe.py").write_text(strategy)
        (folder / "probe.yaml").write_text(_MANIFEST)
        with _redis(folder) as port, _raw_reader(port) as raw:
            async with _desk(folder, port) as gateway:
                return await _flooded(folder, port, gateway, raw, rate)


async def _flooded(
    folder: Path, port: int, gateway: GatewayClient, raw: subprocess.Popen[str], rate: int
) -> Run:
    runner, gate = _process("strategy_runner", folder), _process("risk_gateway", folder)
    before = _cpu_s(runner), _cpu_s(gate)
    flood = subprocess.Popen(
        [sys.executable, HERE / "flood.py", f"redis://127.0.0.1:{port}", str(rate), str(SECONDS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    samples = await _watch(gateway, flood)
    restarts = 0 if runner.is_running() else 1
    published = json.loads(flood.communicate()[0])["ticks"]
    status = (await gateway.get_desk()).strategies[0]
    runner_cpu_s = _cpu_s(runner) - before[0] if not restarts else 0.0
    raw.send_signal(signal.SIGTERM)
    counted = json.loads(raw.communicate()[0])
    return Run(
        rate=rate,
        ticks=status.ticks,
        published=published,
        signals=status.signals,
        restarts=restarts,
        runner_cpu_s=runner_cpu_s,
        gateway_cpu_s=_cpu_s(gate) - before[1],
        runner_rss_mb=0.0 if restarts else runner.memory_info().rss / 2**20,
        raw_us=counted["cpu_s"] / counted["ticks"] * 1e6,
        samples=samples,
    )


async def _watch(gateway: GatewayClient, flood: subprocess.Popen[str]) -> list[Sample]:
    """Until the flood is over and what it brought is acknowledged, or no more is for a second."""
    samples: list[Sample] = []
    moved = time.monotonic()
    while flood.poll() is None or time.monotonic() - moved < 1:
        status = (await gateway.get_desk()).strategies[0]
        if status.ticks and (not samples or status.ticks > samples[-1].ticks):
            moved = time.monotonic()
            samples.append(Sample(moved, status.ticks))
        await asyncio.sleep(0.1)
    return samples


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _process(what: str, folder: Path) -> psutil.Process:
    """The desk's process of that module."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        environ = process.info["environ"] or {}
        if what in " ".join(process.info["cmdline"] or ()) and any(
            str(folder) in value for value in environ.values()
        ):
            return process
    raise LookupError(f"no process {what}")


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [find_redis({"PATH": "/usr/bin:/bin"}).program, "--port", str(port), "--bind", "127.0.0.1",
         "--save", "", "--appendonly", "no", "--dir", str(folder),
         "--client-output-buffer-limit", "pubsub 256mb 64mb 60"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        server.kill()
        server.wait()


@contextmanager
def _raw_reader(port: int) -> Iterator[subprocess.Popen[str]]:
    _until(lambda: _listens(port))
    reader = subprocess.Popen(
        [sys.executable, HERE / "raw_reader.py", str(port), "market:btcusdt"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    reader.stdout.readline()  # READY
    try:
        yield reader
    finally:
        reader.kill()
        reader.wait()


@asynccontextmanager
async def _desk(folder: Path, port: int) -> AsyncIterator[GatewayClient]:
    with (folder / "out").open("wb") as out:
        up = subprocess.Popen(
            [sys.executable, "-m", "stratops", "up", "--state", folder / "desk", "-f",
             folder / "probe.yaml", "--feed", f"redis://127.0.0.1:{port}", "-o", "json"],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        async with await _armed(folder) as gateway:
            yield gateway
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()


async def _armed(folder: Path) -> GatewayClient:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            running = running_in(folder / "desk")
            async with GatewayClient(running.gateway, running.operator_token) as gateway:
                if any(each.role == "armed" for each in (await gateway.get_desk()).strategies):
                    return GatewayClient(running.gateway, running.operator_token)
        except (NoDesk, GatewayUnavailable):
            pass
        await asyncio.sleep(0.2)
    raise TimeoutError(f"the desk is not armed after {START_S} s: {(folder / 'out').read_text()}")


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError(fact)
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
