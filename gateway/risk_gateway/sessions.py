"""A runner's stream, outwards."""

import asyncio
from typing import Any

import grpc.aio

from handover.messages import GatewayMessage
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.session import gateway_message_to_proto

# What may wait for one runner that does not read. One snapshot may be larger than the bytes.
MOST_UNSENT = 10_000
MOST_UNSENT_BYTES = 16 * 1024 * 1024
Context = grpc.aio.ServicerContext[Any, Any]


class StreamSession:
    """One runner's stream, outwards: in order, and never more than a bound waits."""

    def __init__(self) -> None:
        self._outbox: asyncio.Queue[pb.GatewayMessage | None] = asyncio.Queue()
        self._unsent_bytes = 0
        self.closed = ""
        self.unread = False  # it was closed for what it did not read

    def send(self, message: GatewayMessage) -> None:
        if self.closed:
            return
        if self._outbox.qsize() >= MOST_UNSENT or self._unsent_bytes >= MOST_UNSENT_BYTES:
            waiting = f"{self._outbox.qsize()} messages, {self._unsent_bytes} bytes wait for it"
            self.unread = True
            self.close(f"the runner does not read: {waiting}")
            return
        made = gateway_message_to_proto(message)
        self._unsent_bytes += made.ByteSize()
        self._outbox.put_nowait(made)

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
            await context.write(message)
            self._unsent_bytes -= message.ByteSize()
