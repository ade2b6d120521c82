"""NATS as the gateway uses it: one connection that is kept up, and the two streams it needs."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import BadRequestError

from risk_gateway.tls import CERTIFICATE, KEY
from risk_gateway.venue_tls import CA
from stratops_process.cancelling import cancellable

FILLS_STREAM: Final = "TRADING_FILLS"
FILLS_SUBJECT: Final = "trading.fills"
POSITIONS_STREAM: Final = "TRADING_POSITIONS"
POSITIONS_SUBJECT: Final = "trading.positions"

USERNAME, PASSWORD = "username", "password"

Trouble = (NatsError, TimeoutError, OSError)  # what a bus that is away raises
Read = Callable[[], str]
RETRY_S = 0.2
_RECONNECT_S = 0.1
_PING_S = 2
_CLOSE_S = 0.3
_NAME_IN_USE = 10058  # the stream exists, with settings of somebody else's choice

log = structlog.get_logger()


class PlainText(NatsError):
    """A server that asks for no TLS, where tls:// was said."""


class _Client(Client):
    """With a folder (`ca.crt`; `tls.crt` and `tls.key` for mTLS), which is read at each connection.

    By itself the library goes on in plain text, password and all, when a server, or whoever stands
    before it, does not ask for TLS.
    """

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self._folder = folder

    @property
    def ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._folder / CA if self._folder else None)
        if self._folder is not None and (self._folder / CERTIFICATE).exists():
            context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        return context

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        wants_tls = server is not None and server.uri.scheme == "tls"
        if initial_connection and wants_tls and not info.get("tls_required"):
            raise PlainText("nats: the server does not ask for TLS, expected it of tls://")
        await super()._process_info(info, initial_connection)


class Bus:
    """`run` keeps the connection up; `serve` runs a user of it again whenever it broke."""

    def __init__(self, url: str, folder: Path | None = None) -> None:
        """With a folder of certificates, and of `username` and `password`, the url is tls://."""
        self._url = url
        self._folder = folder
        self._up = asyncio.Event()
        self._reconnected: list[Callable[[], None]] = []
        self.client: Client = _Client(folder)

    @property
    def connected(self) -> bool:
        return bool(self.client.is_connected)

    def on_reconnected(self, call: Callable[[], None]) -> None:
        self._reconnected.append(call)

    async def run(self) -> None:
        """Until cancelled. A client that gave up is replaced by a new one."""
        while True:
            closed = asyncio.Event()
            self.client = _Client(self._folder)
            try:
                await self._connect(closed)
            except Trouble as error:  # of files that are being rotated, too
                log.warning("bus_trouble", what="connect", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            self._up.set()
            try:
                await closed.wait()
            finally:
                self._up.clear()
                await self._close()

    async def _close(self) -> None:
        """Where nobody answers, TLS alone would take 30 s for its goodbye."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.client.close()
        except Trouble as error:
            log.debug("bus_trouble", what="close", error=str(error))

    async def serve(self, what: str, use: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        """Calls `use(client)` for as long as it raises Trouble, each time the bus is back."""
        while True:
            await self._up.wait()
            try:
                await cancellable(use(self.client))
            except Trouble as error:
                log.warning("bus_trouble", what=what, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _connect(self, closed: asyncio.Event) -> None:
        async def on_closed() -> None:
            closed.set()

        user, password = self._credentials()
        said = ""

        async def on_reconnected() -> None:
            nonlocal said
            said = ""
            log.info("bus_reconnected")
            for call in self._reconnected:
                call()

        async def on_disconnected() -> None:
            log.warning("bus_disconnected")

        async def on_error(error: Exception) -> None:
            nonlocal said
            if str(error) != said:
                log.warning("bus_error", error=str(error))
            said = str(error)

        await self.client.connect(
            self._url,
            name="risk-gateway",
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # seconds, slept as they are
            ping_interval=_PING_S,
            max_outstanding_pings=2,
            closed_cb=on_closed,
            reconnected_cb=on_reconnected,
            disconnected_cb=on_disconnected,
            error_cb=on_error,
            user=user,
            password=password,
        )

    def _credentials(self) -> tuple[Read | None, Read | None]:
        """Read anew by the client each time that it says who it is."""
        if self._folder is None or not (self._folder / USERNAME).exists():
            return None, None
        user, password = self._folder / USERNAME, self._folder / PASSWORD
        return partial(_read, user), partial(_read, password)


def _read(file: Path) -> str:
    """Empty while it cannot be read: the server refuses that, and is asked again."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


async def ensure_stream(client: Client, name: str, subject: str) -> None:
    """The stream exists afterwards; one that was made by others is taken as it is."""
    config = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE)
    try:
        await client.jetstream().add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
