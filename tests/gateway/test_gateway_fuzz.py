"""Whatever is sent to it, the gateway answers with a status or a verdict, and sends no order."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance import SEED
from desk_driver import HASH, OPERATOR, TOKEN, buy, content
from gateway_driver import RunnerClient, Stack, until
from risk_gateway.roles import RIGHTS
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types

pytestmark = pytest.mark.servers

SHORT, LONG = 20_000, 200_000  # messages
IN_STREAMS = 0.4  # of them
IN_A_STREAM = 20
AT_ONCE = 24
SERVICE = "/stratops_api.v1.RiskGateway/"
# A gateway that met something unexpected would answer UNKNOWN.
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}
AFTER_ITS_END = "Internal error from Core"  # the client's own word, when it wrote too late
NUMBERS = (0, 1, 2, 7, 10, 11, 2**31, 2**32 - 1, 2**63 - 1)
TEXTS = ("", "x", "s", "r1", "BTCUSDT", "a" * 300, "1", "-1", "0.1", "NaN", "1e999", "\x00", "é")


def signal(r: random.Random) -> pb.Signal:
    """One that would be accepted, but for some of its fields, or all, which are at their edges."""
    some: Callable[[Sequence[Any]], Any] = r.choice
    right: dict[str, Any] = {
        "id": f"id-{r.random()}", "action": 1, "symbol": "BTCUSDT", "side": 1, "order_type": 1,
        "quantity": "1", "at_ns": 1,
        "cause": types.Cause(symbol="BTCUSDT", type="tick", sequence=some(NUMBERS)),
    }  # fmt: skip
    edges: dict[str, Callable[[], Any]] = {
        "id": lambda: some(TEXTS),
        "action": lambda: some([0, 2, 9]),
        "symbol": lambda: some(TEXTS),
        "side": lambda: some([0, 2, 99]),
        "order_type": lambda: some([0, 2, 3, 4, 77]),
        "quantity": lambda: some(["0.5", *TEXTS]),
        "price": lambda: some(["100", *TEXTS]),
        "stop_price": lambda: some(TEXTS),
        "time_in_force": lambda: some([0, 1, 2, 3, 8]),
        "priority": lambda: some(NUMBERS[:7]),
        "at_ns": lambda: some([*NUMBERS, -1]),
        "metadata": lambda: {some(TEXTS): some(TEXTS) for _ in range(r.randrange(3))},
        "max_slippage": lambda: some(TEXTS),
        "confidence": lambda: some(TEXTS),
        "cause": lambda: types.Cause(symbol=some(TEXTS), type=some(["tick", *TEXTS])),
        "expires_ns": lambda: some([0, -5, *NUMBERS]),
        "cancels": lambda: some(TEXTS),
        "closing": lambda: some([True, False]),
    }
    bent = r.sample(list(edges), some([0, 1, 1, 2, 3, len(edges)]))
    return pb.Signal(**right | {name: edges[name]() for name in bent})


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


REQUESTS: dict[str, Callable[[random.Random], Any]] = {
    "SubmitSignal": lambda r: pb.SubmitSignalRequest(
        token=r.choice([OPERATOR, TOKEN]), strategy="s", epoch=r.choice(NUMBERS), signal=signal(r)
    ),
    "BeginTerm": lambda r: pb.BeginTermRequest(token=OPERATOR, holder=r.choice(TEXTS)),
    "Deploy": lambda r: pb.DeployRequest(
        token=OPERATOR,
        term=r.choice(NUMBERS),
        strategy=r.choice(["s"] * 9 + ["t", *TEXTS]),
        revision=r.choice(["r1"] * 9 + ["r2", *TEXTS]),
        content=r.choice([content()] * 9 + list(TEXTS)),
        runner_token_sha256=r.choice([HASH] * 9 + list(TEXTS)),
    ),
    "Withdraw": lambda r: pb.WithdrawRequest(
        token=OPERATOR, term=r.choice(NUMBERS), strategy=r.choice(["t", *TEXTS])
    ),
    "Resume": lambda r: pb.ResumeRequest(token=OPERATOR, reason=r.choice(TEXTS)),
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


Said = tuple[str, grpc.StatusCode, str]  # the method, and how it ended


class Flood:
    """Messages of all kinds at once, and what came of each."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._r = random.Random(seed)
        self._stack = stack
        self._term = 0
        self.said: Counter[tuple[str, str]] = Counter()
        self.wrong: list[Said] = []

    async def send(self, messages: int) -> None:
        streams = int(messages * IN_STREAMS) // IN_A_STREAM
        work = [self._stream] * streams + [self._call] * (messages - streams * IN_A_STREAM)
        self._r.shuffle(work)
        own = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(self._stack.gateway.address, options=own) as channel:
            await asyncio.gather(*(self._work(channel, work) for _ in range(AT_ONCE)))

    async def _work(self, channel: grpc.aio.Channel, work: list[Any]) -> None:
        while work:
            said = await work.pop()(channel)
            method, code, why = said
            self.said[method, code.name] += 1
            named = code is grpc.StatusCode.OK or why
            if not (code in EXPECTED and named) and why != AFTER_ITS_END:
                self.wrong.append(said)

    async def _call(self, channel: grpc.aio.Channel) -> Said:
        method = self._r.choice(list(REQUESTS))
        request = REQUESTS[method](self._r)
        if method in ("Deploy", "Withdraw") and self._r.random() < 0.7:
            request.term = self._term
        payload = request.SerializeToString()
        if self._r.random() < 0.5:
            payload = mutated(self._r, payload)
        call: Any = channel.unary_unary(SERVICE + method)
        answer, code, why = await status_of(call(payload, timeout=60))
        if method == "BeginTerm" and answer:
            self._term = max(self._term, pb.BeginTermResponse.FromString(answer).term)
        return method, code, why

    async def _stream(self, channel: grpc.aio.Channel) -> Said:
        made = [hello(self._r), *(runner_message(self._r) for _ in range(IN_A_STREAM - 1))]
        payloads = [message.SerializeToString() for message in made]
        if self._r.random() < 0.5:
            at = self._r.randrange(len(payloads))
            payloads[at] = mutated(self._r, payloads[at])
        return "Trade", *await said(channel, payloads)


