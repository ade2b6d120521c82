"""Proves a journal: the chain, and that seals, orders and ledger follow from the records.

Offline, on a copy, or beside a running gateway: it looks at one moment of the file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from risk_gateway import chain
from risk_gateway.archive import Archive, Row
from risk_gateway.home import Home
from risk_gateway.journal import OrderRow, Seal
from risk_gateway.proof import NotProven, chained, check_seal
from risk_gateway.recollection import recollected
from risk_gateway.records import Kind, body_of
from risk_gateway.restore import Restoration, started_by
from risk_gateway.snapshot import LAYOUT, from_json, put_back, taken
from trading.fills import Fill
from trading.ledger import Ledger
from trading.money import EXACT
from trading.orders import Order


@dataclass(frozen=True, slots=True)
class Proven:
    """What the journal comes to, once all of it is proven."""

    journal: str
    first: int
    last: int
    head: str  # the hash of the last record, in hex: note it elsewhere, and ask for it later
    seals: int
    orders: int
    ledgers: Mapping[str, Ledger]  # by strategy


@dataclass(slots=True)
class _OrderBook:
    """The table of orders as the records make it.

    `before`: how the records that were left of the time before the first one tell of an order.
    """

    before: Callable[[str], Iterable[Row]]
    rows: dict[str, OrderRow] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)  # by which record last

    def begin_with(self, order: Order) -> None:
        totals = (order.filled_quantity, order.filled_notional, order.fee)
        self.rows[order.client_order_id] = OrderRow(
            order.client_order_id, order.strategy, order.state, *totals
        )

    def recall(self, order_id: str, strategy: str) -> None:
        """By what was kept of it; a snapshot would not know that a gateway took it for UNKNOWN."""
        self.rows[order_id] = OrderRow(order_id, strategy, "")
        for earlier in self.before(order_id):
            self.take(earlier)

    def take(self, row: Row) -> None:
        if row.order_id is None or row.order_state is None:
            return
        if row.order_id not in self.rows and row.kind not in (Kind.DECIDED, Kind.ADOPTED):
            self.recall(row.order_id, row.strategy)
        known = self.rows.get(row.order_id) or OrderRow(row.order_id, row.strategy, "")
        known = replace(known, state=row.order_state)
        if row.kind == Kind.ADOPTED:  # some of it may have been filled before it was found
            self.begin_with(body_of(row).order)
            known = self.rows[row.order_id]
        if row.kind == Kind.FILL:
            known = _filled(known, body_of(row))
        self.rows[row.order_id] = known
        self.written[row.order_id] = row.number


def verified(home: Home, contains: str = "") -> Proven:
    """Raises NotProven, JournalUnusable. `contains`: a hash that some record must have."""
    archive = Archive(home, one_moment=True)
    try:
        return _verified(archive, contains)
    finally:
        archive.close()


def _verified(archive: Archive, contains: str) -> Proven:
    head, seals = archive.head(), archive.seals()
    ends = [*seals, head.number]
    restoration = recollected(archive, _end_after(archive.first() - 1, ends))

    def before(order_id: str) -> Iterable[Row]:
        return (row for row in archive.of_order(order_id) if row.number <= archive.cut.number)

    orders = _OrderBook(before)
    begin = _begin(archive, restoration, orders)
    found = not contains
    for row in chained(archive.read(begin.number), begin, head):
        _take(restoration, row)
        orders.take(row)
        found = found or row.hash.hex() == contains
        if row.kind == Kind.SEALED and body_of(row).number not in seals:
            raise NotProven(f"record {row.number} (sealed): seal {body_of(row).number} is missing")
        if row.number in seals:
            _check_snapshot(archive.seal(row.number), restoration)
            restoration = _gone_on(archive, restoration, row.number, _end_after(row.number, ends))
    if not found:
        raise NotProven(f"hash {contains}: no record has it")
    for number in seals:
        check_seal(archive, archive.seal(number))
    _check_orders(archive, orders, begin.number)
    strategies = restoration.state.strategies
    return Proven(
        head.journal,
        begin.number + 1,
        head.number,
        head.hash.hex(),
        len(seals),
        len(orders.rows),
        {name: strategy.account.ledger for name, strategy in strategies.items()},
    )


def _begin(archive: Archive, restoration: Restoration, orders: _OrderBook) -> Seal:
    """Where the records that are here begin: with the journal, or behind a seal."""
    first = archive.first()
    if first <= 1:
        return Seal(0, chain.genesis(archive.head().journal), "")
    if first - 1 not in archive.seals():
        raise NotProven(f"record 1: missing, the first one is {first}, and no seal is before it")
    seal = archive.seal(first - 1)
    snapshot = from_json(seal.snapshot)
    if snapshot is None:
        raise NotProven(f"seal {seal.number}: its snapshot is of another version")
    restoration.grants = put_back(snapshot, restoration.state, restoration.timing)
    for strategy in restoration.state.strategies.values():
        for order_id in strategy.account.orders:
            orders.recall(order_id, strategy.name)
    return seal


def _end_after(number: int, ends: list[int]) -> int:
    """Of the stretch of records behind that one: the next seal, or the last record."""
    return next((end for end in ends if end > number), ends[-1])


def _gone_on(archive: Archive, before: Restoration, number: int, end: int) -> Restoration:
    """Behind a seal: a seal is made as a start would, by the settings of its own time."""
    if started_by(archive, end) == started_by(archive, number):
        return before
    after = recollected(archive, end)
    after.grants = put_back(taken(before.state, before.grants), after.state, after.timing)
    return after


def _take(restoration: Restoration, row: Row) -> None:
    try:
        restoration.take(row)
    except Exception as error:  # whatever it says, it does not follow
        what = f"{type(error).__name__}: {error}"
        raise NotProven(f"record {row.number} ({row.kind}): does not follow: {what}") from error


def _check_snapshot(seal: Seal, restoration: Restoration) -> None:
    sealed = from_json(seal.snapshot)
    if sealed is None or sealed.layout != LAYOUT:
        return
    if sealed != taken(restoration.state, restoration.grants):
        raise NotProven(f"seal {seal.number}: its snapshot is not what the records make")


def _check_orders(archive: Archive, orders: _OrderBook, after: int) -> None:
    there = {row.client_order_id: row for row in archive.order_rows(after)}
    for order_id in sorted(orders.rows.keys() | there.keys()):
        _check_order(archive, orders, order_id, there.get(order_id))


def _check_order(archive: Archive, orders: _OrderBook, order_id: str, row: OrderRow | None) -> None:
    made, row = orders.rows.get(order_id), row or archive.order(order_id)
    if made is None:
        raise NotProven(f"order {order_id}: in the table, no record made it")
    if row != made:
        by = f"record {orders.written.get(order_id, 0)}"
        raise NotProven(f"order {order_id}: the table has {_words(row)}, {by} left {_words(made)}")


def _words(row: OrderRow | None) -> str:
    if row is None:
        return "no such order"
    return (
        f"{row.strategy} {row.state} {row.filled_quantity} for {row.filled_notional} "
        f"with fee {row.fee}"
    )


def _filled(row: OrderRow, fill: Fill) -> OrderRow:
    """A bust is a fill less."""
    quantity = -fill.quantity if fill.busts else fill.quantity
    notional: Decimal = EXACT.multiply(fill.price, quantity)
    return replace(
        row,
        filled_quantity=EXACT.add(row.filled_quantity, quantity),
        filled_notional=EXACT.add(row.filled_notional, notional),
        fee=EXACT.add(row.fee, fill.fee),
    )
