"""A Redis that speaks TLS by a CA of its own: believed by that CA, and by no other."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
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
    """Redis behind a port that speaks TLS: not every build of it does so itself."""

    def __init__(self, folder: Path, redis_port: int) -> None:
        self.folder, self._redis_port = folder, redis_port
        write_bundle(folder, make(["localhost", "127.0.0.1"], datetime.now(UTC)))

    async def listen(self) -> asyncio.Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._redis_port)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, redis_writer), _pump(redis_reader, writer))

    def url(self, ca: Path | None) -> str:
        return f"rediss://localhost:{self.port}" + (f"?ca={ca}" if ca else "")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def server(tmp_path: Path, redis_server: Any) -> AsyncIterator[Tls]:
    made = Tls(tmp_path / "tls", redis_server.port)
    listening = await made.listen()
    yield made
    listening.close()


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
