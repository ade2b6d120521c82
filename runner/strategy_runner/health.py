"""`/health` `/ready` `/status` `/metrics` over HTTP, for probes and scrapers.

Four fixed answers to GET; nothing of a request is kept but its first line and its API key.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import msgspec

from strategy_runner.metrics import page
from strategy_runner.runner import Runner
from strategy_runner.settings import Settings
from strategy_runner.spec import RunnerSpec

_REQUEST_S = 2.0
_TEXT, _JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"

Answer = tuple[HTTPStatus, str, bytes]


@asynccontextmanager
async def serving(runner: Runner, settings: Settings, spec: RunnerSpec) -> AsyncIterator[int]:
    """Serves while the context lasts; answers the port. Raises OSError."""
    pages = _Pages(runner, settings.api_key, spec)
    server = await asyncio.start_server(
        pages.serve, settings.metrics_host, settings.metrics_port, limit=16_384
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


class _Pages:
    def __init__(self, runner: Runner, api_key: str, spec: RunnerSpec) -> None:
        self._runner = runner
        self._api_key = api_key
        self._spec = spec
        self._pages: dict[str, Callable[[str], Answer]] = {
            "/health": lambda key: (HTTPStatus.OK, _TEXT, b"ok\n"),
            "/ready": lambda key: self._ready(),
            "/status": self._status,
            "/metrics": lambda key: (HTTPStatus.OK, _TEXT, page(runner, spec.strategy)),
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(_response(self._answer(head)))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request: nobody is owed an answer
        finally:
            writer.close()

    def _answer(self, head: str) -> Answer:
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        make = self._pages.get(rest.partition(" ")[0].partition("?")[0])
        if make is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b"not found\n"
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET only\n"
        return make(_header(headers, "x-api-key"))

    def _ready(self) -> Answer:
        if self._runner.ready:
            return HTTPStatus.OK, _TEXT, b"ready\n"
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{self._runner.replica.phase}\n".encode()

    def _status(self, key: str) -> Answer:
        if not self._api_key or not hmac.compare_digest(key.encode(), self._api_key.encode()):
            return HTTPStatus.UNAUTHORIZED, _TEXT, b"X-API-Key\n"
        runner = self._runner
        status = {
            "strategy": self._spec.strategy,
            "revision": self._spec.revision,
            "phase": runner.replica.phase,
            "epoch": runner.replica.epoch,
            "gateway": runner.session.connected,
            "feed": runner.market.connected,
            "counters": runner.counters(),
        }
        return HTTPStatus.OK, _JSON, msgspec.json.encode(status)


def _header(headers: list[str], name: str) -> str:
    for header in headers:
        key, _, value = header.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _response(answer: Answer) -> bytes:
    status, kind, body = answer
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
