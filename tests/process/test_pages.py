"""The pages as kubelet and Prometheus ask for them, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from stratops_process.pages import Answer, Headers, serving, standard

PROBE = (
    "GET {} HTTP/1.1\r\nHost: 10.0.0.7:9092\r\nUser-Agent: kube-probe/1.36\r\n"
    "Accept: */*\r\nConnection: close\r\n\r\n"
)


class Process:
    missing = ""

    def metrics(self) -> bytes:
        return b"up 1\n"

    def broken(self, _: Headers) -> Answer:
        raise ZeroDivisionError

    def told(self, headers: Headers) -> Answer:
        return Answer(headers.get("x-api-key", "").encode())


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
async def port(process: Process) -> AsyncIterator[int]:
    pages = standard(lambda: process.missing, process.metrics)
    own = {"/broken": process.broken, "/told": process.told}
    async with serving("127.0.0.1", 0, pages | own) as number:
        yield number


async def ask(port: int, *parts: bytes) -> tuple[int, str]:
    """Sends the request in these parts; answers status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


async def probe(port: int, path: str) -> tuple[int, str]:
    return await ask(port, PROBE.format(path).encode())


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/health", (200, "ok\n")),
        ("/ready?verbose", (200, "ready\n")),
        ("/metrics", (200, "up 1\n")),
        ("/", (404, "not found\n")),
        ("/broken", (500, "ZeroDivisionError()\n")),
    ],
)
async def test_a_probe_is_answered(port: int, path: str, answer: tuple[int, str]) -> None:
    assert await probe(port, path) == answer


async def test_what_is_missing_is_said(port: int, process: Process) -> None:
    process.missing = "feed, venue"
    assert await probe(port, "/ready") == (503, "feed, venue\n")
    assert (await probe(port, "/health"))[0] == 200


async def test_nothing_but_get_is_answered(port: int) -> None:
    request = PROBE.format("/health").encode()
    assert await ask(port, request.replace(b"GET", b"POST")) == (405, "GET only\n")


async def test_a_request_may_come_in_pieces(port: int) -> None:
    request = b"GET /told HTTP/1.1\r\nX-API-Key:  secret \r\n\r\n"
    assert await ask(port, *(request[at : at + 7] for at in range(0, len(request), 7))) == (
        200,
        "secret",
    )


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01" * 10_000, b"GET / HTTP/1.1\r\nA: " + b"a" * 20_000]
)
async def test_what_is_no_request_is_hung_up_on(port: int, junk: bytes) -> None:
    with suppress(ConnectionError):  # a reset shows while writing or while reading
        assert await ask(port, junk) == (0, "")
    assert (await probe(port, "/health"))[0] == 200


async def test_a_silent_client_holds_up_nobody(port: int) -> None:
    _, silent = await asyncio.open_connection("127.0.0.1", port)
    assert (await probe(port, "/health"))[0] == 200
    silent.close()


async def test_without_a_port_nothing_is_served() -> None:
    async with serving("127.0.0.1", None, {}) as number:
        assert number == 0
