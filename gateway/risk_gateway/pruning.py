"""Retention: deletes what a journal has told long enough, up to a seal, while no gateway runs.

What stays of that time is what later questions rest on: every id that must not be taken twice, how
each order ended, the records of orders that were open at the seal or heard of after it, fills of
orders that nobody knew (they may be adopted yet), and all records of the rare kinds. The chain is
proven from the seal on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from risk_gateway.archive import Archive, Cut, Row
from risk_gateway.home import Home, writer
from risk_gateway.journal import Seal
from risk_gateway.proof import NotProven
from risk_gateway.records import Kind, batch_key
from risk_gateway.snapshot import Snapshot, from_json
from risk_gateway.verification import verified

BULK = frozenset(
    {
        Kind.BATCH, Kind.DECIDED, Kind.ENDED, Kind.MODIFIED, Kind.FILL, Kind.SAMPLED, Kind.MARKED
    }
)  # fmt: skip
_TAKEN_ONCE = (Kind.DECIDED, Kind.FILL)
_DAY_NS = 86_400 * 1_000_000_000
_PAGE = 5_000
_TABLES = (
    "CREATE TABLE IF NOT EXISTS past"
    " (kind TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (kind, key))",
    "CREATE TABLE IF NOT EXISTS cut (one BIGINT PRIMARY KEY CHECK (one = 1),"
    " number BIGINT NOT NULL, positions TEXT NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Pruned:
    through: int  # 0: there was nothing to delete
    deleted: int = 0
    ids: int = 0  # kept of what was deleted


@dataclass(frozen=True, slots=True)
class _Needed:
    """Of the time before a seal, what the time after it may still ask for."""

    orders: frozenset[str]  # open then, or heard of since
    batches: frozenset[str]  # the last of each strategy: a runner goes on from there
    outcomes: Mapping[str, int]  # what each strategy had been told of, by its last batch

    def whole(self, archive: Archive, seal: Seal) -> "_Needed":
        """An order of which a record stays, or was written since, is kept with all of them: what
        it came to cannot be proven by some."""
        more = (
            row.order_id
            for row in archive.read()
            if row.order_id and (row.number > seal.number or self._is_untold(row))
        )
        return replace(self, orders=self.orders.union(more))

    def _is_untold(self, row: Row) -> bool:
        return row.outcome is not None and row.outcome > self.outcomes.get(row.strategy, 0)

    def has(self, row: Row) -> bool:
        return (
            row.order_id in self.orders
            or row.key in self.batches
            or self._is_untold(row)
            or (row.kind == Kind.FILL and row.order_id is None)
        )


def pruned(home: Home, keep_days: int, now_ns: int) -> Pruned:
    """Raises JournalLocked where a gateway runs, JournalUnusable, NotProven."""
    held = writer(home)
    try:
        verified(home)  # nothing is taken from a journal that may be wrong
        archive = Archive(home, one_moment=True)
        try:
            seal = _seal_before(archive, now_ns - keep_days * _DAY_NS)
            if seal is None:
                return Pruned(0)
            snapshot = _readable(seal)
            needed = needed_after(snapshot)
            doomed = list(_doomed(archive, seal, needed.whole(archive, seal)))
        finally:
            archive.close()
        held.rewrite(_changes(seal, snapshot, doomed))
        return Pruned(seal.number, len(doomed), len(_ids(doomed)))
    finally:
        held.close()


def needed_after(snapshot: Snapshot) -> _Needed:
    strategies = snapshot.strategies
    last = {each.name: each.last_batch for each in strategies if each.last_batch is not None}
    return _Needed(
        frozenset(order.client_order_id for each in strategies for order in each.account.orders),
        frozenset(batch_key(name, batch.epoch, batch.number) for name, batch in last.items()),
        {name: batch.mark.outcome for name, batch in last.items()},
    )


def _seal_before(archive: Archive, at_ns: int) -> Seal | None:
    """The newest one that is so old, and was not the last to be pruned up to."""
    for number in reversed(archive.seals()):
        if number <= archive.cut.number:
            return None
        (row,) = archive.read(number - 1, number)
        if row.at_ns <= at_ns:
            return archive.seal(number)
    return None


def _readable(seal: Seal) -> Snapshot:
    """Without the records before it, nothing else tells the desk. Raises NotProven."""
    snapshot = from_json(seal.snapshot)
    if snapshot is None:
        raise NotProven(f"seal {seal.number}: its snapshot is of another version, keep its records")
    return snapshot


def _doomed(archive: Archive, seal: Seal, needed: _Needed) -> Iterator[tuple[int, str, str | None]]:
    """Number, kind and key; also of what was needed after the seal before."""
    for row in archive.read(0, seal.number):
        if row.kind in BULK and not needed.has(row):
            yield row.number, row.kind, row.key


def _changes(
    seal: Seal, snapshot: Snapshot, doomed: Collection[tuple[int, str, str | None]]
) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Statements, each with its rows."""
    for table in _TABLES:
        yield table, [()]
    for rows in _pages(_ids(doomed)):
        yield "INSERT INTO past VALUES (?, ?)", rows
    for rows in _pages((number,) for number, _, _ in doomed):
        yield "DELETE FROM log WHERE number = ?", rows
    yield "DELETE FROM seals WHERE number < ?", [(seal.number,)]
    yield "DELETE FROM cut", [()]
    cut = Cut(seal.number, _positions(snapshot))
    yield (
        "INSERT INTO cut VALUES (1, ?, ?)",
        [(cut.number, msgspec.json.encode(cut.positions).decode())],
    )


def _ids(doomed: Collection[tuple[int, str, str | None]]) -> list[tuple[object, ...]]:
    return [(kind, key) for _, kind, key in doomed if kind in _TAKEN_ONCE and key is not None]


def _pages(rows: Iterable[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    left = iter(rows)
    while page := list(islice(left, _PAGE)):
        yield page


def _positions(snapshot: Snapshot) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (each.name, position.symbol, str(position.quantity))
        for each in snapshot.strategies
        for position in each.account.positions
    )
