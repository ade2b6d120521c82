"""Positions on their way to the world: `trading.positions`, after what they rest on is durable.

A position is a state: while NATS is away, older ones of the same strategy and symbol give way.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable
from decimal import Decimal

import msgspec
from nats.aio.client import Client
from nats.js import JetStreamContext

from risk_gateway.bus import POSITIONS_STREAM, POSITIONS_SUBJECT, Bus, ensure_stream
from stratops_wire.scalars import text_of
from trading.values import value

MOST_WAITING = 1_000
_MOST = 100  # on their way at a time
_ACK_S = 2.0


@value(frozen=True, slots=True)
class PositionUpdate:
    """`number` is the strategy's outcome that made it so: it rises, and names the message."""

    strategy: str
    symbol: str
    number: int
    quantity: Decimal  # signed
    average_price: Decimal | None
    price: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    at_ns: int

    @property
    def message_id(self) -> str:
        return f"{self.strategy}:{self.number}"

    def payload(self) -> bytes:
        side = "flat" if not self.quantity else "long" if self.quantity > 0 else "short"
        return msgspec.json.encode(
            {
                "symbol": self.symbol,
                "side": side,
                "quantity": text_of(abs(self.quantity)),
                "avg_entry_price": text_of(self.average_price) or "0",
                "current_price": text_of(self.price) or None,
                "unrealized_pnl": text_of(self.unrealized_pnl) or None,
                "realized_pnl": text_of(self.realized_pnl),
                "timestamp": self.at_ns,
                "strategy": self.strategy,
            }
        )


class PositionPublisher:
    """`run()` it as a task. In their order, many under way, each until JetStream has it.

    When one fails, only the newest of each position is sent again: an older one may never come
    after a newer one.
    """

    def __init__(self, bus: Bus, most: int = MOST_WAITING) -> None:
        self._bus = bus
        self._most = most
        self.waiting: deque[PositionUpdate] = deque()
        self._sending: list[PositionUpdate] = []
        self._news = asyncio.Event()
        self.published = 0

    @property
    def unpublished(self) -> int:
        return len(self.waiting) + len(self._sending)

    def publish(self, update: PositionUpdate) -> None:
        self.waiting.append(update)
        if len(self.waiting) > self._most:
            self.waiting = _newest_of_each(self.waiting)
        self._news.set()

    async def run(self) -> None:
        await self._bus.serve("positions", self._publish)

    async def _publish(self, client: Client) -> None:
        self.waiting = _newest_of_each([*self._sending, *self.waiting])
        self._sending = []
        await ensure_stream(client, POSITIONS_STREAM, POSITIONS_SUBJECT)
        stream = client.jetstream()
        while True:
            while not self.waiting:
                self._news.clear()
                await self._news.wait()
            self._sending = [self.waiting.popleft() for _ in range(min(_MOST, len(self.waiting)))]
            async with asyncio.timeout(_ACK_S):
                await asyncio.gather(*[await _sent(stream, each) for each in self._sending])
            self.published += len(self._sending)
            self._sending = []


async def _sent(stream: JetStreamContext, update: PositionUpdate) -> Awaitable[object]:
    """On its way; the answer is JetStream's acknowledgement."""
    headers = {"Nats-Msg-Id": update.message_id}
    return await stream.publish_async(POSITIONS_SUBJECT, update.payload(), headers=headers)


def _newest_of_each(updates: Iterable[PositionUpdate]) -> deque[PositionUpdate]:
    newest: dict[tuple[str, str], PositionUpdate] = {}
    for each in updates:
        newest.pop((each.strategy, each.symbol), None)  # so that it moves to the end
        newest[each.strategy, each.symbol] = each
    return deque(newest.values())
