"""Fills in the books: each counted once, for the order it names, and told when durable.

A fill moves the books when it comes; its message is acknowledged, its outcome told and its
position published only when it is on disk. A bust is a reversing entry against a fill on disk; one
that comes before its fill is kept as a stray, and booked once that is there.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from time import perf_counter_ns

import structlog

from handover.messages import Outcome
from risk_gateway.execution import Execution
from risk_gateway.journal import Record
from risk_gateway.positions import PositionUpdate
from risk_gateway.records import (
    Adopted,
    Decided,
    Kind,
    Stray,
    body_of,
    fill_outcome,
    last_modification,
    order_row,
    record,
)
from risk_gateway.state import State
from risk_gateway.strategy import LastTrade, Strategy
from trading.fills import Fill, ForeignFill, in_its_currency, reversal
from trading.ids import signal_of
from trading.ledger import Booking
from trading.orders import Order, OrderState
from trading.positions import Position

log = structlog.get_logger()


class FillBook:
    """Call nothing concurrently."""

    def __init__(self, state: State, execution: Execution) -> None:
        self._state = state
        self._execution = execution
        self._writing: dict[str, list[Callable[[], None]]] = {}  # by fill id: who waits for it
        # Booked since the start for orders that are not ours, by these; until nobody adopts any.
        self.unplaced: dict[str, list[Fill]] = {}
        self.may_be_placed = False

    def take(self, fill: Fill, done: Callable[[], None]) -> None:
        """Calls `done` when the fill is on disk, also if it was there before."""
        waiting = self._writing.get(fill.fill_id)
        if waiting is not None:
            waiting.append(done)
            return
        if self._state.archive.knows_fill(fill.fill_id):
            done()
            return
        if fill.busts in self._writing:  # what is taken back has to be on disk
            self._writing[fill.busts].append(lambda: self.take(fill, done))
            return
        self._writing[fill.fill_id] = [done]
        if fill.busts:
            self._take_back(fill)
        else:
            self._book(in_its_currency(fill, self._state.instruments.get(fill.symbol)))
            self._take_back_early(fill.fill_id)

    def resume(self) -> None:
        """After a restart: busts whose fill was written, and they were not."""
        for fill_id in tuple(self._state.early_busts):
            if self._state.archive.knows_fill(fill_id):
                self._take_back_early(fill_id)

    def _book(self, fill: Fill) -> None:
        received_ns = perf_counter_ns()
        try:
            strategy, order = self._owner(fill)
        except ForeignFill as error:
            self._stray(fill, str(error))
            return
        if strategy is None:
            self._stray(fill, f"no strategy {fill.strategy!r} and no order of that id")
            return
        if fill.strategy != strategy.name:
            fill = replace(fill, strategy=strategy.name)
        try:
            after = order.after_fill(fill) if order is not None else None
        except ForeignFill as error:
            self._stray(fill, str(error))
            return
        self._count(strategy, fill, after, received_ns)

    def _take_back(self, bust: Fill) -> None:
        if not self._state.archive.knows_fill(bust.busts):
            self._state.early_busts.setdefault(bust.busts, bust)
            self._stray(bust, f"it takes back fill {bust.busts}, which has not come")
            return
        try:
            booked = self._reversal(bust)
        except ForeignFill as error:
            self._stray(bust, str(error))
            return
        self._state.busted[bust.busts] = bust.fill_id
        self._book(booked)

    def _reversal(self, bust: Fill) -> Fill:
        """Raises ForeignFill."""
        row = self._state.archive.record(Kind.FILL, bust.busts)
        if row is None:
            kept = "counted nowhere, or is older than what was kept"
            raise ForeignFill(f"it takes back fill {bust.busts}, which was {kept}")
        before = self._state.busted.get(bust.busts)
        if before is not None:
            raise ForeignFill(f"fill {bust.busts} was taken back before, by {before}")
        return reversal(bust, body_of(row))

    def _take_back_early(self, fill_id: str) -> None:
        """Once both are on disk: the fill, and the bust as the stray that it was."""
        bust = self._state.early_busts.get(fill_id)
        if bust is None:
            return
        for written in (bust.fill_id, fill_id):
            if written in self._writing:
                self._writing[written].append(lambda: self._take_back_early(fill_id))
                return
        del self._state.early_busts[fill_id]
        self._writing[bust.fill_id] = []
        self._take_back(bust)

    def _owner(self, fill: Fill) -> tuple[Strategy | None, Order | None]:
        """By client order id; the name in the fill counts only for what is not ours.

        Raises ForeignFill."""
        named = self._state.strategies.get(fill.strategy)
        order = named.order(fill.client_order_id) if named is not None else None
        if order is not None or not fill.client_order_id:
            return named, order
        row = self._state.archive.order(fill.client_order_id)
        if row is None:
            return named, None
        strategy = self._state.strategies[row.strategy]
        return strategy, strategy.order(fill.client_order_id) or self._old_order(fill)

    def _old_order(self, fill: Fill) -> Order:
        """An order that ended long ago, as it stood then. Raises ForeignFill."""
        archive, name = self._state.archive, fill.client_order_id
        made = archive.record(Kind.DECIDED, signal_of(name)) or archive.record(Kind.ADOPTED, name)
        row = self._state.archive.order(fill.client_order_id)
        assert row is not None
        if made is None or archive.of_order(name)[-1].order_state != row.state:
            raise ForeignFill("its order ended before what was kept of the journal")
        body: Decided | Adopted = body_of(made)
        assert body.order is not None
        return replace(
            body.order,
            quantity=self._old_quantity(body.order),
            state=OrderState(row.state),
            filled_quantity=row.filled_quantity,
            filled_notional=row.filled_notional,
            fee=row.fee,
        )

    def _old_quantity(self, order: Order) -> Decimal:
        modified = last_modification(self._state.archive, order.client_order_id)
        return modified.quantity if modified else order.quantity

    def _count(self, strategy: Strategy, fill: Fill, after: Order | None, received_ns: int) -> None:
        booking = strategy.account.on_fill(fill)
        assert booking is not None
        strategy.filled(fill, of_order=after is not None)
        if after is None and self.may_be_placed:
            self.unplaced.setdefault(fill.client_order_id, []).append(fill)
        outcome = fill_outcome(strategy.next_outcome(), fill)
        if after is not None and not after.is_open:
            strategy.keep_ended(strategy.account.orders.get(after.client_order_id, after))
        written = self._fill_record(strategy, fill, after, outcome)
        self._state.journal.append(
            [written], lambda: self._counted(strategy, booking, after, outcome, received_ns)
        )
        if after is not None and not after.is_open:
            self._execution.end_modification(strategy, strategy.ended[after.client_order_id])
        self._execution.end_if_complete(strategy, fill.client_order_id)

    def _fill_record(
        self, strategy: Strategy, fill: Fill, after: Order | None, outcome: Outcome
    ) -> Record:
        return record(
            Kind.FILL,
            fill,
            self._state.wall_ns(),
            strategy.name,
            key=fill.fill_id,
            outcome=outcome.number,
            order=order_row(after) if after is not None else None,
        )

    def _counted(
        self,
        strategy: Strategy,
        booking: Booking,
        after: Order | None,
        outcome: Outcome,
        received_ns: int,
    ) -> None:
        fill, position = booking.fill, booking.position
        counts = self._state.counts
        if fill.busts:
            counts.busts[strategy.name, self._state.label(fill.symbol)] += 1
            log.warning("fill_busted", fill=fill.busts, order=fill.client_order_id, by=fill.fill_id)
        else:
            strategy.tally.filled(booking)
            counts.fills[strategy.name, self._state.label(fill.symbol), fill.side] += 1
        counts.position_updates += 1
        counts.fill_latency.observe((perf_counter_ns() - received_ns) / 1_000)
        strategy.told.position(position)
        strategy.traded[fill.symbol] = LastTrade(outcome.number, fill.at_ns)
        self._execution.tell(strategy, after, outcome)
        self._state.outside.publish(self._update(strategy, position))
        self._release(fill)

    def publish_positions(self) -> None:
        """All of them, as they stand: after a restart nobody knows which were published."""
        for strategy in self._state.strategies.values():
            for position in strategy.account.positions.values():
                self._state.outside.publish(self._update(strategy, position))

    def _update(self, strategy: Strategy, position: Position) -> PositionUpdate:
        touch = self._state.market.latest(position.symbol)
        last = strategy.traded[position.symbol]
        return PositionUpdate(
            strategy=strategy.name,
            symbol=position.symbol,
            number=last.outcome,
            quantity=position.quantity,
            average_price=position.average_entry,
            price=touch.mid if touch else None,
            realized_pnl=position.realized_pnl,
            unrealized_pnl=position.unrealized_pnl(touch.mid) if touch else None,
            at_ns=last.at_ns,
        )

    def _stray(self, fill: Fill, why: str) -> None:
        """Kept for a person to look at; it belongs to nobody's books."""
        log.warning("fill_stray", fill=fill.fill_id, why=why)
        if self._state.archive.record(Kind.STRAY, fill.fill_id) is not None:
            self._release(fill)  # an early bust, known as one
            return
        self._state.counts.strays += 1
        written = record(Kind.STRAY, Stray(fill, why), self._state.wall_ns(), key=fill.fill_id)
        self._state.journal.append([written], lambda: self._release(fill))

    def _release(self, fill: Fill) -> None:
        for done in self._writing.pop(fill.fill_id):
            done()
