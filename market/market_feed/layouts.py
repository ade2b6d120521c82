"""The kinds of CSV files, known by their header: which column becomes which field of a message.

Numbers are copied as text, so a message says exactly what the file said.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from strategy_sdk.market import nanoseconds

_LEVEL = re.compile(r"(bid|ask)_price_(\d+)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_SIDES = ("buy", "sell", "")


@dataclass(frozen=True, slots=True)
class Kind:
    """A header with all columns of `required` is of this kind; columns not named are ignored."""

    name: str
    type: str
    required: Mapping[str, str]  # column -> field
    optional: Mapping[str, str]
    texts: Mapping[str, str]


QUOTES = Kind(
    "quotes",
    "tick",
    {name: name for name in ("bid_price", "bid_size", "ask_price", "ask_size")},
    {name: name for name in ("last_price", "volume", "volume_quote")},
    {},
)
BACKTEST = Kind(
    "backtest",
    "tick",
    {
        "bid_price": "bid_price",
        "bid_qty": "bid_size",
        "ask_price": "ask_price",
        "ask_qty": "ask_size",
    },
    {},
    {},
)
TRADES = Kind("trades", "trade", {"price": "last_price", "size": "volume"}, {}, {"side": "side"})
CANDLES = Kind(
    "candles",
    "candle",
    {name: name for name in ("open", "high", "low", "close")},
    {name: name for name in ("volume", "volume_quote")},
    {"interval": "interval"},
)
BOOK = Kind("book", "book", {"bid_price_1": "bids", "ask_price_1": "asks"}, {}, {})
KINDS = (BOOK, CANDLES, QUOTES, BACKTEST, TRADES)


class UnknownHeader(ValueError):
    """A first line that belongs to no kind of file."""


class InvalidCell(ValueError):
    """A value that its column cannot have; says column, value and what was expected."""

    def __init__(self, column: str, value: str, expected: str) -> None:
        super().__init__(f"column {column}: {value!r}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file of this kind keeps what."""

    kind: Kind
    columns: tuple[str, ...]
    time: int
    read_time: Callable[[str], int]
    symbol: int
    sequence: int | None
    numbers: tuple[tuple[str, int], ...]  # (',"field":', place)
    texts: tuple[tuple[str, int], ...]
    sides: tuple[
        tuple[str, tuple[tuple[int, int], ...]], ...
    ]  # of a book: its (price, size) places

    @classmethod
    def of(cls, header: str) -> "Layout":
        """Raises UnknownHeader."""
        columns = tuple(name.strip() for name in header.split(","))
        place = {name: at for at, name in enumerate(columns)}
        kind = next((kind for kind in KINDS if _is_of(kind, place)), None)
        if kind is None:
            raise UnknownHeader(f"header {header[:200]!r}, expected one of: {_expectations()}")
        time, read_time = ("ts_ns", int) if "ts_ns" in place else ("timestamp", nanoseconds)
        fields = {} if kind is BOOK else {**kind.required, **kind.optional}
        return cls(
            kind=kind,
            columns=columns,
            time=place[time],
            read_time=read_time,
            symbol=place["symbol"],
            sequence=place.get("sequence"),
            numbers=_places(fields, place),
            texts=_places(kind.texts, place),
            sides=_sides(place) if kind is BOOK else (),
        )

    def body(self, cells: Sequence[str]) -> str:
        """The message's fields after the timestamp, as JSON text; an empty cell is left out."""
        parts = [head + cells[at] for head, at in self.numbers if cells[at]]
        parts += [f'{head}"{cells[at]}"' for head, at in self.texts if cells[at]]
        parts += [head + _levels(cells, places) for head, places in self.sides]
        return "".join(parts)

    def explain(self, cells: Sequence[str]) -> None:
        """Raises InvalidCell for the first cell that no message of this kind can have."""
        for at, column in enumerate(self.columns):
            _check(self.kind, column, cells[at])


def _is_of(kind: Kind, place: Mapping[str, int]) -> bool:
    timed = "ts_ns" in place or "timestamp" in place
    return timed and "symbol" in place and kind.required.keys() <= place.keys()


def _places(fields: Mapping[str, str], place: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    found = ((field, place[column]) for column, field in fields.items() if column in place)
    return tuple((f',"{field}":', at) for field, at in found)


def _sides(place: Mapping[str, int]) -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
    return tuple((f',"{side}s":', _levels_of(side, place)) for side in ("bid", "ask"))


def _levels_of(side: str, place: Mapping[str, int]) -> tuple[tuple[int, int], ...]:
    found = (_LEVEL.fullmatch(column) for column in place)
    levels = sorted(int(match[2]) for match in found if match and match[1] == side)
    sizes = [f"{side}_size_{level}" for level in levels]
    missing = [name for name in sizes if name not in place]
    if missing:
        raise UnknownHeader(f"a book without the column {missing[0]}")
    return tuple(
        (place[f"{side}_price_{level}"], place[size])
        for level, size in zip(levels, sizes, strict=True)
    )


def _levels(cells: Sequence[str], places: tuple[tuple[int, int], ...]) -> str:
    return f"[{','.join(f'[{cells[p]},{cells[s]}]' for p, s in places if cells[p])}]"


def _check(kind: Kind, column: str, value: str) -> None:
    if column in kind.texts:
        if column == "side" and value not in _SIDES:
            raise InvalidCell(column, value, "buy, sell or nothing")
        return
    base = column.rstrip("0123456789").rstrip("_") if kind is BOOK else column
    is_price = base in ("bid_price", "ask_price", "price", "open", "high", "low", "close")
    is_size = base in ("bid_size", "ask_size", "bid_qty", "ask_qty", "size", "volume")
    if not value and (column in kind.optional or kind is BOOK):
        return
    if (is_price or is_size or column in kind.optional) and not _NUMBER.fullmatch(value):
        raise InvalidCell(column, value, "a decimal number")
    if (is_price or column == "last_price") and float(value) <= 0:
        raise InvalidCell(column, value, "a price above 0")
    if is_size and float(value) < 0:
        raise InvalidCell(column, value, "0 or more")


def _expectations() -> str:
    """On one line: the desk quotes the last line of what the feed said before it ended."""
    kinds = (f"{kind.name} ({', '.join(kind.required)})" for kind in KINDS)
    return f"{', '.join(kinds)}; each with timestamp or ts_ns, and symbol"
