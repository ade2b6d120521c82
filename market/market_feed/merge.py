"""Several files as one row of messages, in time order, each of them one that consumers accept.

Made anew from the same files it is the same, message by message: a replay resumes by position.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from market_data.intake import MAX_SIZE, Intake
from market_feed.files import InvalidRow, Row, Source


class Message(msgspec.Struct, gc=False):
    """A message of the replay. `wire` is complete but for the session and the closing brace."""

    at_ns: int
    stream: str
    symbol: str
    sequence: int
    wire: bytes


class Shift(NamedTuple):
    """What is added to times, and to the sequences of each stream."""

    ns: int
    sequences: Mapping[str, int]


FIRST_LAP = Shift(0, {})


def messages(
    sources: Iterable[Source],
    on_invalid: Callable[[InvalidRow], None],
    shift: Shift = FIRST_LAP,
) -> Iterator[Message]:
    """All messages of the files. Rows without a sequence are counted per stream, from 1."""
    rows = [source.rows(on_invalid) for source in sources]
    ordered = rows[0] if len(rows) == 1 else merge(*rows, key=attrgetter("at_ns"))
    intake = Intake()
    counted: Counter[str] = Counter()
    for row in ordered:
        stream = f"{row.symbol}/{row.type}"
        if row.sequence is None:
            counted[stream] += 1
            row.sequence = counted[stream]
        row.at_ns += shift.ns
        row.sequence += shift.sequences.get(stream, 0)
        wire = _wire(row)
        event = intake.accept(wire + b"}")
        if event is None or event.symbol != row.symbol or len(wire) >= MAX_SIZE - _SESSION_ROOM:
            on_invalid(row.invalid(_why(row, intake)))
            intake.dropped.clear()
            continue
        yield Message(row.at_ns, stream, row.symbol, row.sequence, wire)


def open_all(paths: Iterable[Path]) -> list[Source]:
    """Raises InvalidFile for the first that cannot be replayed."""
    return [Source(path) for path in paths]


_SESSION_ROOM = 1_000


def _wire(row: Row) -> bytes:
    return (
        f'{{"type":"{row.type}","symbol":"{row.symbol}","sequence":{row.sequence},'
        f'"timestamp":{row.at_ns}{row.body}'
    ).encode()


def _why(row: Row, intake: Intake) -> str:
    reason = next(iter(intake.dropped), "")
    if reason == "crossed":
        return f"crossed: {row.text[:200]!r}, expected a bid no higher than the ask"
    if reason == "sequence_back":
        last = intake.sequences[f"{row.symbol}/{row.type}"]
        return f"column sequence: {row.sequence}, expected more than {last}"
    return f"{reason or 'too large'}: {row.text[:200]!r}, expected a {row.type}"
