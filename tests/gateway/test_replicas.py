"""Two gateways on one PostgreSQL: one leads, the other takes over, nothing is lost or doubled."""

import asyncio
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from desk_driver import OPERATOR, TOKEN, buy
from gateway_driver import Process, RunnerClient, Stack, until
from handover import messages as m
from held_ports import free_port
from own_time import Watch
from postgres_driver import PostgresServer
from risk_gateway.home import Postgres
from strategy_runner.desk import Gateway
from strategy_runner.session import GatewaySession
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable
from stratops_wire.leader import leader_named_by

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


class Standby(Process):
    def until_ready(self) -> None:
        """It answers no calls until it leads, but for who does."""


class Seat:
    """A runner's own session; it was given the addresses of both."""

    def __init__(self, addresses: str) -> None:
        self.welcomes: list[str] = []  # by which address each came
        self._at = ""
        self._session = GatewaySession(
            lambda: Gateway(addresses, TOKEN),
            on_open=self._greet,
            on_message=self._hear,
            on_closed=lambda _: None,
        )
        self._tasks = [asyncio.create_task(work) for work in (self._session.run(), self._beat())]

    def _greet(self, gateway: Gateway) -> None:
        self._at = gateway.address
        self._session.send(m.Hello("s", "r1", "seat", gateway.token, subscription=1))

    def _hear(self, message: m.GatewayMessage) -> None:
        if isinstance(message, m.Welcome):
            self.welcomes.append(self._at)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.3)
            self._session.send(m.Alive())

    def leave(self) -> None:
        for task in self._tasks:
            task.cancel()


class Replicas:
    """The stack, whose gateway is the first replica; and a second one."""

    def __init__(self, stack: Stack, folder: Path, url: str) -> None:
        self.stack = stack
        self.first = stack.gateway
        self.pages = free_port()
        shared = {
            name.removeprefix("STRATOPS_"): value
            for name, value in self.first.environment.items()
            if name not in ("STRATOPS_LISTEN", "STRATOPS_STATE_DIR", "STRATOPS_METRICS_PORT")
        }
        self.first.kill()
        self.first.environment["STRATOPS_POSTGRES_URL"] = url
        self.first.start()
        mine = {**shared, "POSTGRES_URL": url, "METRICS_PORT": str(self.pages)}
        self.second = Standby("risk_gateway", folder / "second", free_port(), b"", **mine)
        self.addresses = f"{self.second.address},{self.first.address}"  # the standby's first

    def the_other_leads(self) -> None:
        self.stack.gateway = self.second

    async def stands_by(self) -> bool:
        try:
            return await asyncio.to_thread(self._page, "/ready") == b"ready\n"
        except OSError:
            return False

    def _page(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.pages}{path}", timeout=60) as answer:
            return bytes(answer.read())

    async def knows_the_desk(self) -> bool:
        try:
            return bool((await self.stack.desk()).strategies)
        except grpc.aio.AioRpcError:
            return False


@pytest.fixture
async def replicas(
    tmp_path: Path,
    port: Callable[[], int],
    redis_server: Any,
    nats_server: Any,
    postgres_server: PostgresServer,
) -> Any:
    stack = Stack(tmp_path, port, redis_server, nats_server)
    found = Replicas(stack, tmp_path, postgres_server.database().url)
    yield found
    await stack.hang_up()
    for gateway in (found.first, found.second):
        if gateway.process.poll() is None:
            gateway.kill()
    stack.close()


async def trades(stack: Stack, name: str, instance: str) -> None:
    await _buys(await stack.armed(instance), stack, name)


async def _buys(runner: RunnerClient, stack: Stack, name: str) -> None:
    cause = await stack.market.next()
    (verdict,) = await runner.decide(buy(name, cause))
    assert verdict.accepted, verdict
    await stack.market.next()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "end"])
