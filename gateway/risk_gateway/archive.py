"""The journal's read side: what was made durable, by number, key, outcome or order.

Reads see committed records only. One archive belongs to one thread.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from risk_gateway.home import Home, has_table, reader
from risk_gateway.journal import OrderRow, Seal

_PAGE = 5_000
_MOST_KEYS = 500
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    kind: str
    strategy: str
    outcome: int | None
    at_ns: int
    body: str
    key: str | None
    order_id: str | None
    order_state: str | None
    hash: bytes

    @property
    def columns(self) -> tuple[object, ...]:
        """What its hash covers, in that order."""
        return (
            self.number,
            self.kind,
            self.strategy,
            self.key,
            self.outcome,
            self.at_ns,
            self.body,
            self.order_id,
            self.order_state,
        )


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """An order as it stands, and the log record that made it."""

    order: OrderRow
    made: Row


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends."""

    journal: str
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """Up to where records were deleted (`pruning`), and what was held there."""

    number: int = 0
    positions: tuple[tuple[str, str, str], ...] = ()  # strategy, symbol, quantity


_ROW = (
    "log.number, log.kind, log.strategy, log.outcome, log.at_ns, log.body, log.key, log.order_id,"
    " log.order_state, log.hash"
)


class Archive:
    def __init__(self, home: Home, *, one_moment: bool = False) -> None:
        """`one_moment`: whatever is written meanwhile is not seen. Raises JournalUnusable."""
        self._connection = reader(home, one_moment=one_moment)
        self.cut = self._read_cut() if has_table(home, self._connection, "cut") else Cut()

    def close(self) -> None:
        self._connection.close()

    def read(self, after: int = 0, through: int = _LAST) -> Iterator[Row]:
        """The log after record number `after`, in order."""
        where = "WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
        while True:
            page = self._rows(where, (after, through, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].number

    def known(self, kind: str, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that were journalled before."""
        found: set[str] = set()
        for start in range(0, len(keys), _MOST_KEYS):
            some = keys[start : start + _MOST_KEYS]
            marks = ", ".join("?" * len(some))
            query = f"SELECT key FROM log WHERE kind = ? AND key IN ({marks})"  # noqa: S608  # marks only
            found.update(key for (key,) in self._connection.execute(query, (kind, *some)))
            if self.cut.number:
                query = query.replace("FROM log", "FROM past")
                found.update(key for (key,) in self._connection.execute(query, (kind, *some)))
        return found

    def knows_fill(self, fill_id: str, before: int = _LAST) -> bool:
        """Whether it was counted, or kept as a stray, by a record before that one."""
        query = "SELECT 1 FROM log WHERE kind IN ('fill', 'stray') AND key = ? AND number < ?"
        if self._connection.execute(query, (fill_id, before)).fetchone() is not None:
            return True
        query = "SELECT 1 FROM past WHERE kind = 'fill' AND key = ?"
        return (
            self.cut.number > 0
            and self._connection.execute(query, (fill_id,)).fetchone() is not None
        )

    def head(self) -> Head:
        return Head(*self._connection.execute("SELECT journal, number, hash FROM head").fetchone())

    def first(self) -> int:
        """Number of the first record of the chain that is here; 0: there is none."""
        query = "SELECT min(number) FROM log WHERE number > ?"
        return int(self._connection.execute(query, (self.cut.number,)).fetchone()[0] or 0)

    def seals(self) -> list[int]:
        """After which records there is one."""
        query = "SELECT number FROM seals ORDER BY number"
        return [number for (number,) in self._connection.execute(query)]

    def seal(self, number: int) -> Seal:
        query = "SELECT number, hash, snapshot FROM seals WHERE number = ?"
        return Seal(*self._connection.execute(query, (number,)).fetchone())

    def newest_before(self, kind: str, number: int) -> Row | None:
        """Of the records of a kind that has keys."""
        where = "WHERE kind = ? AND key IS NOT NULL AND number < ? ORDER BY number DESC LIMIT 1"
        rows = self._rows(where, (kind, number))
        return rows[0] if rows else None

    def backwards(self, kind: str, strategy: str, number: int) -> Iterator[Row]:
        """Of the records of a kind that has no keys, those before, the newest first."""
        where = "WHERE kind = ? AND strategy = ? AND key IS NULL AND number < ?"
        yield from self._rows(f"{where} ORDER BY number DESC", (kind, strategy, number))

    def of_order(self, order_id: str) -> list[Row]:
        """The records that wrote its row."""
        return self._rows("WHERE order_id = ? ORDER BY number", (order_id,))

    def record(self, kind: str, key: str) -> Row | None:
        rows = self._rows("WHERE kind = ? AND key = ?", (kind, key))
        return rows[0] if rows else None

    def of_kind(self, kind: str) -> Iterator[Row]:
        """Every record of a kind that has keys, in no particular order."""
        query = f"SELECT {_ROW} FROM log WHERE kind = ? AND key IS NOT NULL"  # noqa: S608  # constant
        for found in self._connection.execute(query, (kind,)):
            yield Row(*found)

    def between(self, kind: str, first: str, last: str) -> list[Row]:
        """The records whose keys lie between the two, both included, by their keys."""
        where = "WHERE kind = ? AND key BETWEEN ? AND ? ORDER BY key"
        return self._rows(where, (kind, first, last))

    def last_between(self, kind: str, first: str, last: str) -> Row | None:
        where = "WHERE kind = ? AND key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"
        rows = self._rows(where, (kind, first, last))
        return rows[0] if rows else None

    def outcomes(self, strategy: str, after: int, most: int) -> list[Row]:
        return self._rows(
            "WHERE strategy = ? AND outcome > ? ORDER BY outcome LIMIT ?", (strategy, after, most)
        )

    def orders(self, after: str = "", strategy: str = "", most: int = 1_000) -> list[OrderPlaced]:
        """Orders in the order they were journalled, after the one of that client order id."""
        query = (
            "SELECT orders.client_order_id, orders.strategy, orders.state,"  # noqa: S608  # constants
            f" filled_quantity, filled_notional, fee, {_ROW}"
            " FROM orders JOIN log USING (number)"
            " WHERE orders.number > coalesce("
            "     (SELECT number FROM orders WHERE client_order_id = ?), 0)"
            " AND (? = '' OR orders.strategy = ?)"
            " ORDER BY orders.number, orders.client_order_id LIMIT ?"
        )
        found = self._connection.execute(query, (after, strategy, strategy, most))
        return [_placed(values) for values in found]

    def placed(self, client_order_id: str) -> OrderPlaced | None:
        query = (
            "SELECT orders.client_order_id, orders.strategy, orders.state,"  # noqa: S608  # constants
            f" filled_quantity, filled_notional, fee, {_ROW}"
            " FROM orders JOIN log USING (number) WHERE client_order_id = ?"
        )
        found = self._connection.execute(query, (client_order_id,)).fetchone()
        return _placed(found) if found else None

    def order_rows(self, after: int = 0) -> Iterator[OrderRow]:
        """As they stand, of those that were made after that record."""
        query = (
            "SELECT client_order_id, strategy, state, filled_quantity, filled_notional, fee"
            " FROM orders WHERE number > ?"
        )
        return map(_order, self._connection.execute(query, (after,)))

    def order(self, client_order_id: str) -> OrderRow | None:
        query = (
            "SELECT client_order_id, strategy, state, filled_quantity, filled_notional, fee"
            " FROM orders WHERE client_order_id = ?"
        )
        found = self._connection.execute(query, (client_order_id,)).fetchone()
        return _order(found) if found else None

    def _read_cut(self) -> Cut:
        found = self._connection.execute("SELECT number, positions FROM cut").fetchone()
        assert found is not None
        return Cut(found[0], msgspec.json.decode(found[1], type=tuple[tuple[str, str, str], ...]))

    def _rows(self, where: str, values: Iterable[object]) -> list[Row]:
        query = f"SELECT {_ROW} FROM log {where}"  # noqa: S608  # `where` is a constant of this class
        return [Row(*found) for found in self._connection.execute(query, tuple(values))]


def _placed(values: Sequence[object]) -> OrderPlaced:
    return OrderPlaced(_order(values[:6]), Row(*values[6:]))  # type: ignore[arg-type]  # by column


def _order(values: Sequence[object]) -> OrderRow:
    order_id, strategy, state, *money = (str(value) for value in values)
    quantity, notional, fee = (Decimal(text) for text in money)
    return OrderRow(order_id, strategy, state, quantity, notional, fee)
