"""A runner's end of a stream, for benchmarks: so many signals, by the batch, so many in flight."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import grpc.aio
from benchmarks.servers import START_S, TOKEN, Market, Servers, answers, say

from handover import messages as m
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.gateway_client import GatewayClient
from stratops_wire.session import gateway_message_from_proto
from trading.ids import signal_id
from trading.signals import Cause, Side, Signal

RUNNER = "the runner's"
_SIDES = (Side.BUY, Side.SELL)
_QUANTITY = Decimal("0.1")


def content(mode: str) -> str:
    limits = {
        "max_order_value": "1e9", "max_position_size": "1e9", "max_daily_loss": "1e9",
        "max_drawdown": "1", "min_account_balance": "0", "max_orders_per_second": "1000000",
        "max_orders_per_minute": "1000000",
    }  # fmt: skip
    capital = {"amount": "100000000", "currency": "USDT"}
    return json.dumps({"symbols": ["BTCUSDT"], "mode": mode, "capital": capital, "limits": limits})


class Load:
    """Buys and sells in turn."""

    def __init__(self, call: Any) -> None:
        self.accepted = self.refused = 0
        self._call = call
        self._number = self._acknowledged = 0
        self._epoch = 0
        self._armed, self._news = asyncio.Event(), asyncio.Event()
        self._names = itertools.count()

    async def send(self, signals: int, together: int, in_flight: int, rate: int) -> float:
        """Returns the seconds until the last is acknowledged."""
        began = time.perf_counter()
        most = max(1, in_flight // together)
        for sent in range(0, signals, together):
            await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
            await self._until(self._number - most + 1)
            await self._batch(together)
        await self._until(self._number)
        return time.perf_counter() - began

    async def is_alive(self) -> None:
        """Or it is given up as silent."""
        await say(self._call, m.Alive(m.Counters()))

    async def armed(self) -> None:
        await asyncio.wait_for(self._armed.wait(), START_S)

    async def listen(self) -> None:
        async for message in self._call:
            told = gateway_message_from_proto(message)
            if told == m.Welcome(0, 0):
                await say(self._call, m.Subscribed(1))
            elif isinstance(told, m.Arm):
                self._epoch = told.epoch
                self._armed.set()
            elif isinstance(told, m.Ack):
                self._acknowledge(told)

    def _acknowledge(self, ack: m.Ack) -> None:
        self._acknowledged = ack.batch
        accepted = sum(verdict.accepted for verdict in ack.verdicts)
        self.accepted += accepted
        self.refused += len(ack.verdicts) - accepted
        self._news.set()

    async def _until(self, batch: int) -> None:
        """Acknowledged."""
        while self._acknowledged < batch:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), START_S)

    async def _batch(self, signals: int) -> None:
        self._number += 1
        now = time.time_ns()
        cause = Cause("BTCUSDT", "tick", self._number, now)
        made = tuple(
            Signal(signal_id("s", "load", cause.stream, cause.sequence, number), "BTCUSDT", cause,
                   now, side=_SIDES[number % 2], quantity=_QUANTITY)
            for number in itertools.islice(self._names, signals)
        )  # fmt: skip
        await say(self._call, m.Batch(self._epoch, self._number, m.Mark(self._number), made))


@asynccontextmanager
async def loading(running: Servers, mode: str) -> AsyncIterator[tuple[GatewayClient, Load]]:
    """A client of that gateway, and a runner that may trade."""
    async with (
        GatewayClient(running.gateway, TOKEN) as client,
        grpc.aio.insecure_channel(running.gateway) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        await answers(lambda: client.begin_term("benchmark"))
        await client.deploy("s", "r1", content(mode), RUNNER)
        call: Any = RiskGatewayStub(channel).Trade()
        await say(call, m.Hello("s", "r1", "a", RUNNER, subscription=1))
        load = Load(call)
        working = [
            tasks.create_task(Market(running.redis).run()),
            tasks.create_task(load.listen()),
        ]
        await load.armed()
        yield client, load
        for task in working:
            task.cancel()
