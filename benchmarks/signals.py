"""What a signal costs a gateway until it is acknowledged: its process's CPU, by the batch or alone.

What the same gateway takes for its market and its timers while nobody signals is taken off: on a
busy machine a run lasts longer, and that is no signal's cost. Mode observation: no order leaves.
The runner is in the benchmark's process; as many signals are in flight either way.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, loading
from benchmarks.servers import Servers, servers
from benchmarks.table import Figure

RATE = 10_000  # signals a second
_FLAT_OUT = 10**9
TOGETHER = 100
IN_FLIGHT = 200
BATCHED, ALONE, WARM_UP = 30_000, 2_000, 5_000
IDLE_BEATS, BEAT_S = 15, 0.2


@dataclass(frozen=True, slots=True)
class _Cost:
    cpu_us: float  # the gateway's, a signal
    rate: float  # signals acknowledged a second


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        batched, flat_out, alone, refused = asyncio.run(_measured(Path(name)))
    return [
        Figure(f"signals: gateway, by {TOGETHER}", batched.cpu_us, "us CPU/signal", aim="<= 60"),
        Figure(f"signals: gateway, by {TOGETHER}", batched.cpu_us, "us CPU/signal", alone.cpu_us,
               "us, one by one", aim="<= 0.2x"),
        Figure(f"signals: acknowledged, of {RATE:,} offered", batched.rate, "signals/s",
               aim=f"{RATE:,}"),
        Figure(f"signals: flat out, by {TOGETHER}", flat_out.rate, "signals/s",
               alone.rate, "signals/s, one by one", aim=">= 5x"),
        Figure("signals: refused", refused, "signals", aim="0"),
    ]  # fmt: skip


async def _measured(folder: Path) -> tuple[_Cost, _Cost, _Cost, int]:
    with servers(folder) as running:
        async with loading(running, "observation") as (_, load):
            await load.send(WARM_UP, TOGETHER, IN_FLIGHT, RATE)
            idle = await _idle(running, load)
            batched = await _cost(running, load, BATCHED, TOGETHER, idle, RATE)
            flat_out = await _cost(running, load, BATCHED, TOGETHER, idle, _FLAT_OUT)
            alone = await _cost(running, load, ALONE, 1, idle, _FLAT_OUT)
            return batched, flat_out, alone, load.refused


async def _idle(running: Servers, load: Load) -> float:
    """CPU seconds a second."""
    before, began = running.cpu_s(), time.perf_counter()
    for _ in range(IDLE_BEATS):
        await load.is_alive()
        await asyncio.sleep(BEAT_S)
    return (running.cpu_s() - before) / (time.perf_counter() - began)


async def _cost(
    running: Servers, load: Load, signals: int, together: int, idle: float, rate: int
) -> _Cost:
    before = running.cpu_s()
    took_s = await load.send(signals, together, IN_FLIGHT, rate)
    spent_s = running.cpu_s() - before - idle * took_s
    return _Cost(spent_s / signals * 1e6, signals / took_s)