async def status_of(call: Any) -> tuple[bytes, grpc.StatusCode, str]:
    """With the answer's bytes, if there is one."""
    try:
        return await call, grpc.StatusCode.OK, ""
    except grpc.aio.AioRpcError as error:
        return b"", error.code(), error.details() or ""


async def said(channel: grpc.aio.Channel, payloads: list[bytes]) -> tuple[grpc.StatusCode, str]:
    """How the session ended."""
    call: Any = channel.stream_stream(SERVICE + "Trade")(timeout=60)
    try:
        for payload in payloads:
            await call.write(payload)
        await call.done_writing()
        async for _ in call:
            pass
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # the code says it
    return await call.code(), await call.details()


@pytest.fixture
async def halted(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    """By the file, which no call can lift."""
    started = Stack(
        tmp_path, port, redis_server, nats_server,
        OPERATOR_TOKEN=OPERATOR, CALLS_A_SECOND="1000000", CALLS_AT_ONCE="1000000",
    )  # fmt: skip
    (started.gateway.folder / "halt").touch()
    await until(lambda: is_halted(started))
    await started.deploy()
    yield started
    await started.hang_up()
    started.close()


@pytest.mark.parametrize("seed", [SEED], ids=str)
@pytest.mark.parametrize(
    "messages",
    [
        SHORT,
        pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(1_800)]),
    ],
)
async def test_whatever_is_sent_is_answered_by_name_and_no_order_leaves(
    halted: Stack, messages: int, seed: int
) -> None:
    flood = Flood(halted, seed)
    await flood.send(messages)
    sys.stdout.write(f"seed {seed}, {messages} messages\n")
    for (method, code), count in sorted(flood.said.items()):
        sys.stdout.write(f"{method:16} {code:22} {count:7}\n")
    assert flood.wrong == []
    await stands(halted)
    await trades(halted)


async def stands(stack: Stack) -> None:
    """It never restarted, and nothing was let through."""
    assert stack.gateway.process.poll() is None
    assert '"event":"fault"' not in stack.gateway.log.read_text()
    desk = await stack.desk()
    assert (desk.orders, desk.accepted) == (0, 0)
    assert await stack.venue_orders() == {}


async def trades(stack: Stack) -> None:
    """As if nothing had been."""
    (stack.gateway.folder / "halt").unlink()
    await stack.stub().Resume(pb.ResumeRequest(token=OPERATOR))
    await until(lambda: runs(stack))
    await stack.deploy(revision="after")
    runner = RunnerClient(stack.stub(), "after", revision="after")
    await runner.connect()
    await runner.armed()
    await runner.decide(buy("after", await stack.market.next()))
    await stack.market.next()
    await until(lambda: filled(stack))
    assert set(await stack.venue_orders()) == {"after-0"}
    runner.leave()


async def is_halted(stack: Stack) -> bool:
    return bool((await stack.desk()).halted)


async def runs(stack: Stack) -> bool:
    return not await is_halted(stack)


async def filled(stack: Stack) -> bool:
    return (await stack.desk()).fills == 1


BYTES = st.binary(max_size=300)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(sorted(RIGHTS)), payload=BYTES, edits=st.lists(BYTES, max_size=3))
def test_whatever_hypothesis_makes_is_answered_by_name(
    long_running: Stack, method: str, payload: bytes, edits: list[bytes]
) -> None:
    """Bytes of its own, between pieces of a right request."""
    whole = pb.DeployRequest(token=TOKEN, strategy="s", content=content()).SerializeToString()
    pieces = [payload, *(part for edit in edits for part in (whole[: len(edit)], edit))]
    with grpc.insecure_channel(long_running.gateway.address) as channel:
        if method == "Trade":
            stream: Any = channel.stream_stream(SERVICE + method)
            call = stream(iter(pieces), timeout=60)
        else:
            unary: Any = channel.unary_unary(SERVICE + method)
            call = unary.future(b"".join(pieces), timeout=60)
        assert call.code() in EXPECTED
        assert call.details() or call.code() is grpc.StatusCode.OK
    assert long_running.gateway.process.poll() is None
