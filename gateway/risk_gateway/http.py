"""/health, /ready and /metrics over HTTP: just enough of it for probes and scrapers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

_LINE_S = 5.0
_MOST_HEADER_LINES = 100


@dataclass(frozen=True, slots=True)
class Pages:
    ready: Callable[[], str]  # empty, or what is missing
    metrics: Callable[[], bytes]


async def serve(host: str, port: int, pages: Pages) -> asyncio.Server:
    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_LINE_S):
                path = await _path(reader)
            writer.write(_response(path, pages))
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # whoever asked is gone, or did not speak HTTP
        finally:
            writer.close()

    return await asyncio.start_server(on_connection, host, port)


async def _path(reader: asyncio.StreamReader) -> str:
    """Raises ValueError for what is not a GET."""
    words = (await reader.readline()).decode("latin-1").split()
    for _ in range(_MOST_HEADER_LINES):
        if (await reader.readline()).strip() == b"":
            break
    if len(words) < 2 or words[0] != "GET":
        raise ValueError("not a GET")
    return words[1].partition("?")[0]


def _response(path: str, pages: Pages) -> bytes:
    if path == "/health":
        return _answer("200 OK", b"ok\n")
    if path == "/ready":
        missing = pages.ready()
        status = "503 Service Unavailable" if missing else "200 OK"
        return _answer(status, (missing or "ready").encode() + b"\n")
    if path == "/metrics":
        return _answer("200 OK", pages.metrics(), "text/plain; version=0.0.4; charset=utf-8")
    return _answer("404 Not Found", b"not found\n")


def _answer(status: str, body: bytes, kind: str = "text/plain; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
