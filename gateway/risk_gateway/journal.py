"""The journal: an append-only, chained log in SQLite, made durable before anybody is told.

One writer thread takes whatever has gathered while it was writing, chains it and commits it as one
transaction (group commit, no timer). `Journal` is the write side; `archive` reads. Needs a local
disk.
"""

import asyncio
import fcntl
import itertools
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from risk_gateway import chain, schema
from risk_gateway.schema import JournalUnusable

__all__ = ["Journal", "JournalLocked", "JournalUnusable", "OrderRow", "Record", "Seal"]

# Rows a statement: sqlite3 gives up the GIL once per statement, and a busy loop keeps it for a
# while each time. Row by row, a commit would wait for the loop hundreds of times.
_CHUNKS = (64, 8, 1)
_MOST_PER_COMMIT = 4_096
_SWITCH_INTERVAL_S = 0.0005


class JournalLocked(Exception):
    """Another gateway holds this journal."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """How an order stands, for the table that reports and reconciliation read."""

    client_order_id: str
    strategy: str
    state: str
    filled_quantity: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Seal:
    """The desk as it was after a record: where a start or a proof may begin."""

    number: int
    hash: bytes
    snapshot: str


@dataclass(frozen=True, slots=True)
class Record:
    kind: str
    body: str
    at_ns: int
    strategy: str = ""
    key: str | None = None
    outcome: int | None = None
    order: OrderRow | None = None
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    records: Sequence[Record]
    then: Callable[[], None]


class Journal:
    """Appends in order; calls back in that order, on the loop, once the records are on disk."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Raises JournalLocked, JournalUnusable."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "journal.db"
        self._lock = _exclusive(folder / "journal.lock")
        self._loop = loop
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._connection = schema.opened(self.path)
        self.last, self._hash = _head(self._connection)
        self.failed: asyncio.Future[None] = loop.create_future()
        self.waiting = 0  # appended, not yet durable
        self._moved_at = 0.0  # when something last became durable, or began to wait
        self.commits = 0
        self.written = 0
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._thread = threading.Thread(target=self._write_until_closed, name="journal")
        self._thread.start()

    def append(self, records: Sequence[Record], then: Callable[[], None] = lambda: None) -> None:
        """All of `records` become durable in one transaction, or none."""
        if not self.waiting:
            self._moved_at = time.monotonic()
        self.waiting += 1
        self._entries.put(_Entry(records, then))

    @property
    def stuck_s(self) -> float:
        """How long something has waited while nothing became durable."""
        return time.monotonic() - self._moved_at if self.waiting else 0.0

    async def durable(self) -> None:
        """Returns when all that was appended so far is on disk."""
        done = self._loop.create_future()
        self.append((), lambda: done.set_result(None) if not done.done() else None)
        await done

    def close(self) -> None:
        """Writes what was appended, then releases the lock."""
        self._entries.put(None)
        self._thread.join()
        self._connection.close()
        os.close(self._lock)

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            entries, closing = self._gather()
            try:
                self._commit(entries)
            except Exception as error:  # noqa: BLE001  # without a writer nothing is told any more
                self._tell(self._fail, JournalUnusable(f"journal {self.path}: {error}"))
                return
            self._tell(self._committed, entries)

    def _gather(self) -> tuple[list[_Entry], bool]:
        entry = self._entries.get()
        entries: list[_Entry] = []
        try:
            while entry is not None and len(entries) < _MOST_PER_COMMIT:
                entries.append(entry)
                entry = self._entries.get_nowait()
        except queue.Empty:
            return entries, False
        if entry is not None:
            entries.append(entry)
        return entries, entry is None

    def _commit(self, entries: Sequence[_Entry]) -> None:
        records = list(itertools.chain.from_iterable(entry.records for entry in entries))
        if not records:
            return
        first = self.last + 1
        rows = _chained(self._hash, enumerate(records, first))
        orders = _last_of_each(enumerate(records, first))
        seals = [astuple(record.seal) for record in records if record.seal is not None]
        last, hash_ = rows[-1][0], rows[-1][-1]
        self._connection.execute("BEGIN IMMEDIATE")
        _insert(self._connection, _INSERT_LOG, rows)
        _insert(self._connection, _UPSERT_ORDERS, orders)
        _insert(self._connection, _INSERT_SEALS, seals)
        self._connection.execute("UPDATE head SET number = ?, hash = ?", (last, hash_))
        self._connection.execute("COMMIT")
        self.last, self._hash = last, hash_
        self.commits += 1
        self.written += len(records)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has ended: nobody is left to be told
            return

    def _committed(self, entries: Sequence[_Entry]) -> None:
        self.waiting -= len(entries)
        self._moved_at = time.monotonic()
        for entry in entries:
            entry.then()

    def _fail(self, error: JournalUnusable) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)


_INSERT_LOG = ("INSERT INTO log VALUES ", len(schema.COLUMNS) + 1, "")
_INSERT_SEALS = ("INSERT INTO seals VALUES ", 3, "")
_UPSERT_ORDERS = (
    "INSERT INTO orders VALUES ",
    7,
    " ON CONFLICT (client_order_id) DO UPDATE SET state = excluded.state,"
    " filled_quantity = excluded.filled_quantity, filled_notional = excluded.filled_notional,"
    " fee = excluded.fee",
)


def _chained(before: bytes, numbered: Iterable[tuple[int, Record]]) -> list[tuple[Any, ...]]:
    rows = []
    for number, record in numbered:
        columns = _columns(number, record)
        before = chain.link(before, columns)
        rows.append((*columns, before))
    return rows


def _columns(number: int, record: Record) -> tuple[object, ...]:
    order = record.order
    return (
        number,
        record.kind,
        record.strategy,
        record.key,
        record.outcome,
        record.at_ns,
        record.body,
        order.client_order_id if order else None,
        order.state if order else None,
    )


def _last_of_each(numbered: Iterable[tuple[int, Record]]) -> list[tuple[object, ...]]:
    """One row an order: an upsert may not meet the same order twice in one statement."""
    rows: dict[str, tuple[object, ...]] = {}
    for number, record in numbered:
        order = record.order
        if order is not None:
            first = rows.get(order.client_order_id)
            rows[order.client_order_id] = (
                order.client_order_id,
                first[1] if first else number,
                order.strategy,
                order.state,
                str(order.filled_quantity),
                str(order.filled_notional),
                str(order.fee),
            )
    return list(rows.values())


def _insert(
    connection: sqlite3.Connection,
    statement: tuple[str, int, str],
    rows: Sequence[tuple[object, ...]],
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


def _head(connection: sqlite3.Connection) -> tuple[int, bytes]:
    number, hash_ = connection.execute("SELECT number, hash FROM head").fetchone()
    return number, hash_
