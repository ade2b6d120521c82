"""A Redis that speaks TLS by a CA of its own: believed by that CA, and by no other."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio

from identity_driver import write_bundle
from market_data import Subscription
from market_data.redis_link import Address
from risk_gateway.authority import make


class Tls:
    """A redis-server that has no other port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self.folder = port, folder
        write_bundle(folder, make(["localhost", "127.0.0.1"], datetime.now(UTC)))
        command = [
            "redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1",
            "--tls-cert-file", str(folder / "tls.crt"), "--tls-key-file", str(folder / "tls.key"),
            "--tls-auth-clients", "no", "--save", "", "--dir", str(folder),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def url(self, ca: Path | None) -> str:
        return f"rediss://localhost:{self.port}" + (f"?ca={ca}" if ca else "")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
async def server(tmp_path: Path, port: Callable[[], int], until: Any) -> AsyncIterator[Tls]:
    made = Tls(tmp_path / "tls", port())
    await until(made.listens)
    yield made
    made.process.kill()
    made.process.wait()


def tick(sequence: int) -> bytes:
    message = {"type": "tick", "symbol": "BTCUSDT", "sequence": sequence}
    prices = {"timestamp": sequence + 1, "bid_price": 1.0, "ask_price": 2.0}
    return msgspec.json.encode(message | prices)


@pytest.mark.servers
async def test_by_its_ca_all_that_is_published_arrives(
    reader: Any, server: Tls, until: Any
) -> None:
    one = await reader(url=server.url(server.ca))
    client = redis.asyncio.from_url(server.url(None), ssl_ca_certs=str(server.ca))
    async with client, client.pipeline(transaction=False) as pipeline:
        for n in range(1, 1_001):  # many records of TLS between two reads
            pipeline.publish("market:btcusdt", tick(n))
        await pipeline.execute()
    await until(lambda: len(one.events) == 1_000)
    assert one.sequences("BTCUSDT") == list(range(1, 1_001))


@pytest.mark.servers
@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("none", "CERTIFICATE_VERIFY_FAILED"), ("another", "CERTIFICATE_VERIFY_FAILED"),
        ("missing", "No such file"), ("empty", ""),
    ],
)  # fmt: skip
async def test_by_any_other_ca_it_is_not_spoken_to(
    server: Tls, tmp_path: Path, until: Any, which: str, why: str
) -> None:
    write_bundle(tmp_path / "another", make(["localhost"], datetime.now(UTC)))
    (tmp_path / "empty").write_text("")
    ca = {
        "none": None, "another": tmp_path / "another" / "ca.crt",
        "missing": tmp_path / "nowhere", "empty": tmp_path / "empty",
    }[which]  # fmt: skip
    subscription = Subscription(server.url(ca), ["market:btcusdt"], on_payload=lambda _: None)
    task = asyncio.create_task(subscription.run())
    await until(lambda: subscription.trouble)
    assert why in subscription.trouble
    assert not subscription.connected
    task.cancel()


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:1?ca=/x", "rediss://h:1?ca=", "rediss://h:1?ca", "rediss://h:1?cafile=/x",
        "rediss://h:1?ca=/x&ca=/y", "rediss://h:1?ca=/x&insecure=1",
    ],
)  # fmt: skip
def test_any_other_query_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected \?ca=FILE"):
        Address.parse(url)


def test_without_one_the_machines_authorities_count() -> None:
    assert Address.parse("rediss://h:1") == Address("h", 1, tls=True)
    assert Address.parse("rediss://h:1?ca=/x") == Address("h", 1, tls=True, ca="/x")
