"""A runner's process, and a gateway that arms whoever comes and acknowledges what it sends."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import grpc.aio
import pytest

from handover.messages import (
    Ack,
    Alive,
    Arm,
    Batch,
    GatewayMessage,
    Hello,
    RunnerMessage,
    Subscribed,
    Welcome,
)
from own_time import ends_in
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import (
    RiskGatewayServicer,
    add_RiskGatewayServicer_to_server,
)
from stratops_wire.leader import REFUSAL_KEY
from stratops_wire.session import gateway_message_to_proto, runner_message_from_proto

EPOCH = 7
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # as the real one has it
)


class OpenGateway(RiskGatewayServicer):
    """One runner's gateway without fence, risk or journal: every session is armed afresh."""

    def __init__(self) -> None:
        self.heard: list[RunnerMessage] = []
        self.sessions = self.refused = 0
        self.address = ""
        self.acknowledges = True
        self.refuses = False
        self.refusal = ""  # its name, beside the status
        self._outbox: asyncio.Queue[GatewayMessage | None] = asyncio.Queue()

    async def start(
        self, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self._server = grpc.aio.server(options=OPTIONS)
        add_RiskGatewayServicer_to_server(self, self._server)
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        self.address = f"{'localhost' if credentials else '127.0.0.1'}:{port}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    def say(self, message: GatewayMessage) -> None:
        self._outbox.put_nowait(message)

    async def Trade(self, requests: Any, context: Any) -> AsyncIterator[pb.GatewayMessage]:  # noqa: N802  # its name in the proto
        if self.refuses:
            self.refused += 1
            named = ((REFUSAL_KEY, self.refusal),) if self.refusal else ()
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown_caller", named)
        self.sessions += 1
        outbox: asyncio.Queue[GatewayMessage | None] = asyncio.Queue()
        self._outbox = outbox
        reader = asyncio.create_task(self._read(requests))
        try:
            while (message := await outbox.get()) is not None:
                yield gateway_message_to_proto(message)
        finally:
            reader.cancel()

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, fact: Callable[[], object], within_s: float = 60) -> None:
        """Waits until `fact()` is true; fails with what was heard instead."""
        deadline = monotonic() + within_s
        while not fact():
            words = [message for message in self.heard if not isinstance(message, Alive)]
            assert monotonic() < deadline, f"not in {within_s} s; heard {words[-5:]}"
            await asyncio.sleep(0.01)

    async def _read(self, requests: Any) -> None:
        outbox = self._outbox
        async for request in requests:
            message = runner_message_from_proto(request)
            self.heard.append(message)
            self._answer(message)
        outbox.put_nowait(None)  # the runner has said all: as the real one does, we hang up

    def _answer(self, message: RunnerMessage) -> None:
        if isinstance(message, Hello):
            self.say(Welcome(message.epoch, message.batch))
        elif isinstance(message, Subscribed):
            self.say(Arm(EPOCH, fresh=True))
        elif isinstance(message, Batch) and self.acknowledges:
            self.say(Ack(message.number))


@pytest.fixture
async def gateway() -> AsyncIterator[OpenGateway]:
    server = OpenGateway()  # type: ignore[abstract]  # only Trade is called
    await server.start()
    yield server
    await server.stop()


class Process:
    """`python -m strategy_runner` with a spec of the test's."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self._spec = folder / "spec.json"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def last_words(self) -> str:
        return self.log.read_text().splitlines()[-1]

    def start(self, spec: dict[str, Any], **environment: str) -> None:
        self._spec.write_text(json.dumps(SPEC | spec))
        told = {"STRATOPS_SPEC": str(self._spec), "STRATOPS_TOKEN": "secret"} | environment
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        with self.log.open("wb") as log:
            command = [sys.executable, "-P", "-m", "strategy_runner"]
            self._popen = subprocess.Popen(command, env=inherited | told, stderr=log)

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    async def seconds_to_end(self) -> float:
        """Of its own, from SIGTERM on."""
        assert self._popen is not None
        return await ends_in(self._popen)

    async def ended(self, within_s: float = 60) -> int:
        """Its exit code."""
        assert self._popen is not None
        return await asyncio.to_thread(self._popen.wait, within_s)

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self) -> None:
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()


SPEC = {
    "strategy": "probe",
    "revision": "0123456789",
    "source": {"builtin": "sma_crossover"},
    "symbols": ["BTCUSDT"],
    "channels": ["market:btcusdt"],
    "redis_url": "redis://127.0.0.1:1",
    "state_key": "k",
}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    runner = Process(tmp_path)
    yield runner
    runner.kill()
