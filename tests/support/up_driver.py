"""A real `stratops up` in a folder of a test's own: start it, ask its gateway, end it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from own_time import Watch
from stratops.folder import NoDesk, Running, running_in
from stratops.servers import find_redis
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable

REDIS = Path(find_redis(os.environ).program).name  # or it is a valkey-server
START_S = 120.0
END_S = 120.0

# No limit that the speed of a replay, or its losses, would meet: the tests are about other things.
FREE = (
    '{max_order_value: "1e9", max_position_size: "1e9", max_daily_loss: "1e9", max_drawdown: 1,'
    ' min_account_balance: "0", max_orders_per_second: 1000000, max_orders_per_minute: 1000000}'
)


def manifest(
    name: str,
    strategy: str = "{builtin: sma_crossover}",
    *,
    version: str = "1.0.0",
    parameters: str = '{short_period: 5, long_period: 20, quantity: "0.1"}',
    symbols: str = "[BTCUSDT]",
    limits: str = FREE,
    more: str = "",
) -> str:
    return (
        "apiVersion: stratops.dev/v1alpha1\nkind: Strategy\n"
        f"metadata: {{name: {name}}}\nspec:\n  strategy: {strategy}\n  version: {version}\n"
        f"  parameters: {parameters}\n  symbols: {symbols}\n  risk: {{limits: {limits}}}\n{more}"
    )


# A shell that runs tests in the background has them, and all that they start, ignore SIGINT.
_AS_FROM_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Up:
    """One `stratops up`. `state` is its folder; what it prints is in `out` and `err` there."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        session: str = "test",
        program: Sequence[str] = ("-m", "stratops"),
        environ: Mapping[str, object] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "desk"
        command = (*program, "up", "--state", str(self.state), "--session", session)
        (folder / "err").write_bytes(b"")  # and appended to: another `up` may still write there
        with (folder / "out").open("wb") as out, (folder / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _AS_FROM_A_TERMINAL, *command, *arguments],
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, **{name: str(value) for name, value in (environ or {}).items()}},
            )
        self.began = time.monotonic()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(errors="replace")  # half a character may be the last

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    def running(self) -> Running:
        return running_in(self.state)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, what: str) -> psutil.Process:
        """The process whose command line, or strategy, is named."""
        children = self.children()
        for process in children:
            if what in _words(process) or what in _consumer(process):
                return process
        raise LookupError(f"no {what} among {[_words(child) for child in children]}")

    def consumers(self) -> list[str]:
        """The names of our processes in the feed; a runner's has an @."""
        return [name for child in self.children() if (name := _consumer(child))]

    async def desk(self, *, reconcile: bool = False) -> pb.Desk | None:
        """What its gateway says now; None while it cannot."""
        try:
            running = self.running()
            async with GatewayClient(running.gateway, running.operator_token) as gateway:
                return await gateway.get_desk(reconcile=reconcile)
        except (NoDesk, GatewayUnavailable):
            return None

    async def until(self, fact: Callable[[pb.Desk], bool], deadline_s: float = START_S) -> pb.Desk:
        """Waits until the gateway's answer makes the fact true."""
        deadline = time.monotonic() + deadline_s
        while True:
            desk = await self.desk()
            if desk is not None and fact(desk):
                return desk
            assert self.process.poll() is None, f"up ended: {self.err}"
            assert time.monotonic() < deadline, f"not in {deadline_s} s: {desk}\n{self.err}"
            await asyncio.sleep(0.1)

    async def until_true(self, fact: Callable[[], bool], deadline_s: float = START_S) -> None:
        deadline = time.monotonic() + deadline_s
        while not fact():
            assert time.monotonic() < deadline, f"not in {deadline_s} s\n{self.err}"
            await asyncio.sleep(0.05)

    def replay_ended(self) -> bool:
        try:
            return bool(json.loads((self.state / "feed" / "report.json").read_text())["ended"])
        except FileNotFoundError:
            return False

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Signals it and waits for its end; answers how long that took of a machine that runs."""
        with Watch() as watch:
            self.process.send_signal(number)
            self.process.wait(END_S)
            return watch.seconds

    def report(self, deadline_s: float = END_S) -> dict[str, Any]:
        """Waits for its end, and reads the one JSON document on stdout."""
        code = self.process.wait(deadline_s)
        assert code == 0, self.err
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def _consumer(process: psutil.Process) -> str:
    try:
        return process.environ().get("STRATOPS_CONSUMER", "")
    except psutil.Error:
        return ""


def strategy(desk: pb.Desk, name: str) -> pb.StrategyStatus:
    found = [status for status in desk.strategies if status.strategy == name]
    return found[0] if found else pb.StrategyStatus()
