"""How soon nothing leaves any more: from a halt, or a breach, to the first refusal that is told.

A gateway with its servers takes up to 1,000 signals a second over a runner's stream, as many as it
can; each becomes an order and a fill. A trial halts it (by RPC, by the file) or lets the price fall
through the daily loss, takes the time until the runner reads the first verdict that refuses, and
counts what was accepted in batches that were sent after `Halt` was answered: none may be.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc.aio
from benchmarks.servers import START_S, TOKEN, USUAL_BID, Market, answers, say, servers
from benchmarks.table import Figure

from handover import messages as m
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.gateway_client import GatewayClient
from stratops_wire.session import gateway_message_from_proto
from trading.reasons import Reason
from trading.signals import Cause, Signal

TRIALS = 100  # of each kind
RATE = 1_000  # signals a second
EVERY_S = 0.01  # a batch, and a tick
MOST_IN_FLIGHT = 20  # batches: a machine that cannot keep up is at its full load all the same
AIM_MS = "<= 250"
RUNNER = "the runner's"
CALM, CRASH = USUAL_BID, 50.0
HELD = 1_000  # bought first, so that a crash is a breach
_CONTENT = {
    "symbols": ["BTCUSDT"], "mode": "simulation",
    "capital": {"amount": "100000000", "currency": "USDT"},
    "limits": {
        "max_order_value": "1000000", "max_position_size": "1000000", "max_daily_loss": "20000",
        "max_drawdown": "1", "min_account_balance": "0", "max_orders_per_second": "1000000",
        "max_orders_per_minute": "1000000",
    },
}  # fmt: skip


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_measured(Path(name)))


async def _measured(folder: Path) -> list[Figure]:
    async with _desk(folder) as (gateway, load):
        trials = {
            "halt by RPC": _HaltByCall(gateway),
            "halt by file": _HaltByFile(folder / "gateway" / "halt"),
            "breach of max_daily_loss": _Breach(load),
        }
        figures = []
        for name, trial in trials.items():
            took = sorted([await _trial(load, trial) * 1e3 for _ in range(TRIALS)])
            p99, middle = took[int(0.99 * (len(took) - 1))], took[len(took) // 2]
            title = f"kill switch: {name}, p99 of {TRIALS} at {load.held_rate:.0f} signals/s"
            figures.append(Figure(title, p99, f"ms (p50 {middle:.1f}, max {took[-1]:.1f})",
                                  aim=AIM_MS))  # fmt: skip
        late = Figure("kill switch: accepted after Halt was answered", load.late, "signals",
                      aim="0")  # fmt: skip
        return [*figures, late]


async def _trial(load: "_Load", trial: "_Trial") -> float:
    """Seconds from the switch to the first refusal."""
    await load.until(None)
    load.first_refusal.clear()
    load.awaited = trial.reason
    began = time.perf_counter()
    await trial.switch()
    switched = load.number if trial.is_answered else None
    await asyncio.wait_for(load.first_refusal.wait(), START_S)
    took = load.refused_at - began
    await asyncio.sleep(5 * EVERY_S)  # for what was sent after the answer
    load.count_late(switched)
    await trial.take_back()
    return took


class _Trial:
    reason = Reason.HALTED
    is_answered = False

    async def switch(self) -> None: ...

    async def take_back(self) -> None: ...


class _HaltByCall(_Trial):
    is_answered = True

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway

    async def switch(self) -> None:
        await answers(lambda: self._gateway.halt("drill"))

    async def take_back(self) -> None:
        await answers(lambda: self._gateway.resume("drill is over"))


class _HaltByFile(_Trial):
    def __init__(self, path: Path) -> None:
        self._path = path

    async def switch(self) -> None:
        self._path.touch()

    async def take_back(self) -> None:
        self._path.unlink()


class _Breach(_Trial):
    reason = Reason.MAX_DAILY_LOSS

    def __init__(self, load: "_Load") -> None:
        self._load = load

    async def switch(self) -> None:
        self._load.market.publish(CRASH)

    async def take_back(self) -> None:
        self._load.market.publish(CALM)


class _Load:
    """A runner that decides as fast as the gateway takes it, up to RATE."""

    def __init__(self, address: str, market: Market) -> None:
        self.market = market
        self.number = 0  # of the last batch
        self.late = 0
        self.awaited = Reason.HALTED
        self.first_refusal = asyncio.Event()
        self.refused_at = 0.0
        self._armed, self._news = asyncio.Event(), asyncio.Event()
        self._address = address
        self._accepted: dict[int, int] = {}  # by batch
        self._acknowledged_up_to = self._decided = 0
        self._last: Reason | None = Reason.HALTED
        self._epoch = 0
        self._began = 0.0

    @property
    def held_rate(self) -> float:
        """Signals that were decided a second, whichever way."""
        return self._decided / (time.perf_counter() - self._began)

    async def until(self, reason: Reason | None) -> None:
        """The last verdict is that one."""
        async with asyncio.timeout(START_S):
            while self._last is not reason:
                await self._news.wait()

    def count_late(self, after: int | None) -> None:
        if after is not None:
            self.late += sum(n for batch, n in self._accepted.items() if batch > after)
        self._accepted = {0: sum(self._accepted.values())}

    async def run(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            call: Any = RiskGatewayStub(channel).Trade()
            await say(call, m.Hello("s", "r1", "a", RUNNER, subscription=1))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(call))
                tasks.create_task(self._decide(call))

    async def _decide(self, call: Any) -> None:
        await self._armed.wait()
        await self._batch(call, Decimal(HELD), 1)
        self._began = time.perf_counter()
        while True:
            began = time.perf_counter()
            await self._batch(call, Decimal("0.1"), int(RATE * EVERY_S))
            while self.number - self._acknowledged_up_to > MOST_IN_FLIGHT:
                await self._news.wait()
            await asyncio.sleep(max(0.0, began + EVERY_S - time.perf_counter()))

    async def _batch(self, call: Any, quantity: Decimal, signals: int) -> None:
        self.number += 1
        now = time.time_ns()
        cause = Cause("BTCUSDT", "tick", self.number, now)
        made = [
            Signal(f"{self.number}-{n}", "BTCUSDT", cause, now, quantity=quantity)
            for n in range(signals)
        ]
        await say(call, m.Batch(self._epoch, self.number, m.Mark(self.number), tuple(made)))

    async def _listen(self, call: Any) -> None:
        async for message in call:
            told = gateway_message_from_proto(message)
            if told == m.Welcome(0, 0):
                await say(call, m.Subscribed(1))
            elif isinstance(told, m.Arm):
                self._epoch = told.epoch
                self._armed.set()
            elif isinstance(told, m.Ack):
                self._acknowledged(told)

    def _acknowledged(self, ack: m.Ack) -> None:
        reasons = Counter(verdict.reason for verdict in ack.verdicts)
        self._accepted[ack.batch] = reasons[None]
        self._acknowledged_up_to = ack.batch
        self._decided += len(ack.verdicts)
        if ack.verdicts:
            self._last = ack.verdicts[-1].reason
            self._news.set()
            self._news = asyncio.Event()
        if reasons[self.awaited] and not self.first_refusal.is_set():
            self.refused_at = time.perf_counter()
            self.first_refusal.set()


@asynccontextmanager
async def _desk(folder: Path) -> AsyncIterator[tuple[GatewayClient, _Load]]:
    with servers(folder) as running:
        async with GatewayClient(running.gateway, TOKEN) as client, asyncio.TaskGroup() as tasks:
            await answers(lambda: client.begin_term("benchmark"))
            await client.deploy("s", "r1", json.dumps(_CONTENT), RUNNER)
            market = Market(running.redis)
            load = _Load(running.gateway, market)
            working = [tasks.create_task(market.run()), tasks.create_task(load.run())]
            yield client, load
            for task in working:
                task.cancel()
