"""The journal: an append-only, chained log, made durable before anybody is told.

One writer thread takes whatever has gathered while it was writing, chains it and commits it as one
transaction (group commit, no timer). `Journal` is the write side; `archive` reads. `home` says
where it lies: in SQLite on a local disk, or in PostgreSQL.
"""

import asyncio
import itertools
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from risk_gateway import chain
from risk_gateway.home import Home, JournalLocked, JournalUnusable, Postgres, last_of_each, writer
from trading.values import value

__all__ = ["Journal", "JournalLocked", "JournalUnusable", "OrderRow", "Record", "Seal"]

_MOST_PER_COMMIT = 4_096
_MOST_AT_ONCE = 25  # records that are told of before the loop may turn to others
_SWITCH_INTERVAL_S = 0.0005


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Record:
    kind: str
    body: str
    at_ns: int
    strategy: str = ""
    key: str | None = None
    outcome: int | None = None
    order: OrderRow | None = None
    seal: Seal | None = None


@value(frozen=True, slots=True)
class _Entry:
    records: Sequence[Record]
    then: Callable[[], None]


class Journal:
    """Appends in order; calls back in that order, on the loop, once the records are on disk."""

    def __init__(self, place: Path | Postgres, loop: asyncio.AbstractEventLoop) -> None:
        """Of a folder, or of a database. Raises JournalLocked, JournalUnusable."""
        self.home: Home = place if isinstance(place, Postgres) else place / "journal.db"
        self._loop = loop
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._writer = writer(self.home)
        self.last, self._hash = self._writer.head()
        self.failed: asyncio.Future[None] = loop.create_future()
        self.waiting = 0  # appended, and nobody told of it yet
        self._durable: deque[_Entry] = deque()  # of these, what is on disk
        self._moved_at = 0.0  # when something last became durable, or began to wait
        self._held_at = time.monotonic()  # when it was certainly still ours
        self.commits = 0
        self.written = 0
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._thread = threading.Thread(target=self._write_until_closed, name="journal")
        self._thread.start()

    @property
    def path(self) -> Path:
        """Of the file, where it is one."""
        assert isinstance(self.home, Path)
        return self.home

    def append(self, records: Sequence[Record], then: Callable[[], None] = lambda: None) -> None:
        """All of `records` become durable in one transaction, or none."""
        if not self.waiting:
            self._moved_at = time.monotonic()
        self.waiting += 1
        self._entries.put(_Entry(records, then))

    @property
    def generation(self) -> int:
        """Ours, among the gateways that held this journal in turn; 0: there is one only."""
        return self._writer.generation

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have taken it meanwhile."""
        return time.monotonic() - self._held_at < self._writer.patience_s

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
        self._writer.close()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            entries, closing = self._gather()
            began = time.monotonic()
            try:
                self._commit(entries)
            except Exception as error:  # noqa: BLE001  # without a writer nothing is told any more
                self._tell(self._fail, JournalUnusable(f"journal {self.home}: {error}"))
                return
            self._held_at = began
            self._tell(self._committed, entries)

    def _gather(self) -> tuple[list[_Entry], bool]:
        entries: list[_Entry] = []
        try:
            entry = self._entries.get(timeout=self._writer.beat_s)
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
        if not records:  # whoever waits for the disk is answered by one that still leads
            self._writer.beat()
            return
        numbered = list(enumerate(records, self.last + 1))
        rows = _chained(self._hash, numbered)
        orders = last_of_each(_order_columns(*each) for each in numbered if each[1].order)
        seals = [astuple(record.seal) for record in records if record.seal is not None]
        self._writer.write(rows, orders, seals)
        self.last, self._hash = rows[-1][0], rows[-1][-1]
        self.commits += 1
        self.written += len(records)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has ended: nobody is left to be told
            return

    def _committed(self, entries: Sequence[_Entry]) -> None:
        self._moved_at = time.monotonic()
        is_telling = bool(self._durable)
        self._durable.extend(entries)
        if not is_telling:
            self._tell_some()

    def _tell_some(self) -> None:
        told = 0
        while self._durable and told < _MOST_AT_ONCE:
            entry = self._durable.popleft()
            self.waiting -= 1
            told += len(entry.records)
            self._follow(entry)
        if self._durable:
            self._loop.call_soon(self._tell_some)

    def _follow(self, entry: _Entry) -> None:
        try:
            entry.then()
        except Exception as error:
            what = f"a record was written, and not followed: {error!r}"
            self._fail(JournalUnusable(f"journal {self.home}: {what}"))
            raise  # to the loop, which logs where

    def _fail(self, error: JournalUnusable) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)


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


def _order_columns(number: int, record: Record) -> tuple[object, ...]:
    order = record.order
    assert order is not None
    return (
        order.client_order_id,
        number,
        order.strategy,
        order.state,
        str(order.filled_quantity),
        str(order.filled_notional),
        str(order.fee),
    )
