"""`/health` `/ready` `/metrics` over HTTP, for probes and scrapers: just enough of it.

Fixed answers to GET. Written on a bare protocol, because each turn of the loop counts: a busy
process answers within four of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"

_REQUEST_S = 5.0
_LONGEST = 16_384  # bytes of a request


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    kind: str = TEXT

    def encoded(self) -> bytes:
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: {self.kind}\r\n"
            f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + self.body


Headers = Mapping[str, str]  # names in lower case
Page = Callable[[Headers], Answer]


def standard(missing: Callable[[], str], metrics: Callable[[], bytes]) -> dict[str, Page]:
    """The three that every process has. `missing` says what it is not ready for; empty: it is."""

    def ready(_: Headers) -> Answer:
        lacks = missing()
        if lacks:
            return Answer(f"{lacks}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)
        return Answer(b"ready\n")

    return {
        "/health": lambda _: Answer(b"ok\n"),  # that it was answered is the news: the loop turns
        "/ready": ready,
        "/metrics": lambda _: Answer(metrics(), kind=METRICS),
    }


@asynccontextmanager
async def serving(host: str, port: int | None, pages: Mapping[str, Page]) -> AsyncIterator[int]:
    """Serves while the context lasts; answers the port. Without a port nothing is served.

    Raises OSError that names address and reason.
    """
    if port is None:
        yield 0
        return
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(pages), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()  # not waited for: a slow reader must not hold up the end


class _Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._request = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is none of asyncio's
        self._deadline = asyncio.get_running_loop().call_later(_REQUEST_S, transport.abort)  # type: ignore[attr-defined]  # as above

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._request += data
        head, complete, _ = bytes(self._request).partition(b"\r\n\r\n")
        if complete:
            self._transport.write(_answer(head.decode("latin-1"), self._pages).encoded())
            self._transport.close()
        elif len(self._request) > _LONGEST:
            self._transport.abort()  # not a request: nobody is owed an answer

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()


def _answer(head: str, pages: Mapping[str, Page]) -> Answer:
    request, *headers = head.split("\r\n")
    method, _, rest = request.partition(" ")
    page = pages.get(rest.partition(" ")[0].partition("?")[0])
    if page is None:
        return Answer(b"not found\n", HTTPStatus.NOT_FOUND)
    if method != "GET":
        return Answer(b"GET only\n", HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        return page(dict(map(_header, headers)))
    except Exception as error:  # noqa: BLE001  # a page that cannot be made is no reason to stop trading
        return Answer(f"{error!r}\n".encode(), HTTPStatus.INTERNAL_SERVER_ERROR)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
