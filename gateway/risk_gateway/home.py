"""Where a journal lies: one folder of one gateway, or a PostgreSQL database that replicas share.

A `Writer` belongs to the journal's thread, a `Reader` to one thread of whoever reads.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

Columns = Sequence[tuple[Any, ...]]


class JournalLocked(Exception):
    """Another gateway holds this journal."""

    def __init__(self, message: str, leader: str = "") -> None:
        """`leader`: the address by which callers reach it; empty: not known, or it is silent."""
        super().__init__(message)
        self.leader = leader


class JournalUnusable(Exception):
    """It is not a journal of this version, or can no longer be written."""


@dataclass(frozen=True, slots=True)
class Postgres:
    url: str
    # A gateway that says nothing for so long is taken for dead, and may be replaced.
    patience_s: float = 4.0
    address: str = ""  # by which callers reach us while we lead

    def __str__(self) -> str:
        """Without the password."""
        parts = urlsplit(self.url)
        return f"postgresql at {parts.hostname or 'localhost'}{parts.path}"


Home = Path | Postgres  # a folder's journal.db, or a database
URLS = ("postgresql://", "postgres://")
VARIABLE = "STRATOPS_JOURNAL"  # of a child: an argument would show a password to everybody


class Found(Protocol):
    def fetchone(self) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Reader(Protocol):
    """Sees what is committed."""

    def execute(self, query: str, values: Sequence[object] = ()) -> Found:
        """`?` stands for a value."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """Holds the journal, and writes what belongs together in one durable transaction."""

    @property
    def generation(self) -> int:
        """Of whoever holds it, among those that held it in turn; 0: nobody else can have."""
        ...

    @property
    def beat_s(self) -> float | None:
        """`beat` is due after so long without a `write`; None: never."""
        ...

    def head(self) -> tuple[int, bytes]:
        """Number and hash of the last record."""
        ...

    def write(self, log: Columns, orders: Columns, seals: Columns) -> None:
        """Raises where it cannot be written, or is another gateway's by now."""
        ...

    def rewrite(self, changes: Iterable[tuple[str, Columns]]) -> None:
        """Statements, each with the rows that it is for, in one durable transaction. `?` stands
        for a value. Raises as `write` does."""
        ...

    def beat(self) -> None:
        """Says that this gateway is still here. Raises as `write` does."""
        ...

    @property
    def patience_s(self) -> float:
        """For so long after a `write` or `beat` nobody else can have taken it."""
        ...

    def close(self) -> None: ...


def of(text: str) -> Home:
    """A path, a URL, or `-`: what the environment says."""
    if text == "-":
        text = os.environ[VARIABLE]
    return Postgres(text) if text.startswith(URLS) else Path(text)


def environment(home: Home) -> dict[str, str]:
    """Of a child that reads `of("-")`."""
    text = home.url if isinstance(home, Postgres) else str(home)
    return {**os.environ, VARIABLE: text}


def writer(home: Home) -> Writer:
    """Raises JournalLocked, JournalUnusable."""
    if isinstance(home, Postgres):
        from risk_gateway.postgres_store import PostgresWriter  # not on every laptop

        return PostgresWriter(home)
    from risk_gateway.sqlite_store import SqliteWriter

    return SqliteWriter(home)


def reader(home: Home, *, one_moment: bool = False) -> Reader:
    """`one_moment`: whatever is written meanwhile is not seen. Raises JournalUnusable."""
    if isinstance(home, Postgres):
        from risk_gateway.postgres_store import PostgresReader

        return PostgresReader(home, one_moment=one_moment)
    from risk_gateway.sqlite_store import reading, reading_one_moment

    return reading_one_moment(home) if one_moment else reading(home)


def has_table(home: Home, reader: Reader, name: str) -> bool:
    """Some come with a first use."""
    query = (
        "SELECT to_regclass(?) IS NOT NULL"
        if isinstance(home, Postgres)
        else "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?)"
    )
    return bool(reader.execute(query, (name,)).fetchone()[0])


def last_of_each(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """One row a key, its first column: an upsert may not meet one twice in a statement.

    The second column, the number of the record that made it, is the first one's.
    """
    last: dict[Any, tuple[Any, ...]] = {}
    for row in rows:
        first = last.get(row[0], row)
        last[row[0]] = (row[0], first[1], *row[2:])
    return list(last.values())
