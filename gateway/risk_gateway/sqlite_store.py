"""A journal in SQLite: WAL, each commit synced to a local disk, a lock beside it."""

import fcntl
import itertools
import math
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from risk_gateway import schema
from risk_gateway.home import Columns, JournalLocked, JournalUnusable

# Rows a statement: sqlite3 gives up the GIL once per statement, and a busy loop keeps it for a
# while each time. Row by row, a commit would wait for the loop hundreds of times.
_CHUNKS = (64, 8, 1)


class SqliteWriter:
    generation = 0
    beat_s = None
    patience_s = math.inf

    def __init__(self, path: Path) -> None:
        """Raises JournalLocked, JournalUnusable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _exclusive(path.with_suffix(".lock"))
        self._connection = schema.opened(path)

    def head(self) -> tuple[int, bytes]:
        number, hash_ = self._connection.execute("SELECT number, hash FROM head").fetchone()
        return number, hash_

    def write(self, log: Columns, orders: Columns, seals: Columns) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        _insert(self._connection, _INSERT_LOG, log)
        _insert(self._connection, _UPSERT_ORDERS, orders)
        _insert(self._connection, _INSERT_SEALS, seals)
        last = (log[-1][0], log[-1][-1])
        self._connection.execute("UPDATE head SET number = ?, hash = ?", last)
        self._connection.execute("COMMIT")

    def rewrite(self, changes: Iterable[tuple[str, Columns]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, rows in changes:
            self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")

    def beat(self) -> None:
        """The lock says it."""

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)


def reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def reading_one_moment(path: Path) -> sqlite3.Connection:
    """Raises JournalUnusable."""
    if not path.is_file():
        raise JournalUnusable(f"journal {path}: not there")
    connection = reading(path)
    schema.check_version(connection, path)
    connection.execute("BEGIN")
    connection.execute("SELECT number FROM head").fetchone()  # the moment is that of the first read
    return connection


_INSERT_LOG = ("INSERT INTO log VALUES ", len(schema.COLUMNS) + 1, "")
_INSERT_SEALS = ("INSERT INTO seals VALUES ", 3, "")
_UPSERT_ORDERS = ("INSERT INTO orders VALUES ", 7, schema.ON_KNOWN_ORDER)


def _insert(
    connection: sqlite3.Connection, statement: tuple[str, int, str], rows: Sequence[Any]
) -> None:
    head, width, tail = statement
    one = f"({', '.join('?' * width)})"
    start = 0
    for size in _CHUNKS:
        sql = head + ", ".join([one] * size) + tail
        while len(rows) - start >= size:
            values = tuple(itertools.chain.from_iterable(rows[start : start + size]))
            connection.execute(sql, values)
            start += size


def _exclusive(path: Path) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalLocked(f"journal {path}: locked, another gateway is running on it") from error
    return descriptor
