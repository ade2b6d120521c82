"""Whatever is sent to it, the gateway answers with a status or a verdict, and sends no order."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest

from chance import SEED
from desk_driver import HASH, OPERATOR, TOKEN, content
from gateway_driver import Stack
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types

pytestmark = pytest.mark.servers

CALLS = 400  # of each method
STREAMS = 150
SERVICE = "/stratops_api.v1.RiskGateway/"
# A gateway that met something unexpected would answer UNKNOWN.
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}
NUMBERS = (0, 1, 2, 7, 10, 11, 2**31, 2**32 - 1, 2**63 - 1)
TEXTS = ("", "x", "s", "r1", "BTCUSDT", "a" * 300, "1", "-1", "0.1", "NaN", "1e999", "\x00", "é")


def signal(r: random.Random) -> pb.Signal:
    """Each field at its edge now and then."""
    some: Callable[[Sequence[Any]], Any] = r.choice
    return pb.Signal(
        id=some([f"id-{r.random()}", *TEXTS]),
        action=some([0, 1, 1, 1, 2, 9]),
        symbol=some(["BTCUSDT", "BTCUSDT", *TEXTS]),
        side=some([0, 1, 2, 99]),
        order_type=some([0, 1, 2, 3, 4, 77]),
        quantity=some(["1", "0.5", *TEXTS]),
        price=some(["", "100", *TEXTS]),
        stop_price=some(["", *TEXTS]),
        time_in_force=some([0, 1, 2, 3, 8]),
        priority=some(NUMBERS[:7]),
        at_ns=some([*NUMBERS, -1]),
        metadata={some(TEXTS): some(TEXTS) for _ in range(r.randrange(3))},
        max_slippage=some(["", *TEXTS]),
        confidence=some(["", *TEXTS]),
        cause=types.Cause(symbol=some(TEXTS), type=some(["tick", *TEXTS]), sequence=some(NUMBERS)),
        expires_ns=some([0, -5, *NUMBERS]),
        cancels=some(TEXTS),
        closing=some([True, False]),
    )


def mark(r: random.Random) -> pb.Mark:
    return pb.Mark(
        count=r.choice(NUMBERS),
        crc=r.choice(NUMBERS[:8]),
        sequences={r.choice(["BTCUSDT/tick", *TEXTS]): r.choice([*NUMBERS, 2**64 - 1])},
        outcome=r.choice(NUMBERS),
    )


def runner_message(r: random.Random) -> pb.RunnerMessage:
    number = r.choice(NUMBERS)
    make: Callable[[], pb.RunnerMessage] = r.choice(
        [
            pb.RunnerMessage,
            lambda: pb.RunnerMessage(subscribed=pb.Subscribed(subscription=number)),
            lambda: pb.RunnerMessage(ready=pb.Ready(ok=r.choice([True, False]))),
            lambda: pb.RunnerMessage(trouble=pb.Trouble(reason=r.choice(TEXTS))),
            lambda: pb.RunnerMessage(alive=pb.Alive(counters=pb.Counters(ticks=number))),
            lambda: pb.RunnerMessage(
                snapshot=pb.Snapshot(instance=r.choice(TEXTS), batch=number, mark=mark(r))
            ),
            lambda: pb.RunnerMessage(
                batch=pb.Batch(
                    epoch=r.choice([1, 1, 2, 3, number]),
                    number=r.choice([1, 2, 3, number]),
                    signals=[signal(r) for _ in range(r.randrange(3))],
                    inputs=[pb.Input(after=number, outcome=r.choice(NUMBERS))],
                    mark=mark(r),
                    stopped=r.choice(TEXTS),
                )
            ),
        ]
    )
    return make()


def hello(r: random.Random) -> pb.RunnerMessage:
    said = pb.Hello(
        token=TOKEN,
        strategy="s",
        revision="r1",
        instance=r.choice(["a", "b", *TEXTS]),
        phase=r.choice([1, 1, 2, 3, 4, 0]),  # type: ignore[arg-type]  # unknown ones, too
        epoch=r.choice(NUMBERS),
        batch=r.choice(NUMBERS),
        following=r.choice(NUMBERS),
        subscription=r.choice([0, 1, 1]),
    )
    return pb.RunnerMessage(hello=said)


def mutated(r: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(r.randrange(1, 6)):
        at = r.randrange(len(data) + 1)
        kind = r.randrange(4)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            data[at:at] = r.randbytes(r.randrange(1, 8))
        elif kind == 2:
            del data[at : at + r.randrange(1, 8)]
        else:
            data = data[:at] + data[r.randrange(len(data) + 1) :]
    return bytes(data)


REQUESTS: dict[str, Any] = {
    "SubmitSignal": lambda r: pb.SubmitSignalRequest(
        token=r.choice([OPERATOR, TOKEN]), strategy="s", epoch=r.choice(NUMBERS), signal=signal(r)
    ),
    "BeginTerm": lambda r: pb.BeginTermRequest(token=OPERATOR, holder=r.choice(TEXTS)),
    "Deploy": lambda r: pb.DeployRequest(
        token=OPERATOR,
        term=r.choice(NUMBERS),
        strategy=r.choice(TEXTS),
        revision=r.choice(TEXTS),
        content=r.choice([content(), *TEXTS]),
        runner_token_sha256=r.choice([HASH, *TEXTS]),
    ),
    "Withdraw": lambda r: pb.WithdrawRequest(
        token=OPERATOR, term=r.choice(NUMBERS), strategy=r.choice(TEXTS[:2])
    ),
    "Halt": lambda r: pb.HaltRequest(token=OPERATOR, reason=r.choice(["drill", "x" * 999])),
    "CancelOrders": lambda r: pb.CancelOrdersRequest(
        token=OPERATOR, strategy=r.choice(TEXTS), all=r.choice([True, False])
    ),
    "GetDesk": lambda _: pb.GetDeskRequest(token=OPERATOR),
    "ListDeskOrders": lambda r: pb.ListDeskOrdersRequest(
        token=OPERATOR,
        strategy=r.choice(TEXTS),
        after_client_order_id=r.choice(TEXTS),
        limit=r.choice(NUMBERS[:8]),
    ),
}


async def status_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        # What gRPC itself says of bytes that are no message; our code never saw them.
        unread = "DecodeError" in (error.details() or "")
        return grpc.StatusCode.INVALID_ARGUMENT if unread else error.code()
    return grpc.StatusCode.OK


async def still_stands(stack: Stack) -> None:
    """It never restarted, and nothing was let through."""
    assert stack.gateway.process.poll() is None
    assert '"event":"fault"' not in stack.gateway.log.read_text()
    desk = await stack.desk()
    assert (desk.orders, desk.accepted) == (0, 0)


async def halted(stack: Stack) -> None:
    await stack.deploy()
    await stack.stub().Halt(pb.HaltRequest(token=OPERATOR, reason="fuzz"))


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("seed", [SEED], ids=str)
async def test_a_call_gets_a_status_whatever_it_is(
    shared_stack: Stack, method: str, seed: int
) -> None:
    await halted(shared_stack)
    r = random.Random(f"{seed}{method}")
    async with grpc.aio.insecure_channel(shared_stack.gateway.address) as channel:
        call: Any = channel.unary_unary(SERVICE + method)
        for n in range(CALLS):
            payload = REQUESTS[method](r).SerializeToString()
            sent = mutated(r, payload) if n % 2 else payload
            assert await status_of(call(sent, timeout=10)) in EXPECTED
    await still_stands(shared_stack)


@pytest.mark.parametrize("seed", [SEED], ids=str)
async def test_a_session_survives_or_ends_by_status_whatever_is_said(
    shared_stack: Stack, seed: int
) -> None:
    await halted(shared_stack)
    r = random.Random(f"{seed}trade")
    async with grpc.aio.insecure_channel(shared_stack.gateway.address) as channel:
        for n in range(STREAMS):
            messages = [hello(r), *(runner_message(r) for _ in range(20))]
            payloads = [message.SerializeToString() for message in messages]
            if n % 2:
                at = r.randrange(len(payloads))
                payloads[at] = mutated(r, payloads[at])
            code, details = await said(channel, payloads)
            # The client's own word when the gateway had ended the session before it wrote.
            assert code in EXPECTED or details == "Internal error from Core", details
    await still_stands(shared_stack)


async def said(channel: grpc.aio.Channel, payloads: list[bytes]) -> tuple[grpc.StatusCode, str]:
    """How the session ended."""
    call: Any = channel.stream_stream(SERVICE + "Trade")(timeout=10)
    try:
        for payload in payloads:
            await call.write(payload)
        await call.done_writing()
        async for _ in call:
            pass
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # the code says it
    return await call.code(), await call.details()
