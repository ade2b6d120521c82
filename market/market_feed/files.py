"""Market data files, read row by row: CSV or JSON lines, gzip or not, known by their content.

Nothing is held but the line at hand. What a row cannot be is an InvalidRow; what a file cannot be
is an InvalidFile.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from market_data.intake import MAX_SIZE
from market_feed.layouts import InvalidCell, Layout, UnknownHeader
from strategy_sdk.market import nanoseconds

_GZIP = b"\x1f\x8b"
_MAX_NS = 2**63 - 1


class InvalidFile(ValueError):
    """A file that cannot be replayed at all; the message names it."""


class InvalidRow(ValueError):
    """A row that is left out; the message names file and line, column, value and expectation."""

    def __init__(self, path: Path, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}")
        self.file = path.name


class Row(msgspec.Struct, gc=False):
    """One message to be, without its place in the stream's sequence if the file gives none."""

    at_ns: int
    symbol: str
    type: str
    sequence: int | None
    body: str  # ',"bid_price":1,...': the fields after the timestamp
    line: int
    source: "Source"
    text: str

    def invalid(self, what: str) -> InvalidRow:
        """The error for this row: its worst cell if one is wrong, else `what`."""
        try:
            self.source.explain(self.text)
        except InvalidCell as error:
            what = str(error)
        return InvalidRow(self.source.path, self.line, what)


class Source:
    """An open file. Iterate `rows()` once; its end closes the file."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidFile."""
        self.path = path
        self._layout: Layout | None = None
        try:
            self._file = _open(path)
        except OSError as error:
            raise InvalidFile(f"{path}: cannot be opened: {error}") from error
        try:
            first = self._file.readline(MAX_SIZE).removeprefix("\ufeff")
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            raise InvalidFile(f"{path}: cannot be read: {error}") from error
        try:
            self._first = first if first.startswith("{") else ""
            self._layout = None if self._first else Layout.of(first.rstrip("\r\n"))
        except UnknownHeader as error:
            self.close()
            raise InvalidFile(f"{path}:1: {error}") from error

    @property
    def kind(self) -> str:
        return self._layout.kind.name if self._layout else "messages"

    def rows(self, on_invalid: Callable[[InvalidRow], None]) -> Iterator[Row]:
        """The rows in time order; what is not a row is told to `on_invalid` and left out."""
        read = self._csv_row if self._layout else self._json_row
        last_ns = 0
        for line, text in self._lines(on_invalid):
            try:
                row = _no_earlier_than(last_ns, read(line, text))
            except (
                ValueError,
                IndexError,
                KeyError,
                RecursionError,
                msgspec.MsgspecError,
            ) as error:
                on_invalid(self._invalid(line, text, error))
                continue
            last_ns = row.at_ns
            yield row

    def explain(self, text: str) -> None:
        """Raises InvalidCell if one cell alone shows what is wrong."""
        if self._layout is not None:
            self._layout.explain(text.split(","))

    def close(self) -> None:
        self._file.close()

    def _invalid(self, line: int, text: str, error: Exception) -> InvalidRow:
        what = str(error)
        if self._layout is not None:
            found, wanted = text.count(",") + 1, len(self._layout.columns)
            if found != wanted:
                what = f"{found} columns, expected {wanted}"
        return InvalidRow(self.path, line, what)

    def _lines(self, on_invalid: Callable[[InvalidRow], None]) -> Iterator[tuple[int, str]]:
        line, text = 1, self._first
        try:
            while True:
                if len(text) >= MAX_SIZE and not text.endswith("\n"):
                    on_invalid(InvalidRow(self.path, line, f"longer than {MAX_SIZE} characters"))
                    while text and not text.endswith("\n"):
                        text = self._file.readline(MAX_SIZE)
                elif stripped := text.rstrip("\r\n"):
                    yield line, stripped
                text = self._file.readline(MAX_SIZE)
                if not text:
                    return
                line += 1
        except (OSError, EOFError, zlib.error) as error:
            on_invalid(InvalidRow(self.path, line + 1, f"the rest cannot be read: {error}"))
        finally:
            self.close()

    def _csv_row(self, line: int, text: str) -> Row:
        layout = self._layout
        assert layout is not None
        cells = text.split(",")
        if len(cells) != len(layout.columns):
            raise ValueError
        time, number = cells[layout.time], layout.sequence
        try:
            at_ns = layout.read_time(time)
        except ValueError:
            at_ns = 0
        if not 0 < at_ns <= _MAX_NS:
            raise InvalidCell(layout.columns[layout.time], time, "a time after 1970")
        return Row(
            at_ns=at_ns,
            symbol=cells[layout.symbol],
            type=layout.kind.type,
            sequence=None if number is None else _sequence(cells[number]),
            body=layout.body(cells),
            line=line,
            source=self,
            text=text,
        )

    def _json_row(self, line: int, text: str) -> Row:
        fields = _decode_fields(text)
        head = msgspec.json.decode(text, type=_Head)
        stamp = head.timestamp
        for name in ("symbol", "type", "sequence", "timestamp", "session"):
            fields.pop(name, None)
        return Row(
            at_ns=stamp if isinstance(stamp, int) else nanoseconds(stamp),
            symbol=head.symbol,
            type=head.type,
            sequence=head.sequence,
            body="," + msgspec.json.encode(fields)[1:-1].decode() if fields else "",
            line=line,
            source=self,
            text=text,
        )


class _Head(msgspec.Struct):
    symbol: str
    type: str
    timestamp: int | str
    sequence: int | None = None


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _no_earlier_than(last_ns: int, row: Row) -> Row:
    if row.at_ns < last_ns:
        raise ValueError(f"time {row.at_ns} goes back, expected {last_ns} or later")
    return row


def _sequence(text: str) -> int:
    if not text.isdecimal():
        raise InvalidCell("sequence", text, "a whole number, 0 or more")
    return int(text)


def _open(path: Path) -> IO[str]:
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    stream = gzip.open(path, "rb") if packed else path.open("rb")  # noqa: SIM115  # Source closes it
    return io.TextIOWrapper(
        cast(IO[bytes], stream), encoding="utf-8", errors="replace", newline="\n"
    )
