"""Market data as it comes over the wire and as a strategy reads it: one model for both.

`decode(payload)` answers one event or raises msgspec.MsgspecError. Unknown fields are ignored.
Prices and sizes are floats here (see docs/decisions); what a strategy asks for is exact again.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

Price = Annotated[float, msgspec.Meta(gt=0)]
Size = Annotated[float, msgspec.Meta(ge=0)]
Sequence = Annotated[int, msgspec.Meta(ge=0)]
Nanoseconds = Annotated[int, msgspec.Meta(gt=0, le=2**63 - 1)]
Level = tuple[Price, Size]

_SECOND_NS = 1_000_000_000


class _Event(msgspec.Struct, gc=False, kw_only=True):
    """What every message has. `timestamp` is RFC 3339 in UTC, or nanoseconds since 1970."""

    symbol: str
    sequence: Sequence
    timestamp: Nanoseconds | str
    session: str = ""

    @property
    def at_ns(self) -> int:
        """Nanoseconds since 1970 UTC. Raises ValueError for a text that is not RFC 3339."""
        stamp = self.timestamp
        return stamp if stamp.__class__ is int else nanoseconds(stamp)  # type: ignore[arg-type]  # by class, for speed


class Tick(_Event, gc=False, kw_only=True, tag_field="type", tag="tick"):
    """Best bid and ask. `last_price` is missing until something traded."""

    bid_price: Price
    ask_price: Price
    bid_size: Size = 0.0
    ask_size: Size = 0.0
    last_price: Price | None = None
    volume: Size | None = None
    volume_quote: Size | None = None

    @property
    def mid(self) -> float:
        return (self.bid_price + self.ask_price) / 2


class Trade(_Event, gc=False, kw_only=True, tag_field="type", tag="trade"):
    """One trade; `side` is the aggressor's."""

    last_price: Price
    volume: Size
    volume_quote: Size | None = None
    side: Literal["buy", "sell"] | None = None


class Book(_Event, gc=False, kw_only=True, tag_field="type", tag="book"):
    """Levels as (price, size), best first."""

    bids: list[Level]
    asks: list[Level]

    @property
    def bid_price(self) -> float:
        return self.bids[0][0]

    @property
    def ask_price(self) -> float:
        return self.asks[0][0]


class Candle(_Event, gc=False, kw_only=True, tag_field="type", tag="candle"):
    open: Price
    high: Price
    low: Price
    close: Price
    interval: str
    volume: Size | None = None
    volume_quote: Size | None = None


Event = Tick | Trade | Book | Candle

decode = msgspec.json.Decoder(Event).decode


def nanoseconds(stamp: str) -> int:
    """RFC 3339 to nanoseconds since 1970 UTC, with up to nine decimals. Raises ValueError."""
    head, _, tail = stamp.partition(".")
    digits = tail.rstrip("Zz")
    zone = ""
    for sign in "+-":
        if sign in digits:
            digits, _, offset = digits.partition(sign)
            zone = sign + offset
    if tail and not (digits.isdigit() and len(digits) <= 9):
        raise ValueError(f"timestamp {stamp!r}: expected RFC 3339 with at most nine decimals")
    moment = datetime.fromisoformat(head + zone if tail else stamp)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _SECOND_NS + int(digits.ljust(9, "0") or 0)
