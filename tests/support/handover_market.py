"""A market of three streams of different rates, and a small strategy that minds every detail.

What the strategy decides depends on the last `MEMORY` ticks of all streams in their order, on its
position, and on its own orders under way, so a tick missed, doubled or swapped, or a fill that
falls elsewhere, changes what comes after.
"""

import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal

from handover.messages import Holdings, Mark, OrderFill, Outcome
from trading.signals import Cause, Side, Signal

MEMORY = 6
SESSION = "run"
_STREAMS = ("A/tick", "A/tick", "B/tick", "A/tick", "A/book", "A/tick", "A/tick")
_MODULUS = 1_000_003


def ticks(session: str = SESSION) -> Iterator[bytes]:
    """Endless: `session|stream|sequence|price`."""
    counts = dict.fromkeys(_STREAMS, 0)
    price = 7
    while True:
        for stream in _STREAMS:
            counts[stream] += 1
            price = (price * 48_271 + 11) % _MODULUS
            yield f"{session}|{stream}|{counts[stream]}|{price}".encode()


class Mini:
    """The strategy in its host."""

    def __init__(self, every: int = 3) -> None:
        self.every = every  # a signal on about one tick of so many
        self.last: dict[str, int] = {}
        self.last_session = ""
        self.begun()

    def begun(self) -> None:
        self.memory: deque[int] = deque(maxlen=MEMORY)
        self.position = 0
        self.pending: set[str] = set()

    def apply(self, payload: bytes) -> tuple[Signal, ...] | None:
        session, stream, text, price = payload.decode().split("|")
        sequence = int(text)
        if sequence <= self.last.get(stream, 0):
            return None
        self.last[stream] = sequence
        self.last_session = session
        self.memory.append(int(price) * 31 + sequence)
        mood = self.mood()
        if mood % self.every:
            return ()
        symbol, _, kind = stream.partition("/")
        return (
            Signal(
                id=f"{session}/{stream}/{sequence}",
                symbol=symbol,
                cause=Cause(symbol, kind, sequence, sequence),
                at_ns=sequence,
                side=Side.BUY if mood & 4 else Side.SELL,
                quantity=Decimal(1 + mood % 9),
            ),
        )

    def mood(self) -> int:
        value = self.position * 7 + len(self.pending)
        for each in self.memory:
            value = (value * 131 + each) % _MODULUS
        return value

    def expect(self, signal: Signal) -> None:
        self.pending.add(signal.id)

    def take(self, outcome: Outcome) -> None:
        self.pending.discard(outcome.signal_id)
        if isinstance(outcome.what, OrderFill):
            self.position += int(outcome.what.quantity) * outcome.what.side.sign

    def begin(self, holdings: Holdings) -> None:
        self.begun()
        self.set_holdings(holdings)

    def restore(self, mark: Mark, state: bytes, holdings: Holdings) -> None:
        self.begun()
        self.last, self.last_session = dict(mark.sequences), mark.session
        if state:
            memory, self.position, pending = json.loads(state)
            self.memory.extend(memory)
            self.pending = set(pending)
        else:
            self.set_holdings(holdings)

    def snapshot(self) -> bytes:
        return json.dumps([list(self.memory), self.position, sorted(self.pending)]).encode()

    def set_holdings(self, holdings: Holdings) -> None:
        self.position = int(sum(holdings.positions.values()))
        self.pending = {order.signal_id for order in holdings.working}

    def is_warm(self) -> bool:
        return len(self.memory) == MEMORY

    def digest(self) -> int:
        return zlib.crc32(self.snapshot()) or 1

    def sequences(self) -> Mapping[str, int]:
        return dict(self.last)

    def session(self) -> str:
        return self.last_session
