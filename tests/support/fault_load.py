"""A runner's load on a desk with faults: a thousand orders a second, whatever becomes of them.

A session that ends is opened again by another instance. Each order's signal has a name of its own,
so whatever is lost on the way is lost for good, and nothing is asked for twice.
"""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import grpc
import grpc.aio

from desk_driver import buy
from fault_desk import SYMBOL, FaultDesk
from gateway_driver import RunnerClient
from handover import messages as m
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from trading.signals import Action, OrderType, Side, Signal

BATCH = 20  # of which one rests, and is cancelled with the next
BATCHES_A_SECOND = 50
MOST_WAITING = 2_000  # then it waits: what a slow machine cannot do is no fault of the desk
_ARMED_WITHIN_S = 4.0
_PATIENCE = 3  # sessions that were not armed: then another revision, as an operator would
_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))
_KEPT = (m.Arm, m.Release)
_OVER = (grpc.aio.AioRpcError, asyncio.InvalidStateError, AssertionError, TimeoutError)


class Trader(RunnerClient):
    """Says with each batch which tick it is of."""

    waiting = 0  # orders of which it has heard no refusal, fill or end

    async def trade(self, cause: int, *signals: Signal) -> None:
        self.number += 1
        self.count += 1
        mark = m.Mark(self.count, sequences={f"{SYMBOL}/tick": cause}, session="run-1")
        await self.say(m.Batch(self.epoch, self.number, mark, signals))


@dataclass(slots=True)
class Tally:
    """Since it was asked last. Orders are those that were sent, verdicts those that came."""

    orders: int = 0
    sessions: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0  # of trading


class Load:
    """`run` it as a task; it trades while `trading` is set."""

    def __init__(self, desk: FaultDesk) -> None:
        self._desk = desk
        self.tally = Tally()
        self.trading = asyncio.Event()
        self._revision = ""
        self._instances = 0
        self._names = 0
        self._resting = ""
        self.trader: Trader | None = None

    async def run(self) -> None:
        """Until cancelled."""
        self._revision = await self._desk.deploy()
        failed = 0
        while True:
            address = self._desk.runner_address
            async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
                armed = await self._session(RiskGatewayStub(channel))
            failed = 0 if armed else failed + 1
            if failed == _PATIENCE:
                self._revision, failed = await self._desk.deploy(), 0

    def hang_up(self) -> None:
        if self.trader is not None:
            self.trader.leave()

    def taken(self) -> Tally:
        """What came of it since; counting begins anew."""
        self._count(self.trader)
        taken, self.tally = self.tally, Tally()
        return taken

    async def accepted(self) -> bool:
        self._count(self.trader)
        return self.tally.accepted > 0

    async def _session(self, stub: RiskGatewayStub) -> bool:
        """Until it ends; whether it was armed."""
        self._instances += 1
        trader = Trader(stub, f"load-{self._instances}", self._revision)
        try:
            async with asyncio.timeout(_ARMED_WITHIN_S):
                await trader.connect()
                await trader.armed()
        except _OVER:
            with contextlib.suppress(AttributeError):  # it never got as far
                trader.leave()
            return False
        self.trader, self._resting = trader, ""
        self.tally.sessions += 1
        try:
            await self._trade(trader)
        except (*_OVER, asyncio.CancelledError):
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # it runs in one
                raise
        finally:
            self._count(trader)
            self.trader = None
            trader.leave()
        return True

    async def _trade(self, trader: Trader) -> None:
        due = began = time.monotonic()
        while not _is_over(trader):
            if not self.trading.is_set():
                await self._rest(trader)
                due = began = time.monotonic()
            self._count(trader)
            if trader.waiting > MOST_WAITING:
                await asyncio.sleep(0.02)
                continue
            signals = self._signals(cause := self._desk.next_tick())
            await trader.trade(cause, *signals)
            self.tally.orders += BATCH
            trader.waiting += BATCH
            due = max(due + 1 / BATCHES_A_SECOND, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.tally.seconds += time.monotonic() - began
            began = time.monotonic()

    async def _rest(self, trader: Trader) -> None:
        """Until there is trading again, or its session is over."""
        while not (self.trading.is_set() or _is_over(trader)):
            await asyncio.sleep(0.02)

    def _signals(self, cause: int) -> list[Signal]:
        resting = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
        names = [self._name() for _ in range(BATCH)]
        first = buy(names[0], cause, quantity="0.1", **resting)
        sides = (Side.BUY, Side.SELL)
        rest = [
            buy(name, cause, quantity="0.1", side=sides[n % 2]) for n, name in enumerate(names[1:])
        ]
        cancelled, self._resting = self._resting, first.id
        cancels = [buy(self._name(), cause, action=Action.CANCEL, cancels=cancelled)]
        return [*(cancels if cancelled else ()), first, *rest]

    def _name(self) -> str:
        self._names += 1
        return f"f{self._names}"

    def _count(self, trader: Trader | None) -> None:
        """The verdicts that it was told; they are forgotten."""
        if trader is None:
            return
        told, trader.told = trader.told, [each for each in trader.told if isinstance(each, _KEPT)]
        for each in told:
            if isinstance(each, m.Ack):
                for verdict in each.verdicts:
                    self.tally.accepted += verdict.accepted
                    if verdict.reason is not None:
                        self.tally.refused[str(verdict.reason)] += 1
            elif isinstance(each, m.Outcomes):
                trader.waiting -= len(each.outcomes)
            elif isinstance(each, m.Refused):
                self.tally.refused[str(each.reason)] += each.signals


def _is_over(trader: Trader) -> bool:
    released = any(isinstance(each, m.Release) for each in trader.told)
    return trader.is_over or released
