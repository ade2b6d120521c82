"""Publishes fills to JetStream until they are acknowledged, oldest first.

The outbox is on disk: whatever happens to NATS or to this process, a fill that was made is sent
again until it is known to be stored. `Nats-Msg-Id` is the fill id, so JetStream keeps one of each
within its window, and readers know repeats by it for ever.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import PubAck, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from paper_venue.log import Log
from paper_venue.store import Outgoing
from stratops_process.cancelling import cancellable

STREAM = "TRADING_FILLS"
SUBJECT = "trading.fills"
DUPLICATE_WINDOW_S = 600.0
TROUBLE = (nats.errors.Error, OSError, TimeoutError)  # what a NATS that is away raises


class Outbox(Protocol):
    async def unpublished(self, limit: int) -> list[Outgoing]: ...

    async def published(self, fills: Iterable[Outgoing]) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    reconnect_s: float = 0.1
    connect_s: float = 2.0
    ping_s: float = 2.0
    ack_s: float = 1.0
    pause_s: float = 0.1  # after a failure
    close_s: float = 0.3


class Publisher:
    """`run()` it as a task; `wake()` when there is news in the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        url: str,
        log: Log,
        batch: int = 256,
        timing: Timing = Timing(),  # frozen
    ) -> None:
        self.published = 0
        self._outbox = outbox
        self._url = url
        self._log = log
        self._batch = batch
        self._timing = timing
        self._news = asyncio.Event()
        self._news.set()  # an earlier life may have left something
        self._in_trouble = False

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Until cancelled. A client that gave up is replaced."""
        while True:
            client = await cancellable(self._connected())
            try:
                await cancellable(self._serve(client))
            finally:
                await self._close(client)

    async def _serve(self, client: Client) -> None:
        stream = client.jetstream(timeout=self._timing.ack_s)
        while not client.is_closed:
            try:
                await _ensure_stream(stream)
                await self._empty_outbox(stream)
                self._note_recovery()
                await self._news.wait()
            except TROUBLE as error:
                self._note_trouble(error)
                await asyncio.sleep(self._timing.pause_s)

    async def _empty_outbox(self, stream: JetStreamContext) -> None:
        """Raises what went wrong."""
        self._news.clear()
        while fills := await self._outbox.unpublished(self._batch):
            stored, error = await self._stored(stream, fills)
            await self._outbox.published(stored)
            self.published += len(stored)
            if error is not None:
                raise error

    async def _stored(
        self, stream: JetStreamContext, fills: Sequence[Outgoing]
    ) -> tuple[Sequence[Outgoing], Exception | None]:
        """Which of the fills are known to be in the stream, and why not all of them."""
        acks: list[asyncio.Future[PubAck]] = []
        failure = None
        try:
            async with asyncio.timeout(self._timing.ack_s):
                for fill in fills:
                    headers = {"Nats-Msg-Id": fill.fill_id}
                    acks.append(await stream.publish_async(SUBJECT, fill.body, headers=headers))
                await asyncio.gather(*acks)
        except TROUBLE as error:
            failure = error
        for ack in acks:
            ack.cancel()  # frees what waits for an answer that will not come
        stored = [fill for fill, ack in zip(fills, acks, strict=False) if _arrived(ack)]
        return stored, failure

    async def _connected(self) -> Client:
        """Tries for ever; later losses of the link are the client's own to repair."""
        client: Client = await nats.connect(
            self._url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=self._timing.reconnect_s,
            connect_timeout=self._timing.connect_s,
            ping_interval=self._timing.ping_s,
            max_outstanding_pings=2,
            error_cb=self._on_error,
        )
        return client

    async def _close(self, client: Client) -> None:
        try:
            async with asyncio.timeout(self._timing.close_s):
                await client.close()
        except TROUBLE:
            pass  # the process ends with it

    async def _on_error(self, error: Exception) -> None:
        self._note_trouble(error)

    def _note_trouble(self, error: Exception) -> None:
        if not self._in_trouble:
            self._log("fills_not_published", error=repr(error))
        self._in_trouble = True

    def _note_recovery(self) -> None:
        if self._in_trouble:
            self._log("fills_published_again")
        self._in_trouble = False


async def _ensure_stream(stream: JetStreamContext) -> None:
    """One that somebody else made is taken as it is."""
    try:
        await stream.stream_info(STREAM)
    except NotFoundError:
        await stream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=[SUBJECT],
                storage=StorageType.FILE,
                duplicate_window=DUPLICATE_WINDOW_S,
            )
        )


def _arrived(ack: asyncio.Future[PubAck]) -> bool:
    return ack.done() and not ack.cancelled() and ack.exception() is None
