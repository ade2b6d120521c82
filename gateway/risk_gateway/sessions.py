"""A runner's stream, outwards."""

import asyncio
from typing import Any

import grpc.aio

from handover.messages import GatewayMessage
from stratops_wire.session import gateway_message_to_proto

MOST_UNSENT = 10_000  # messages to one runner that does not read them
Context = grpc.aio.ServicerContext[Any, Any]


class StreamSession:
    """One runner's stream, outwards: in order, and never more than a bound waits."""

    def __init__(self) -> None:
        self._outbox: asyncio.Queue[GatewayMessage | None] = asyncio.Queue()
        self.closed = ""

    def send(self, message: GatewayMessage) -> None:
        if self.closed:
            return
        if self._outbox.qsize() >= MOST_UNSENT:
            self.close("the runner does not read")
            return
        self._outbox.put_nowait(message)

    def close(self, reason: str) -> None:
        """What was sent before still goes out."""
        if not self.closed:
            self.closed = str(reason) or "closed"  # exactly a str: gRPC takes no enum member
            self.end()

    def end(self) -> None:
        self._outbox.put_nowait(None)

    async def write(self, context: Context) -> None:
        """Returns when the session is closed."""
        while (message := await self._outbox.get()) is not None:
            await context.write(gateway_message_to_proto(message))
