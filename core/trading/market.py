"""Market data as the gateway and the venue judge by it: quotes in their order of arrival.

Every subscriber of a feed meets its messages in one common order. A decision that was caused by a
message is judged at the quote that stood when that message arrived, not at the newest one, so two
runs of a replay decide alike however far the processes are apart.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from trading.signals import Cause, Side
from trading.values import value

T = TypeVar("T")
_ZERO = Decimal(0)
_OUT_OF_ORDER_NS = 1_000_000_000  # what goes back further is of another run of the feed
_SET_BACKS_KEPT = 64  # of a symbol


class Quote(msgspec.Struct, gc=False):
    """Best bid and ask. Floats as they came: most quotes are never looked at again.

    One is made per tick and thousands are kept: a struct, which the garbage collector need not
    walk through. Not frozen, for speed; nobody changes one.
    """

    symbol: str
    sequence: int
    at_ns: int
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    arrived_ns: int = 0  # monotonic
    place: int = 0

    @property
    def bid(self) -> Decimal:
        return exact(self.bid_price)

    @property
    def ask(self) -> Decimal:
        return exact(self.ask_price)

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


@value(frozen=True, slots=True)
class Touch:
    """The best bid and ask that a decision is judged by, and how old they are by arrival."""

    bid: Decimal
    ask: Decimal
    age_ns: int = 0

    @classmethod
    def of(cls, quote: Quote, age_ns: int = 0) -> "Touch":
        return cls(quote.bid, quote.ask, age_ns)

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def taken_by(self, side: Side) -> Decimal:
        """The price that an order of that side meets: it buys at the ask, sells at the bid."""
        return self.ask if side is Side.BUY else self.bid


Market = Callable[[str], Touch | None]  # by symbol; None: no price is known


def priced(touch: Touch | None) -> Touch | None:
    """A book with one side only, or sides that cross, has no price."""
    return touch if touch is not None and _ZERO < touch.bid <= touch.ask else None


def mid_of(touch: Touch | None) -> Decimal | None:
    touch = priced(touch)
    return None if touch is None else touch.mid


def fresh_mid(touch: Touch | None, most_age_ns: int) -> Decimal | None:
    """None when it is unknown or too old."""
    return mid_of(touch) if touch is not None and touch.age_ns <= most_age_ns else None


def exact(number: float) -> Decimal:
    """The decimal that was written, not the nearest binary fraction: 0.1 is Decimal("0.1")."""
    return Decimal(repr(number))


class Tape:
    """The last `depth` messages of a feed, by stream and by place (their order of arrival)."""

    def __init__(self, depth: int = 16_384) -> None:
        self.depth = depth
        self.arrived = 0
        self._streams: dict[str, _Column[int]] = {}
        self._quotes: dict[str, _Column[Quote]] = {}
        self._set_back: dict[str, list[int]] = {}  # places whose quotes' time begins again

    def append(self, stream: str, sequence: int, quote: Quote | None = None) -> int:
        """Notes the next message and answers its place. Sequences rise within a stream."""
        self.arrived += 1
        place = self.arrived
        self._column(self._streams, stream).append(sequence, place)
        if quote is not None:
            quote.place = place
            column = self._column(self._quotes, quote.symbol)
            if column.values and quote.at_ns < column.values[-1].at_ns - _OUT_OF_ORDER_NS:
                self._begin_again(quote.symbol, place)
            column.append(place, quote)
        return place

    def _begin_again(self, symbol: str, place: int) -> None:
        places = self._set_back.setdefault(symbol, [])
        places.append(place)
        del places[:-_SET_BACKS_KEPT]

    def place(self, cause: Cause) -> int | None:
        """Where the causing message, or the last one of its stream before it, arrived.

        None when it has not arrived yet; 0 when it is older than the tape.
        """
        column = self._streams.get(cause.stream)
        if column is None or column.last_key < cause.sequence:
            return None
        return column.at_or_before(cause.sequence) or 0

    def holds(self, cause: Cause) -> bool:
        """Whether the causing message itself is here: it may have left, or never have come."""
        column = self._streams.get(cause.stream)
        return column is not None and column.has(cause.sequence)

    def quote(self, symbol: str, place: int) -> Quote | None:
        """The quote that stood when the message at `place` had arrived."""
        column = self._quotes.get(symbol)
        return column.at_or_before(place) if column else None

    def stood(self, symbol: str, place: int, step_ns: int, count: int) -> tuple[Quote | None, ...]:
        """The quotes that stood at `count` times a step apart, the last of them that of the quote
        that stood at `place`; oldest first. None: there was none within that step, since the
        quotes' time was set back last.
        """
        column, last = self._quotes.get(symbol), self.quote(symbol, place)
        if column is None or last is None:
            return (None,) * count
        times = (last.at_ns - step_ns * back for back in reversed(range(count)))
        since = self._run_began(symbol, place)
        found = ((at_ns, column.before(since, place, _time, at_ns)) for at_ns in times)
        return tuple(
            quote if quote is not None and 0 <= at_ns - quote.at_ns < step_ns else None
            for at_ns, quote in found
        )

    def _run_began(self, symbol: str, place: int) -> int:
        """Where what came before `place` was set back last."""
        places = self._set_back.get(symbol, [])
        found = bisect_right(places, place)
        return places[found - 1] if found else 0

    def latest(self, symbol: str) -> Quote | None:
        column = self._quotes.get(symbol)
        return column.values[-1] if column else None

    def after(self, symbol: str, place: int) -> Iterator[Quote]:
        """The quotes that arrived after `place`, oldest first."""
        column = self._quotes.get(symbol)
        return column.after(place) if column else iter(())

    def forgot(self, symbol: str) -> bool:
        """Whether quotes of the symbol have left the tape already."""
        column = self._quotes.get(symbol)
        return column is not None and column.cut

    def _column(self, columns: "dict[str, _Column[T]]", name: str) -> "_Column[T]":
        column = columns.get(name)
        if column is None:
            column = columns[name] = _Column(self.depth)
        return column


def _time(quote: Quote) -> int:
    return quote.at_ns


class _Column(Generic[T]):
    """Values under rising keys; the oldest leave once there are twice `depth` of them."""

    def __init__(self, depth: int) -> None:
        self.keys: list[int] = []
        self.values: list[T] = []
        self.cut = False
        self._most = 2 * depth

    @property
    def last_key(self) -> int:
        return self.keys[-1]

    def append(self, key: int, value: T) -> None:
        self.keys.append(key)
        self.values.append(value)
        if len(self.keys) > self._most:  # in one go: a shift per message would cost more
            del self.keys[: self._most // 2], self.values[: self._most // 2]
            self.cut = True

    def at_or_before(self, key: int) -> T | None:
        found = bisect_right(self.keys, key)
        return self.values[found - 1] if found else None

    def before(self, since: int, key: int, of: Callable[[T], int], most: int) -> T | None:
        """Of those from `since` to `key`, whose `of` rises, the last one of at most `most`."""
        first, end = bisect_left(self.keys, since), bisect_right(self.keys, key)
        found = bisect_right(self.values, most, lo=first, hi=end, key=of)
        return self.values[found - 1] if found > first else None

    def has(self, key: int) -> bool:
        found = bisect_right(self.keys, key)
        return found > 0 and self.keys[found - 1] == key

    def after(self, key: int) -> Iterator[T]:
        return iter(self.values[bisect_right(self.keys, key) :])
