"""How many connections the gateway has: a bound, and no place for whoever asks for nothing."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest

from desk_driver import OPERATOR, buy
from gateway_driver import Stack, until
from handover.messages import OrderFill
from risk_gateway import listening
from risk_gateway.settings import Settings
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_process.environment import InvalidSettings

IDLE = 2_000
BOUND = 300
# A client's first words of HTTP/2, and its empty settings: a connection that could ask.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


@pytest.fixture
async def bounded(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    started = Stack(
        tmp_path, port, redis_server, nats_server, b"",
        OPERATOR_TOKEN=OPERATOR, CONNECTIONS=str(BOUND),
    )  # fmt: skip
    yield started
    await started.hang_up()
    started.close()


@contextlib.asynccontextmanager
async def idle(address: str, count: int) -> AsyncIterator[list[socket.socket]]:
    """Half of them say nothing at all, the others that they speak HTTP/2."""
    host, _, port = address.rpartition(":")
    made: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    try:
        for number in range(count):
            each = socket.socket()
            each.setblocking(False)
            made.append(each)
            await loop.sock_connect(each, (host, int(port)))
            if number % 2:
                await loop.sock_sendall(each, PREFACE)
        yield made
    finally:
        for each in made:
            each.close()


def connections(desk: Stack) -> int:
    port = int(desk.gateway.address.rpartition(":")[2])
    found = psutil.Process(desk.gateway.process.pid).net_connections("tcp")
    return sum(each.status == "ESTABLISHED" and each.laddr.port == port for each in found)


async def is_full(desk: Stack) -> bool:
    return connections(desk) == BOUND


async def desk_answers(desk: Stack) -> bool:
    """To somebody who has no connection yet."""
    alone = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(desk.gateway.address, options=alone) as channel:
        try:
            await RiskGatewayStub(channel).GetDesk(pb.GetDeskRequest(token=OPERATOR), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return True


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 3 * IDLE), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.servers
@pytest.mark.usefixtures("many_files")
async def test_a_runner_trades_beside_two_thousand_that_ask_for_nothing(stack: Stack) -> None:
    await stack.deploy()
    async with idle(stack.gateway.address, IDLE):
        runner = await stack.armed()
        (verdict,) = await runner.decide(buy("x", await stack.market.next()))
        assert verdict.accepted
        assert isinstance((await runner.outcome(1)).what, OrderFill)


@pytest.mark.servers
async def test_beyond_the_bound_nobody_gets_in_until_the_idle_are_gone(bounded: Stack) -> None:
    await bounded.deploy()
    runner = await bounded.armed()
    async with idle(bounded.gateway.address, 2 * BOUND):
        await until(lambda: is_full(bounded))
        assert connections(bounded) <= BOUND
        assert not await desk_answers(bounded)  # those that say nothing go after 5 s
        (verdict,) = await runner.decide(buy("x", await bounded.market.next()))
        assert verdict.accepted
        await until(lambda: desk_answers(bounded), 120)


def settings(**changed: str) -> Settings:
    must = {"LISTEN": "h:1", "STATE_DIR": "s", "OPERATOR_TOKEN": "t", "VENUE": "v:1",
            "REDIS_URL": "redis://r", "NATS_URL": "n", "SYMBOLS": "S"}  # fmt: skip
    return Settings.from_environment({f"STRATOPS_{k}": v for k, v in (must | changed).items()})


@pytest.mark.parametrize(
    ("files", "set_", "most"),
    [
        pytest.param(10_000, "4000", 4_000, id="as many as are set"),
        pytest.param(1_024, "4000", 512, id="as many as there are files for"),
        pytest.param(256, "4000", 1, id="one at the least"),
    ],
)
def test_files_bound_connections(
    monkeypatch: pytest.MonkeyPatch, files: int, set_: str, most: int
) -> None:
    monkeypatch.setattr(listening, "_most_files", lambda: files)
    assert listening.most_connections(settings(CONNECTIONS=set_)) == most


@pytest.mark.parametrize("written", ["0", "-1", "many"])
def test_a_bound_that_cannot_be_meant_is_refused(written: str) -> None:
    with pytest.raises(InvalidSettings, match="STRATOPS_CONNECTIONS"):
        settings(CONNECTIONS=written)


@pytest.mark.usefixtures("many_files")
def test_it_takes_all_the_files_that_it_may_have() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert listening._most_files() == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard


def test_a_kernel_that_gives_fewer_files_than_it_says_ends_no_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    few = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (few, few + 1))
    monkeypatch.setattr(resource, "setrlimit", no)
    assert listening._most_files() == few
