"""Bounds over the wire: each is named in its refusal and counted, and hits nobody else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from desk_driver import OPERATOR
from gateway_driver import RunnerClient, Stack, until
from handover import messages as m
from held_ports import free_port
from pages_reader import metric
from risk_gateway.sessions import MOST_UNSENT_BYTES, StreamSession
from stratops_api.v1 import risk_gateway_pb2 as pb

pytestmark = pytest.mark.servers

RATE = 20  # calls a second
SERVICE = "/stratops_api.v1.RiskGateway/"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def long_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("bounds")
    (folder / "roster.toml").write_text(
        f'[ana]\nroles = ["reader"]\ntoken_sha256 = "{sha256(b"ana").hexdigest()}"\n'
    )
    away = SimpleNamespace(url="redis://127.0.0.1:1", port=1)
    bus = SimpleNamespace(url="nats://127.0.0.1:1")
    started = Stack(
        folder, free_port, away, bus,
        OPERATOR_TOKEN=OPERATOR, ROSTER=str(folder / "roster.toml"), CALLS_A_SECOND=str(RATE),
        METRICS_PORT=str(free_port()), METRICS_HOST="127.0.0.1",
    )  # fmt: skip
    yield started
    started.close()


@pytest.fixture
async def desk(long_running: Stack) -> AsyncIterator[Stack]:
    yield long_running
    await long_running.hang_up()


async def ended(call: Any) -> tuple[grpc.StatusCode, str]:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def met(desk: Stack) -> Counter[str]:
    found = metric(desk.gateway, "strategy_engine_calls_over_bound_total")
    return Counter({labels["bound"]: int(value) for labels, value in found})


async def test_a_request_that_is_too_large_is_refused_by_name(desk: Stack) -> None:
    before = met(desk)
    request = pb.HaltRequest(token=OPERATOR, reason="x" * 2**20)
    code, why = await ended(desk.stub().Halt(request))
    assert (code, why) == (EXHAUSTED, f"request_size: Halt: {request.ByteSize()} bytes, "
                           "at most 1048576")  # fmt: skip
    assert met(desk) - before == {"request_size": 1}
    assert not (await desk.desk()).halted


async def test_bytes_that_are_no_request_are_refused_by_name(desk: Stack) -> None:
    async with grpc.aio.insecure_channel(desk.gateway.address) as channel:
        call: Any = channel.unary_unary(f"{SERVICE}Halt")
        assert await ended(call(b"\xff\xff\xff")) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "request: '3 bytes', expected a Halt request",
        )


async def test_a_flood_is_refused_and_everybody_else_is_answered(desk: Stack) -> None:
    """The flood has connections of its own, as another process would."""
    before = met(desk)
    flood = [
        asyncio.ensure_future(flooded(desk, pb.GetDeskRequest(token=OPERATOR))) for _ in range(4)
    ]
    stub = desk.stub()
    answers = [
        await ended(stub.GetDesk(pb.GetDeskRequest(token="ana"), timeout=60)) for _ in range(RATE)
    ]
    halted = await ended(stub.Halt(pb.HaltRequest(token=OPERATOR, reason="flood"), timeout=60))
    codes = sum([await each for each in flood], Counter[grpc.StatusCode]())
    await stub.Resume(pb.ResumeRequest(token=OPERATOR))
    await asyncio.sleep(1)  # then its caller may ask as much as before
    assert set(answers) | {halted} == {(grpc.StatusCode.OK, "")}
    assert set(codes) == {grpc.StatusCode.OK, EXHAUSTED}
    assert codes[EXHAUSTED] > codes[grpc.StatusCode.OK]
    assert (met(desk) - before)["rate"] > 0


async def flooded(desk: Stack, request: pb.GetDeskRequest) -> Counter[grpc.StatusCode]:
    """400 calls, 40 at once."""
    own = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(desk.gateway.address, options=own) as channel:
        call: Any = channel.unary_unary(f"{SERVICE}GetDesk")
        codes: Counter[grpc.StatusCode] = Counter()
        for _ in range(10):
            sent = [ended(call(request.SerializeToString(), timeout=120)) for _ in range(40)]
            codes.update(code for code, _ in await asyncio.gather(*sent))
        return codes


async def test_a_stream_that_says_nothing_is_closed(desk: Stack) -> None:
    call = desk.stub().Trade()
    assert (await call.code(), await call.details()) == (
        EXHAUSTED,
        "silent_stream: no hello within 5 s",
    )


async def test_a_hello_is_small(desk: Stack) -> None:
    runner = RunnerClient(desk.stub(), "a" * 100_000)
    await runner.connect()
    code, why = await runner.status()
    assert code is EXHAUSTED
    assert why.startswith("request_size: hello: ")


async def test_the_streams_of_one_caller_are_bounded(desk: Stack) -> None:
    await desk.deploy()
    async with AsyncExitStack() as open_streams:
        runners = [RunnerClient(desk.stub(), f"i-{n}") for n in range(17)]
        for runner in runners[:-1]:
            await runner.connect()
            open_streams.callback(runner.leave)
        await until(lambda: connected(desk, 16))
        await runners[-1].connect()
        code, why = await runners[-1].status()
    assert (code, why) == (EXHAUSTED, "streams: 16 streams of this caller are open already")


async def connected(desk: Stack, wanted: int) -> bool:
    await asyncio.sleep(2 / RATE)  # asked more often, it would be told no
    (status,) = (await desk.desk()).strategies
    return sum(runner.connected for runner in status.runners) == wanted


def test_a_runner_that_does_not_read_is_cut_off_by_bytes() -> None:
    session = StreamSession()
    half = m.Restore(1, 1, 1, m.Mark(0), b"x" * (MOST_UNSENT_BYTES // 2 + 1))
    session.send(half)
    session.send(half)
    assert not session.closed
    session.send(m.Stop())
    assert session.unread
    assert session.closed.startswith("the runner does not read: 2 messages, ")


async def test_a_token_of_a_megabyte_is_refused(desk: Stack) -> None:
    code, why = await ended(desk.stub().GetDesk(pb.GetDeskRequest(token="x" * 1_000_000)))
    assert (code, why) == (grpc.StatusCode.UNAUTHENTICATED, "token: 1000000 bytes")
