"""The venue's durable book: SQLite, one writer thread, group commit.

Everything recorded is a job; the thread takes all jobs that wait, works them in one transaction and
commits with an fsync. Answers, and word of new fills, are given after that commit. Questions are
jobs too: whoever asks sees everything recorded before, and only what is on disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import msgspec

from paper_venue.orders import Fill, Order, fill_id, fill_message
from trading.money import EXACT

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

MOST_JOBS = 1_000  # in one transaction
_LOCK_WAIT_S = 1.0  # a killed predecessor may still be going

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    strategy TEXT NOT NULL,
    state TEXT NOT NULL,
    open INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_open ON orders (number) WHERE open;
CREATE INDEX IF NOT EXISTS orders_of_strategy ON orders (strategy, number);
CREATE TABLE IF NOT EXISTS tombstones (client_order_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (
    number INTEGER PRIMARY KEY,
    fill_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS feed (id INTEGER PRIMARY KEY CHECK (id = 1), session TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS generations (
    account TEXT PRIMARY KEY,
    highest TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fills_unpublished ON fills (number) WHERE NOT published;
"""
_PUT_ORDER = """
INSERT INTO orders (number, client_order_id, strategy, state, open, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE
SET state = excluded.state, open = excluded.open, body = excluded.body
"""
_PAGE = """
SELECT body FROM orders WHERE number > ? AND (open OR NOT ?) AND (strategy = ? OR ? = '')
ORDER BY number LIMIT ?
"""

_FILLED = "SELECT body FROM orders WHERE json_extract(body, '$.fills') > 0"

_encode = msgspec.json.encode
_decode_order = msgspec.json.Decoder(Order).decode