async def test_the_other_goes_on_where_the_first_was(
    replicas: Replicas, number: signal.Signals
) -> None:
    stack = replicas.stack
    await stack.deploy()
    await trades(stack, "x", "a")
    await until(replicas.stands_by)
    began = time.monotonic()
    replicas.first.kill(number)
    await stack.hang_up()
    replicas.the_other_leads()

    await until(replicas.knows_the_desk)
    sys.stderr.write(f"taken over after {number.name}: {time.monotonic() - began:.2f} s\n")
    await trades(stack, "y", "b")
    await until(stack.agrees)
    assert sorted(await stack.venue_orders()) == ["x-0", "y-0"]


async def test_a_standby_says_who_leads_and_nothing_else(replicas: Replicas) -> None:
    await until(replicas.stands_by)
    stub = RiskGatewayStub(replicas.second.channel())
    for ask in (lambda: stub.Halt(pb.HaltRequest()), lambda: stub.Trade().read()):

        async def names_the_leader(ask: Callable[[], Any] = ask) -> bool:
            with pytest.raises(grpc.aio.AioRpcError, match="not_leader") as refused:
                await ask()
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            named = leader_named_by(refused.value)
            assert named in ("", replicas.first.address)
            return bool(named)  # one that was held up for a moment is not named

        await until(names_the_leader)


@pytest.mark.parametrize(
    ("number", "within_s"),
    [(signal.SIGKILL, 10.0), (signal.SIGTERM, 4.0)],  # 2 on a machine of its own
    ids=["kill", "end"],
)
async def test_whoever_knows_both_is_served_again_in_time(
    replicas: Replicas, number: signal.Signals, within_s: float
) -> None:
    await until(replicas.stands_by)
    await replicas.stack.deploy()
    seat = Seat(replicas.addresses)
    async with GatewayClient(replicas.addresses, OPERATOR) as client:
        assert [s.strategy for s in (await client.get_desk()).strategies] == ["s"]
        await until(lambda: welcomed(seat, replicas.first))
        with Watch() as watch:
            replicas.first.kill(number)
            await until(lambda: welcomed(seat, replicas.second))
            await until(lambda: answers(client))
            took_s = watch.seconds
    sys.stderr.write(f"served again after {number.name}: {took_s:.2f} s\n")
    assert took_s < within_s
    seat.leave()


async def welcomed(seat: Seat, by: Process) -> bool:
    return by.address in seat.welcomes


async def answers(client: GatewayClient) -> bool:
    try:
        return bool((await client.get_desk()).strategies)
    except GatewayUnavailable:
        return False


async def test_a_leader_that_slept_sends_nothing_and_ends(replicas: Replicas) -> None:
    """It was held up for longer than anybody waits for it, with an order on its way."""
    stack = replicas.stack
    await stack.deploy()
    await trades(stack, "x", "a")
    first = replicas.first
    first.process.send_signal(signal.SIGSTOP)
    replicas.the_other_leads()

    await until(replicas.knows_the_desk)
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(60) != 0
    assert "another gateway leads" in first.log.read_text()
    await trades(stack, "y", "b")
    await until(stack.agrees)
    assert sorted(await stack.venue_orders()) == ["x-0", "y-0"]


async def test_an_order_that_waited_too_long_for_the_database_is_settled(
    replicas: Replicas, postgres_server: PostgresServer
) -> None:
    """Somebody else could have led meanwhile; nobody did: it leaves or not, but it must end."""
    stack = replicas.stack
    replicas.second.kill()
    await stack.deploy()
    runner = await stack.armed("a")
    cause = await stack.market.next()
    postgres_server.suspend()
    try:
        await runner.batch(buy("late", cause))
        await asyncio.sleep(Postgres("").patience_s + 1)
    finally:
        postgres_server.resume()
    await runner.outcome(1)
    await until(stack.agrees)
    await _buys(runner, stack, "y")
    await until(stack.agrees)
    assert "y-0" in await stack.venue_orders()
