"""The first look at every message: decoded and checked, or dropped and counted by reason.

Pure. A stream is a symbol and a type; within it sequences rise, gaps are normal.
"""

from collections import Counter
from collections.abc import Collection
from enum import StrEnum

import msgspec

from strategy_sdk.market import Book, Candle, Event, Tick, Trade, decode

MAX_SIZE = 1_000_000  # bytes of one message
_MAX_SEQUENCE = 2**64 - 1
_MAX_NS = 2**63 - 1
_TYPES: dict[type, str] = {Tick: "tick", Trade: "trade", Book: "book", Candle: "candle"}


class Dropped(StrEnum):
    """Why a message was dropped."""

    MALFORMED = "malformed"
    CROSSED = "crossed"
    SEQUENCE_BACK = "sequence_back"
    ALREADY_SEEN = "already_seen"  # sent again by a restarted feed; expected
    UNKNOWN_SYMBOL = "unknown_symbol"
    TOO_LARGE = "too_large"
    BAD_TIMESTAMP = "bad_timestamp"
    NOT_FINITE = "not_finite"


class _Stream:
    __slots__ = ("count", "last", "session")

    def __init__(self) -> None:
        self.count = 0
        self.last = -1
        self.session = ""


class Intake:
    """Takes payloads in their order of arrival; too large ones were refused before.

    `symbols` None accepts every symbol. The events it answers have integer timestamps, whatever
    the message had. `dropped` counts by reason.
    """

    __slots__ = ("_streams", "_symbols", "_ticks", "dropped")

    def __init__(self, symbols: Collection[str] | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._symbols = None if symbols is None else frozenset(symbols)
        self._streams: dict[type, dict[str, _Stream]] = {kind: {} for kind in _TYPES}
        self._ticks = self._streams[Tick]

    def accept(self, payload: bytes) -> Event | None:
        """The event, or None when the message is dropped."""
        try:
            event = decode(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            return self._drop(_reason_of(error, payload))
        # What nearly every message is, in one condition; what is not is looked at again, slowly.
        if (
            event.__class__ is Tick
            and (stream := self._ticks.get(event.symbol)) is not None
            and event.bid_price <= event.ask_price
            and stream.last < (sequence := event.sequence) <= _MAX_SEQUENCE
            and event.timestamp.__class__ is int
        ):
            stream.last = sequence
            stream.session = event.session
            stream.count += 1
            return event
        return self._judge(event)

    @property
    def sequences(self) -> dict[str, int]:
        """The last sequence accepted, by "SYMBOL/type"."""
        return {
            f"{symbol}/{_TYPES[kind]}": stream.last
            for kind, streams in self._streams.items()
            for symbol, stream in streams.items()
        }

    @property
    def accepted(self) -> dict[tuple[str, str], int]:
        """How many were accepted, by symbol and type."""
        return {
            (symbol, _TYPES[kind]): stream.count
            for kind, streams in self._streams.items()
            for symbol, stream in streams.items()
            if stream.count
        }

    def resume(self, sequences: dict[str, int], session: str = "") -> None:
        """Goes on after `sequences`, as if they had been accepted in `session`."""
        kinds = {name: kind for kind, name in _TYPES.items()}
        for name, last in sequences.items():
            symbol, _, kind = name.rpartition("/")
            stream = self._streams[kinds[kind]].setdefault(symbol, _Stream())
            stream.last, stream.session = last, session

    def _judge(self, event: Event) -> Event | None:
        if self._symbols is not None and event.symbol not in self._symbols:
            return self._drop(Dropped.UNKNOWN_SYMBOL)
        wrong = _content_is_wrong(event) or _time_is_wrong(event)
        if wrong:
            return self._drop(wrong)
        stream = self._streams[event.__class__].setdefault(event.symbol, _Stream())
        if event.sequence <= stream.last:
            return self._drop(
                Dropped.SEQUENCE_BACK if event.session == stream.session else Dropped.ALREADY_SEEN
            )
        stream.last, stream.session = event.sequence, event.session
        stream.count += 1
        return event

    def _drop(self, reason: Dropped) -> Event | None:
        self.dropped[reason] += 1
        return None


def _reason_of(error: Exception, payload: bytes) -> Dropped:
    text = str(error)
    if "Number out of range" in text or b"NaN" in payload or b"Infinity" in payload:
        return Dropped.NOT_FINITE
    return Dropped.BAD_TIMESTAMP if "`$.timestamp`" in text else Dropped.MALFORMED


def _time_is_wrong(event: Event) -> Dropped | None:
    """Turns a text into nanoseconds in place."""
    try:
        stamp = event.timestamp = event.at_ns
    except (ValueError, OverflowError):
        return Dropped.BAD_TIMESTAMP
    return None if 0 < stamp <= _MAX_NS else Dropped.BAD_TIMESTAMP


def _content_is_wrong(event: Event) -> Dropped | None:
    if event.sequence > _MAX_SEQUENCE or not event.symbol:
        return Dropped.MALFORMED
    if isinstance(event, Tick):
        return Dropped.CROSSED if event.bid_price > event.ask_price else None
    if isinstance(event, Book):
        return _book_is_wrong(event)
    if isinstance(event, Candle):
        low, high = min(event.open, event.close), max(event.open, event.close)
        return None if event.low <= low and high <= event.high else Dropped.MALFORMED
    return None


def _book_is_wrong(book: Book) -> Dropped | None:
    bids = [price for price, _ in book.bids]
    asks = [price for price, _ in book.asks]
    if not bids or not asks or bids != sorted(bids, reverse=True) or asks != sorted(asks):
        return Dropped.MALFORMED
    return Dropped.CROSSED if bids[0] > asks[0] else None
