"""A gateway among its servers, each a real process; clients for its runners and its operator."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import redis

from desk_driver import HASH, OPERATOR, TOKEN, content, tick
from handover import messages as m
from risk_gateway.bus import FILLS_STREAM
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.session import gateway_message_from_proto, runner_message_to_proto
from trading.signals import Signal, Verdict

READY_S = 90.0
_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
)


class Process:
    """`start` it again after `kill`: address and folder stay."""

    def __init__(
        self, module: str, folder: Path, port: int, ca: bytes = b"", **settings: str
    ) -> None:
        """With a CA it is expected to prove who it is."""
        self.address = f"127.0.0.1:{port}"
        self.ca = ca
        self.module = module
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        self.environment = {
            "STRATOPS_LISTEN": self.address,
            "STRATOPS_STATE_DIR": str(folder),
            "STRATOPS_SYMBOLS": os.environ.get("STRATOPS_SYMBOLS", "BTCUSDT,ETHUSDT"),
            "STRATOPS_CLOCK": "market",
            **{f"STRATOPS_{name}": value for name, value in settings.items()},
        }
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env={**os.environ, **self.environment},
                stderr=log,
            )
        self.until_ready()

    def until_ready(self) -> None:
        with self._channel() as channel:
            grpc.channel_ready_future(channel).result(READY_S)

    def _channel(self) -> grpc.Channel:
        if not self.ca:
            return grpc.insecure_channel(self.address, options=_CHANNEL)
        trust = grpc.ssl_channel_credentials(self.ca)
        return grpc.secure_channel(self.address, trust, options=_CHANNEL)

    def channel(self) -> grpc.aio.Channel:
        if not self.ca:
            return grpc.aio.insecure_channel(self.address, options=_CHANNEL)
        trust = grpc.ssl_channel_credentials(self.ca)
        return grpc.aio.secure_channel(self.address, trust, options=_CHANNEL)

    async def start_again(self) -> None:
        """The loop goes on meanwhile: its runners keep saying that they live."""
        await asyncio.to_thread(self.start)

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


async def has_fills_stream(client: Any) -> bool:
    """Of NATS: what is published before there is one is lost."""
    streams = await client.jetstream().streams_info()
    return any(each.config.name == FILLS_STREAM for each in streams)


async def until(look: Callable[[], Awaitable[Any]], within_s: float = 60) -> Any:
    """What `look` answers once it is true; fails at the deadline."""
    deadline = time.monotonic() + within_s
    while not (found := await look()):
        assert time.monotonic() < deadline, f"still {found!r} after {within_s} s"
        await asyncio.sleep(0.02)
    return found


class Market:
    """Publishes ticks; each has reached every subscriber that there has to be."""

    def __init__(self, port: int, subscribers: int = 2) -> None:
        self._redis = redis.Redis(port=port)
        self.subscribers = subscribers
        self.sequence = 0

    async def next(self, bid: float = 100.0) -> int:
        self.sequence += 1
        channel, payload = "market:btcusdt", tick(self.sequence, bid)

        async def arrives() -> bool:
            return int(self._redis.publish(channel, payload)) >= self.subscribers

        await until(arrives)
        self._redis.ping()  # Redis answers whoever publishes first, and whoever subscribed after
        return self.sequence

    def close(self) -> None:
        self._redis.close()


class RunnerClient:
    """A runner's session, over a real stream."""

    def __init__(
        self, stub: Any, instance: str, revision: str = "r1", token: str = TOKEN, name: str = "s"
    ) -> None:
        self._stub = stub
        self.instance, self.revision, self.token, self.name = instance, revision, token, name
        self.told: list[m.GatewayMessage] = []
        self.number = self.count = self.epoch = 0

    async def connect(self, *, waits: bool = False, **hello: Any) -> None:
        """`waits`: for a gateway that is not there yet."""
        self._call = self._stub.Trade(wait_for_ready=waits)
        self._one_write = asyncio.Lock()  # gRPC takes one at a time
        said = m.Hello(self.name, self.revision, self.instance, self.token, subscription=1, **hello)
        await self.say(said)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]

    async def say(self, message: Any) -> None:
        async with self._one_write:
            await self._call.write(runner_message_to_proto(message))

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self.told.append(gateway_message_from_proto(message))
                if self.told[-1] == m.Welcome(0, 0):  # who begins anew says that it is subscribed
                    await self.say(m.Subscribed(1))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # `status` has it

    async def _beat(self) -> None:
        while not self._call.done():
            await asyncio.sleep(0.3)
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self.say(m.Alive())

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """How the gateway ended the session."""
        return await self._call.code(), await self._call.details()

    async def trailing(self) -> dict[str, str]:
        """Metadata of the end."""
        return dict(await self._call.trailing_metadata())

    @property
    def is_over(self) -> bool:
        """Whether its session has ended."""
        return bool(self._call.done())

    async def armed(self, epoch_above: int = 0) -> int:
        """The epoch, once there is one. It says at once that it knows, as a runner does: who is
        silent about that for two seconds is taken for lost."""

        async def epoch() -> int:
            arms = [each.epoch for each in self.told if isinstance(each, m.Arm)]
            return arms[-1] if arms and arms[-1] > epoch_above else 0

        self.epoch = int(await until(epoch))
        self.number += 1
        await self.say(m.Batch(self.epoch, self.number, m.Mark(self.count, session="run-1")))
        return self.epoch

    async def batch(self, *signals: Signal) -> None:
        self.number += 1
        self.count += 1
        mark = m.Mark(self.count, sequences={"BTCUSDT/tick": self.count}, session="run-1")
        await self.say(m.Batch(self.epoch, self.number, mark, signals))

    async def decide(self, *signals: Signal) -> tuple[Verdict, ...]:
        await self.batch(*signals)

        async def verdicts() -> Any:
            acks = [each for each in self.told if isinstance(each, m.Ack)]
            return acks and acks[-1].batch == self.number and acks[-1]

        found: m.Ack = await until(verdicts)
        return found.verdicts

    @property
    def outcomes(self) -> list[m.Outcome]:
        return [o for each in self.told if isinstance(each, m.Outcomes) for o in each.outcomes]

    async def outcome(self, number: int) -> m.Outcome:
        async def found() -> Any:
            return next((each for each in self.outcomes if each.number == number), None)

        wanted: m.Outcome = await until(found)
        return wanted

    def leave(self) -> None:
        self._call.cancel()
        for task in self._tasks:
            task.cancel()


