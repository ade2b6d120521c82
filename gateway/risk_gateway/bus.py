"""NATS as the gateway uses it: one connection that is kept up, and the two streams it needs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import BadRequestError

FILLS_STREAM: Final = "TRADING_FILLS"
FILLS_SUBJECT: Final = "trading.fills"
POSITIONS_STREAM: Final = "TRADING_POSITIONS"
POSITIONS_SUBJECT: Final = "trading.positions"

Trouble = (NatsError, TimeoutError, OSError)  # what a bus that is away raises
RETRY_S = 0.2
_RECONNECT_S = 0.1
_PING_S = 2
_NAME_IN_USE = 10058  # the stream exists, with settings of somebody else's choice

log = structlog.get_logger()


class Bus:
    """`run` keeps the connection up; `serve` runs a user of it again whenever it broke."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._up = asyncio.Event()
        self._reconnected: list[Callable[[], None]] = []
        self.client = Client()

    @property
    def connected(self) -> bool:
        return bool(self.client.is_connected)

    def on_reconnected(self, call: Callable[[], None]) -> None:
        self._reconnected.append(call)

    async def run(self) -> None:
        """Until cancelled. A client that gave up is replaced by a new one."""
        while True:
            closed = asyncio.Event()
            self.client = Client()
            await self._connect(closed)
            self._up.set()
            try:
                await closed.wait()
            finally:
                self._up.clear()
                await self.client.close()

    async def serve(self, what: str, use: Callable[[Client], Awaitable[None]]) -> None:
        """Calls `use(client)` for as long as it raises Trouble, each time the bus is back."""
        while True:
            await self._up.wait()
            try:
                await use(self.client)
            except Trouble as error:
                log.warning("bus_trouble", what=what, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _connect(self, closed: asyncio.Event) -> None:
        async def on_closed() -> None:
            closed.set()

        async def on_reconnected() -> None:
            log.info("bus_reconnected")
            for call in self._reconnected:
                call()

        async def on_disconnected() -> None:
            log.warning("bus_disconnected")

        async def on_error(error: Exception) -> None:
            log.debug("bus_error", error=str(error))

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
        )


async def ensure_stream(client: Client, name: str, subject: str) -> None:
    """The stream exists afterwards; one that was made by others is taken as it is."""
    config = StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE)
    try:
        await client.jetstream().add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