class StoreUnavailable(Exception):
    """The book cannot be opened, or can no longer be written; nothing more is promised."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a new life starts from."""

    last_number: int
    known: Collection[str]
    buried: Collection[str]
    open_orders: Collection[Order]
    session: str  # of the feed, as last noted; "" before
    held: Mapping[tuple[str, str], Decimal]  # by strategy and symbol, as all fills made it
    generations: Mapping[str, int]  # by account, the highest of a gateway


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A fill to be published."""

    number: int
    fill_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Job:
    work: Work
    answer: "asyncio.Future[Any] | None" = None
    has_fills: bool = False


def _nothing() -> None:
    pass


class Store:
    """Call from one event loop; `start` before the first job, `stop` at the end."""

    def __init__(self, path: Path) -> None:
        """Opens the book and keeps it from anyone else. Raises StoreUnavailable."""
        self.on_fills: Callable[[], object] = _nothing  # new fills are durable
        self.on_failure: Callable[[], object] = _nothing  # see `failure`
        self.failure: StoreUnavailable | None = None
        self._connection = _opened(path)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._write, name="book-writer", daemon=True)

    def load(self) -> Contents:
        """Before `start`."""
        rows = self._connection.execute
        (last,) = rows("SELECT coalesce(max(number), 0) FROM orders").fetchone()
        (session,) = rows("SELECT coalesce(max(session), '') FROM feed").fetchone()
        return Contents(
            last_number=last,
            known=[key for (key,) in rows("SELECT client_order_id FROM orders")],
            buried=[key for (key,) in rows("SELECT client_order_id FROM tombstones")],
            open_orders=_orders(rows("SELECT body FROM orders WHERE open ORDER BY number")),
            session=session,
            held=_held(map(_decode_order, (b for (b,) in rows(_FILLED)))),
            generations={
                account: int(highest) for account, highest in rows("SELECT * FROM generations")
            },
        )

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Commits what was recorded, and closes."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def record(self, order: Order, fills: tuple[Fill, ...] = ()) -> None:
        self._jobs.put(_Job(lambda rows: _put(rows, order, fills), has_fills=bool(fills)))

    def bury(self, client_order_id: str) -> None:
        statement = "INSERT OR IGNORE INTO tombstones VALUES (?)"
        self._jobs.put(_Job(lambda rows: rows.execute(statement, (client_order_id,))))

    def note_session(self, session: str) -> None:
        statement = "INSERT OR REPLACE INTO feed (id, session) VALUES (1, ?)"
        self._jobs.put(_Job(lambda rows: rows.execute(statement, (session,))))

    def note_generation(self, account: str, generation: int) -> None:
        statement = "INSERT OR REPLACE INTO generations VALUES (?, ?)"
        values = (account, str(generation))  # it has no sign: SQLite's whole numbers do
        self._jobs.put(_Job(lambda rows: rows.execute(statement, values)))

    async def orders(self, client_order_ids: Collection[str]) -> list[Order | None]:
        """As they stand on disk, in the order asked; None for one that was never submitted."""
        return await self._ask(lambda rows: [_find(rows, key) for key in client_order_ids])

    async def page(self, after: int, limit: int, strategy: str, open_only: bool) -> list[Order]:
        """At most `limit` orders with a higher number, lowest first; strategy "" means all."""
        values = (after, open_only, strategy, strategy, limit)
        return await self._ask(lambda rows: _orders(rows.execute(_PAGE, values)))

    async def unpublished(self, limit: int) -> list[Outgoing]:
        """The oldest fills that nobody has acknowledged."""
        return await self._ask(lambda rows: _unpublished(rows, limit))

    async def published(self, fills: Iterable[Outgoing]) -> None:
        numbers = [(fill.number,) for fill in fills]
        statement = "UPDATE fills SET published = 1 WHERE number = ?"
        await self._ask(lambda rows: rows.executemany(statement, numbers).rowcount)

    async def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self.failure is not None:
            raise self.failure
        answer: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, answer))
        return await answer

    # ---- the writer thread

    def _write(self) -> None:
        ended = False
        while not ended:
            jobs, ended = self._waiting_jobs()
            try:
                results = self._committed(jobs)
            except Exception as error:  # noqa: BLE001  # told to everyone who waits, then the end
                self._loop.call_soon_threadsafe(self._fail, jobs, error)
                return
            self._loop.call_soon_threadsafe(self._deliver, jobs, results)

    def _waiting_jobs(self) -> tuple[list[_Job], bool]:
        """All that wait, at least one; and whether the end was among them."""
        jobs: list[_Job] = []
        while True:
            job = self._jobs.get()
            if job is None:
                return jobs, True
            jobs.append(job)
            if self._jobs.empty() or len(jobs) >= MOST_JOBS:
                return jobs, False

    def _committed(self, jobs: list[_Job]) -> list[Any]:
        self._connection.execute("BEGIN")
        results = [job.work(self._connection) for job in jobs]
        self._connection.execute("COMMIT")
        return results

    # ---- back on the loop

    def _deliver(self, jobs: list[_Job], results: list[Any]) -> None:
        for job, result in zip(jobs, results, strict=True):
            if job.answer is not None and not job.answer.done():
                job.answer.set_result(result)
        if any(job.has_fills for job in jobs):
            self.on_fills()

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        self.failure = StoreUnavailable(f"book: {error}")
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            jobs += [job] if job else []
        for job in jobs:
            if job.answer is not None and not job.answer.done():
                job.answer.set_exception(self.failure)
        self.on_failure()


def _opened(path: Path) -> sqlite3.Connection:
    try:
        rows = sqlite3.connect(
            path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False
        )
        rows.execute("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then nobody else gets in
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = FULL")
        rows.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"book {path}: {error}") from error
    return rows


def _held(orders: Iterable[Order]) -> Mapping[tuple[str, str], Decimal]:
    held: dict[tuple[str, str], Decimal] = {}
    for order in orders:
        key = (order.request.strategy, order.request.symbol)
        signed = order.filled * order.request.side.sign
        held[key] = EXACT.add(held.get(key, Decimal(0)), signed)
    return held


def _put(rows: sqlite3.Connection, order: Order, fills: tuple[Fill, ...]) -> None:
    request = order.request
    body = _encode(order).decode()
    rows.execute(
        _PUT_ORDER,
        (order.number, request.client_order_id, request.strategy, order.state, order.is_open, body),
    )
    rows.executemany(
        "INSERT INTO fills (fill_id, body) VALUES (?, ?)",
        [(fill_id(order, fill), fill_message(order, fill).decode()) for fill in fills],
    )


def _find(rows: sqlite3.Connection, client_order_id: str) -> Order | None:
    statement = "SELECT body FROM orders WHERE client_order_id = ?"
    return next(iter(_orders(rows.execute(statement, (client_order_id,)))), None)


def _orders(rows: Iterable[tuple[str]]) -> list[Order]:
    return [_decode_order(body) for (body,) in rows]


def _unpublished(rows: sqlite3.Connection, limit: int) -> list[Outgoing]:
    statement = (
        "SELECT number, fill_id, body FROM fills WHERE NOT published ORDER BY number LIMIT ?"
    )
    return [Outgoing(n, key, body.encode()) for n, key, body in rows.execute(statement, (limit,))]
