"""The bus over TLS, on a real nats-server: who it is, who we are, and what is refused."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from dev_cluster import certificates
from risk_gateway.bus import FILLS_STREAM, FILLS_SUBJECT, Bus, ensure_stream
from risk_gateway.settings import Settings
from stratops_process.environment import InvalidSettings

pytestmark = pytest.mark.servers

NOW = datetime.now(UTC)


class Party:
    """A CA, the server that it vouches for, and us."""

    def __init__(self, name: str) -> None:
        self.ca = certificates.authority(f"{name} CA", NOW)
        self.server = certificates.server(self.ca, f"{name} bus", [IPv4Address("127.0.0.1")], NOW)
        self.client = certificates.client(self.ca, f"{name} gateway", "", NOW)

    def put_client(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "ca.crt").write_bytes(self.ca.certificate_pem)
        (folder / "tls.crt").write_bytes(self.client.certificate_pem)
        (folder / "tls.key").write_bytes(self.client.key_pem)
        (folder / "username").write_text("gateway\n")
        (folder / "password").write_text("secret\n")
        return folder


OLD, NEW = Party("old"), Party("new")


class TlsNats:
    def __init__(self, folder: Path, port: int, party: Party | None) -> None:
        self._folder, self._port = folder, port
        self.password = "secret"
        self.start(party)

    def start(self, party: Party | None) -> None:
        options = ["-a", "127.0.0.1", "-p", str(self._port), "-js", "-sd", str(self._folder)]
        if party is not None:
            (self._folder / "ca.crt").write_bytes(party.ca.certificate_pem)
            (self._folder / "s.crt").write_bytes(party.server.certificate_pem)
            (self._folder / "s.key").write_bytes(party.server.key_pem)
            options += ["--user", "gateway", "--pass", self.password, "--tlsverify"]
            for name, file in (("cert", "s.crt"), ("key", "s.key"), ("cacert", "ca.crt")):
                options += [f"--tls{name}", str(self._folder / file)]
        self._process = subprocess.Popen([_binary(), *options], stderr=subprocess.DEVNULL)
        _wait_for(self._port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _binary() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or "nats-server"


def _wait_for(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while True:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.02)


@pytest.fixture
def nats_of(tmp_path: Path, port: Callable[[], int]) -> Any:
    started: list[TlsNats] = []

    def start(party: Party | None) -> tuple[TlsNats, str]:
        folder, number = tmp_path / "nats", port()
        folder.mkdir()
        started.append(TlsNats(folder, number, party))
        return started[-1], f"tls://127.0.0.1:{number}"

    yield start
    for server in started:
        server.stop()


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[Bus]:
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected(nats_of: Any, folder: Path) -> AsyncIterator[tuple[TlsNats, Bus, Path]]:
    """The server, the bus, and our folder."""
    server, url = nats_of(OLD)
    ours = OLD.put_client(folder)
    async with running(Bus(url, ours)) as bus:
        await holds(lambda: bus.connected)
        yield server, bus, ours


async def holds(look: Callable[[], bool], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not look():
            await asyncio.sleep(0.02)


async def test_both_prove_who_they_are_and_the_stream_is_made(nats_of: Any, tmp_path: Path) -> None:
    _, url = nats_of(OLD)
    async with running(Bus(url, OLD.put_client(tmp_path / "ours"))) as bus:
        await holds(lambda: bus.connected)
        await ensure_stream(bus.client, FILLS_STREAM, FILLS_SUBJECT)
        ack = await bus.client.jetstream().publish(FILLS_SUBJECT, b"{}")
        assert ack.stream == FILLS_STREAM


@pytest.mark.parametrize("party", [NEW, None], ids=["of another CA", "in plain text"])
async def test_a_bus_that_does_not_prove_itself_is_not_spoken_to(
    nats_of: Any, tmp_path: Path, party: Party | None
) -> None:
    _, url = nats_of(party)
    async with running(Bus(url, OLD.put_client(tmp_path / "ours"))) as bus:
        with pytest.raises(TimeoutError):
            await holds(lambda: bus.connected, within_s=3)


async def test_rotated_certificates_are_used_at_the_next_connection(
    nats_of: Any, tmp_path: Path
) -> None:
    async with connected(nats_of, tmp_path / "ours") as (server, bus, ours):
        server.stop()
        await holds(lambda: not bus.connected)
        NEW.put_client(ours)
        server.start(NEW)
        await holds(lambda: bus.connected)


@pytest.mark.parametrize("meanwhile", ["the old one", "none"])
async def test_a_password_that_changed_is_read_however_long_it_was_refused(
    nats_of: Any, tmp_path: Path, meanwhile: str
) -> None:
    async with connected(nats_of, tmp_path / "ours") as (server, bus, ours):
        server.stop()
        server.password = "rotated"
        if meanwhile == "none":
            (ours / "password").unlink()
        server.start(OLD)
        await holds(lambda: not bus.connected)
        with pytest.raises(TimeoutError):
            await holds(lambda: bus.connected, within_s=1)
        (ours / "password").write_text("rotated\n")
        await holds(lambda: bus.connected)


async def test_a_password_that_was_wrong_at_the_start_is_read_again(
    nats_of: Any, tmp_path: Path
) -> None:
    _, url = nats_of(OLD)
    ours = OLD.put_client(tmp_path / "ours")
    (ours / "password").write_text("of another bus\n")
    async with running(Bus(url, ours)) as bus:
        with pytest.raises(TimeoutError):
            await holds(lambda: bus.connected, within_s=1)
        (ours / "password").write_text("secret\n")
        await holds(lambda: bus.connected)


def test_a_folder_of_secrets_wants_tls() -> None:
    environment = {
        "STRATOPS_LISTEN": "127.0.0.1:0",
        "STRATOPS_STATE_DIR": "/desk",
        "STRATOPS_OPERATOR_TOKEN": "secret",
        "STRATOPS_VENUE": "127.0.0.1:7001",
        "STRATOPS_REDIS_URL": "redis://127.0.0.1:6379",
        "STRATOPS_NATS_URL": "nats://127.0.0.1:4222",
        "STRATOPS_NATS_DIR": "/secrets",
        "STRATOPS_SYMBOLS": "BTCUSDT",
    }
    with pytest.raises(InvalidSettings, match=r"STRATOPS_NATS_URL: 'nats://.*', expected tls://"):
        Settings.from_environment(environment)
