"""The desk as the journal left it: read once, at the start, before anybody connects."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from handover.effects import change_from_json
from handover.grants import Grants
from handover.record import Record
from handover.timing import Timing
from risk_gateway import chain
from risk_gateway.archive import Archive, Head, Row
from risk_gateway.execution import EVENT_OF_END
from risk_gateway.journal import Seal
from risk_gateway.proof import chained, check_seal
from risk_gateway.records import (
    Adopted,
    BatchTaken,
    Decided,
    Deployed,
    Flatten,
    Kind,
    Latch,
    Marked,
    OrderEnded,
    OrderModified,
    Started,
    Term,
    body_of,
    outcome_of,
    started_key,
)
from risk_gateway.snapshot import deployment_of, from_json, put_back
from risk_gateway.state import State
from risk_gateway.strategy import CANCELS_ONLY, Deployment, Flattening, LastTrade, Strategy
from risk_gateway.told import Told, batch_of
from trading.fills import Fill
from trading.ids import client_order_id
from trading.ledger import Booking
from trading.orders import OrderEvent
from trading.standings import ACTIVE


class Restoration:
    """One reading of the journal into an empty state: the last seal, and the records after it."""

    def __init__(self, state: State, timing: Timing) -> None:
        self.state = state
        self.grants: dict[str, Record] = {}
        self.timing = timing

    def run(self) -> None:
        """Orders whose end is not known are UNKNOWN afterwards: the venue has to be asked.

        An accepted cancel of one may not have been sent: it is to be sent again. Raises NotProven.
        """
        self.read_all()
        for strategy in self.state.strategies.values():
            self._finish(strategy)

    def read_all(self) -> Head:
        """Up to where the chain ends. Raises NotProven."""
        head = self.state.archive.head()
        newest = self.state.archive.newest_before(Kind.ADOPTED, head.number + 1)
        self.state.has_adopted = newest is not None
        self.read(self.begin(head.number), head)
        return head

    def begin(self, through: int) -> Seal:
        """Goes on from the last usable seal up to that record, and answers which it was.

        Raises NotProven.
        """
        archive = self.state.archive
        for number in reversed([each for each in archive.seals() if each <= through]):
            seal = archive.seal(number)
            check_seal(archive, seal)
            snapshot = from_json(seal.snapshot)
            if snapshot is not None:
                self.grants = put_back(snapshot, self.state, self.timing)
                return seal
        return Seal(0, chain.genesis(archive.head().journal), "")

    def read(self, after: Seal, through: Head) -> None:
        """Raises NotProven."""
        rows = self.state.archive.read(after.number, through.number)
        for row in chained(rows, after, through):
            self.take(row)

    def take(self, row: Row) -> None:
        _STEPS[row.kind](self, row)

    def _finish(self, strategy: Strategy) -> None:
        record = self.grants.get(strategy.name, Record())
        strategy.grants = Grants.restore(strategy.name, strategy.told, (), self.timing, record)
        strategy.cancelling.intersection_update(strategy.account.orders)
        for order in tuple(strategy.account.orders.values()):
            if order.is_open:
                strategy.account.on_event(order.client_order_id, OrderEvent.LOSE)
            if order.asked is not None:
                strategy.modifying.add(order.client_order_id)

    # ---- one record each

    def _term(self, row: Row) -> None:
        term: Term = body_of(row)
        self.state.term = term.term

    def _deployed(self, row: Row) -> None:
        body: Deployed = body_of(row)
        deployment = deployment_of(body)
        strategy = self.state.strategies.get(row.strategy) or self._new(row.strategy, deployment)
        strategy.deploy(deployment)

    def _new(self, name: str, first: Deployment) -> Strategy:
        told = Told(name, self.state.archive)
        grants = Grants(name, told, self.timing)  # replaced once all changes are read
        state = self.state
        strategy = Strategy(
            name, first, told, grants, state.instruments, state.policies, state.pools
        )
        self.state.strategies[name] = strategy
        return strategy

    def _grant(self, row: Row) -> None:
        change = change_from_json(row.body)
        self.grants[row.strategy] = self.grants.get(row.strategy, Record()).after(change)
        self.state.strategies[row.strategy].change(change)

    def _halted(self, row: Row) -> None:
        latch: Latch = body_of(row)
        self.state.latch(latch.scope, latch.source, latch.stand)

    def _resumed(self, row: Row) -> None:
        latch: Latch = body_of(row)
        self.state.latch(latch.scope, latch.source, ACTIVE)

    def _policy(self, row: Row) -> None:
        self.state.take_policy(body_of(row))

    def _withdrawn(self, row: Row) -> None:
        self.state.strategies[row.strategy].flattening = Flattening(CANCELS_ONLY)

    def _flatten(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: Flatten = body_of(row)
        strategy.flattenings = body.number
        strategy.flattening = Flattening(body.number)

    def _batch(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: BatchTaken = body_of(row)
        self._decides_in(strategy, body.mark.session)
        strategy.told.batch(batch_of(row))
        strategy.tally.reached(body.mark.count)
        if body.watermarks is not None:
            strategy.account.go_on_measuring(body.watermarks)
        self.state.pools.restore(body.together)

    def _decides_in(self, strategy: Strategy, session: str) -> None:
        strategy.decides_in(session, begins_again=self.state.market.may_begin_again)

    def _decided(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: Decided = body_of(row)
        self._decides_in(strategy, body.session)
        if body.watermarks is not None:
            strategy.account.go_on_measuring(body.watermarks)
        self.state.pools.restore(body.together)
        strategy.tally.decided(body)
        strategy.recent.append(body)
        if body.poll is not None:
            self.state.pools.votes.put(body.signal.symbol, body.poll.vote)
        closing = None if body.epoch else strategy.closing_of(body.signal)
        if closing is not None:
            closing.attempts[body.signal.symbol] += 1
        if body.order is not None:
            strategy.tally.orders += 1
            strategy.reserve(body.order)
            strategy.told.order(body.order)
        elif body.modification is not None and body.signal.modifies:
            self._asked(strategy, client_order_id(body.signal.modifies), body)
        elif body.reason is None and body.signal.cancels:
            strategy.cancelling.add(client_order_id(body.signal.cancels))
        self._outcome(strategy, row)

    def _asked(self, strategy: Strategy, order_id: str, body: Decided) -> None:
        """Its order's end may have been written before the verdict, and has decided it then."""
        order, asked = strategy.order(order_id), body.modification
        assert asked is not None
        if order is None:
            return
        after = order.with_asked(asked)
        if order.modification >= asked.number:
            after = replace(after, asked=None)
        if order_id in strategy.account.orders:
            strategy.account.ask(after, body.now_ns)
        else:
            strategy.account.place(after, body.now_ns)

    def _ended(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: OrderEnded = body_of(row)
        # It may have been UNKNOWN, from which every end is possible; no record says so.
        strategy.account.on_event(body.client_order_id, OrderEvent.LOSE)
        order = strategy.account.on_event(body.client_order_id, EVENT_OF_END[body.state])
        strategy.keep_ended(order)
        strategy.told.order(order)
        self._outcome(strategy, row)

    def _adopted(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: Adopted = body_of(row)
        strategy.reserve(body.order)
        strategy.told.order(body.order)

    def _cancelled_all(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        strategy.cancelling.update(strategy.account.orders)

    def _modified(self, row: Row) -> None:
        strategy = self.state.strategies[row.strategy]
        body: OrderModified = body_of(row)
        order = strategy.account.orders.get(body.client_order_id)
        if order is not None:
            order = strategy.account.on_modification(
                body.client_order_id, body.number, body.quantity, body.price
            )
            strategy.told.order(order)
        elif (ended := strategy.ended.get(body.client_order_id)) is not None:
            order = replace(ended, modification=body.number, asked=None)
        if order is not None and not order.is_open:
            strategy.keep_ended(order)
        self._outcome(strategy, row)

    def booked(self, row: Row) -> Booking:
        """Takes a fill, and answers what it did to the books."""
        return self._fill(row)

    def _fill(self, row: Row) -> Booking:
        strategy = self.state.strategies[row.strategy]
        fill: Fill = body_of(row)
        order = strategy.order(fill.client_order_id)
        booking = strategy.account.on_fill(fill)
        assert booking is not None
        strategy.filled(fill, of_order=row.order_id is not None)
        if fill.busts:
            self.state.busted[fill.busts] = fill.fill_id
            self.state.early_busts.pop(fill.busts, None)
        else:
            strategy.tally.filled(booking)
        strategy.traded[fill.symbol] = LastTrade(row.outcome or 0, fill.at_ns)
        strategy.told.position(booking.position)
        if order is not None:
            after = strategy.account.orders.get(order.client_order_id) or order.after_fill(fill)
            strategy.told.order(after)
            if not after.is_open:
                strategy.keep_ended(after)
        self._outcome(strategy, row)
        return booking

    def _outcome(self, strategy: Strategy, row: Row) -> None:
        if row.outcome is not None:
            strategy.last_outcome = row.outcome
            strategy.told.outcome(outcome_of(row))

    def _stray(self, row: Row) -> None:
        """Kept for people: it moves no books."""
        fill = body_of(row).fill
        if fill.busts and not self.state.archive.knows_fill(fill.busts, before=row.number):
            self.state.early_busts.setdefault(fill.busts, fill)

    def _sampled(self, row: Row) -> None:
        self.state.pools.prospects.samples.take(body_of(row))

    def _breached(self, row: Row) -> None:
        self.state.take_breach(body_of(row))

    def _marked(self, row: Row) -> None:
        body: Marked = body_of(row)
        for name, marks in body.strategies.items():
            self.state.strategies[name].account.go_on_measuring(marks)
        self.state.pools.restore(body.together)

    def _started(self, row: Row) -> None:
        self.state.started = body_of(row)

    def _nothing(self, row: Row) -> None:
        """Kept for people, or for whoever proves the journal: it moves no books."""


def last_started(archive: Archive) -> Started | None:
    row = archive.last_between(Kind.STARTED, started_key(0), started_key(2**63))
    return body_of(row) if row else None


def started_by(archive: Archive, number: int) -> Started | None:
    """The last one up to that record."""
    row = archive.newest_before(Kind.STARTED, number + 1)
    return body_of(row) if row else None


_STEPS: Mapping[str, Callable[[Any, Row], object]] = {
    Kind.TERM: Restoration._term,
    Kind.DEPLOYED: Restoration._deployed,
    Kind.GRANT: Restoration._grant,
    Kind.HALTED: Restoration._halted,
    Kind.RESUMED: Restoration._resumed,
    Kind.POLICY: Restoration._policy,
    Kind.WITHDRAWN: Restoration._withdrawn,
    Kind.FLATTEN: Restoration._flatten,
    Kind.BATCH: Restoration._batch,
    Kind.DECIDED: Restoration._decided,
    Kind.ENDED: Restoration._ended,
    Kind.MODIFIED: Restoration._modified,
    Kind.CANCELLED_ALL: Restoration._cancelled_all,
    Kind.FILL: Restoration._fill,
    Kind.STRAY: Restoration._stray,
    Kind.STARTED: Restoration._started,
    Kind.SEALED: Restoration._nothing,
    Kind.TERMS: Restoration._nothing,
    Kind.SAMPLED: Restoration._sampled,
    Kind.BREACHED: Restoration._breached,
    Kind.MARKED: Restoration._marked,
    Kind.ADOPTED: Restoration._adopted,
}