class Stack:
    """Gateway and venue beside the servers that they need."""

    def __init__(
        self,
        folder: Path,
        ports: Callable[[], int],
        redis_: Any,
        nats: Any,
        ca: bytes = b"",
        **settings: str,
    ) -> None:
        """`settings` and `ca` are the gateway's."""
        urls = {"REDIS_URL": redis_.url, "NATS_URL": nats.url}
        self.redis, self.nats = redis_, nats
        self.venue = Process("paper_venue", folder / "venue", ports(), FILL_MODEL="touch", **urls)
        self.gateway = Process(
            "risk_gateway",
            folder / "gateway",
            ports(),
            ca,
            **self.venue_settings(),
            **urls,
            **(settings or {"OPERATOR_TOKEN": OPERATOR}),
        )
        self.market = Market(redis_.port)
        self._channels: list[grpc.aio.Channel] = []

    def venue_settings(self) -> dict[str, str]:
        """Of the gateway."""
        return {"VENUE": self.venue.address}

    def operator(self) -> str:
        """A token of the operator's."""
        return OPERATOR

    @property
    def journal(self) -> Path:
        return self.gateway.folder / "journal.db"

    def stub(self) -> Any:
        """A new channel each time: one to a gateway that was killed remembers that it was."""
        self._channels.append(self.gateway.channel())
        return RiskGatewayStub(self._channels[-1])

    def venue_stub(self) -> Any:
        self._channels.append(self.venue.channel())
        return OrderExecutionStub(self._channels[-1])

    def runner(self, instance: str = "a", **more: Any) -> RunnerClient:
        return RunnerClient(self.stub(), instance, **more)

    async def begin_term(self) -> int:
        request = pb.BeginTermRequest(token=self.operator(), holder="test")
        return int((await self.stub().BeginTerm(request)).term)

    async def deploy(self, text: str = "", revision: str = "r1", **who: Any) -> None:
        """In a new term. Without saying who may run it: whoever has the usual token."""
        request = pb.DeployRequest(
            token=self.operator(),
            term=await self.begin_term(),
            strategy="s",
            revision=revision,
            content=text or content(),
            **(who or {"runner_token_sha256": HASH}),
        )
        await self.stub().Deploy(request)

    async def armed(self, instance: str = "a", epoch_above: int = 0) -> RunnerClient:
        runner = self.runner(instance)
        await runner.connect()
        await runner.armed(epoch_above)
        return runner

    async def desk(self, *, reconcile: bool = False) -> pb.Desk:
        request = pb.GetDeskRequest(token=self.operator(), reconcile=reconcile)
        answer: pb.Desk = await self.stub().GetDesk(request, timeout=60)
        return answer

    async def venue_orders(self) -> dict[str, venue_pb.OrderResponse]:
        page = await self.venue_stub().ListOrders(venue_pb.ListOrdersRequest())
        return {order.client_order_id: order for order in page.orders}

    async def agrees(self) -> bool:
        """Whether ledger and venue agree now, and nothing is at work."""
        desk = await self.desk(reconcile=True)
        return desk.reconciliation.equal and desk.working == 0

    async def hang_up(self) -> None:
        while self._channels:
            await self._channels.pop().close()

    def close(self) -> None:
        self.market.close()
        for process in (self.gateway, self.venue):
            if process.process.poll() is None:
                process.kill()
