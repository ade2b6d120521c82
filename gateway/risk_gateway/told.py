"""What one strategy's runners may be told: the durable part of its books, all of one moment.

Written only from the journal's callbacks. The newest lies in memory, the rest is read back.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import takewhile

from handover.messages import Batch, Holdings, Outcome, WorkingOrder
from risk_gateway.archive import Archive, Row
from risk_gateway.records import BatchTaken, Kind, batch_key, body_of, outcome_of
from trading.orders import Order
from trading.positions import Position
from trading.signals import Verdict

REMEMBERED = 4_096
_PAGE = 5_000
_LAST_NUMBER = 10**15 - 1


class Told:
    """Implements handover.grants.LedgerView."""

    def __init__(self, strategy: str, archive: Archive, remembered: int = REMEMBERED) -> None:
        self._strategy = strategy
        self._archive = archive
        self._outcomes: deque[Outcome] = deque(maxlen=remembered)
        self._batches: deque[Batch] = deque(maxlen=remembered)
        self._verdicts: dict[tuple[int, int], tuple[Verdict, ...]] = {}
        self._positions: dict[str, Position] = {}
        self._working: dict[str, Order] = {}
        self._last_outcome = 0

    # ---- what became durable

    def order(self, order: Order) -> None:
        """One that ended with fills announced is at work until they are here, and its end told.
        Terms that are only asked for are none of it.
        """
        if order.asked is not None:
            order = replace(order, asked=None)
        at_work = order.is_open or order.outstanding
        if at_work and order.traded_quantity < order.quantity:
            self._working[order.client_order_id] = order
        else:
            self._working.pop(order.client_order_id, None)

    def position(self, position: Position) -> None:
        self._positions[position.symbol] = position

    def outcome(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._last_outcome = outcome.number

    def begin_at(self, outcome: int) -> None:
        """What came up to this number is read back when it is asked for."""
        self._last_outcome = outcome

    def batch(self, batch: Batch, verdicts: tuple[Verdict, ...] = ()) -> None:
        self._batches.append(batch)
        self._verdicts[batch.epoch, batch.number] = verdicts
        while len(self._verdicts) > 8:  # a runner has two batches unacknowledged at most
            del self._verdicts[next(iter(self._verdicts))]

    @property
    def positions(self) -> Mapping[str, Position]:
        """By symbol, as their last durable fill left them."""
        return self._positions

    @property
    def newest_batch(self) -> Batch | None:
        return self._batches[-1] if self._batches else None

    # ---- LedgerView

    def holdings(self) -> Holdings:
        held = {each.symbol: each.quantity for each in self._positions.values() if each.quantity}
        return Holdings(held, tuple(map(_working, self._working.values())))

    def last_outcome(self) -> int:
        return self._last_outcome

    def outcomes_after(self, number: int) -> tuple[Outcome, ...]:
        newest = _newer(self._outcomes, number)
        wanted = (newest[0].number if newest else self.last_outcome() + 1) - number - 1
        return (*self._read_outcomes(number, wanted), *newest) if wanted > 0 else newest

    def last_batch(self, epoch: int) -> Batch | None:
        if self._batches and self._batches[-1].epoch == epoch:
            return self._batches[-1]
        first, last = self._keys(epoch, 0)
        row = self._archive.last_between(Kind.BATCH, first, last)
        return batch_of(row) if row else None

    def batches_after(self, epoch: int, number: int) -> tuple[Batch, ...]:
        oldest = next((each for each in self._batches if each.epoch == epoch), None)
        if oldest is not None and oldest.number <= number + 1:
            newest = takewhile(
                lambda each: (each.epoch, each.number) != (epoch, number), reversed(self._batches)
            )
            found = [each for each in newest if each.epoch == epoch and each.number > number]
            return tuple(reversed(found))
        first, last = self._keys(epoch, number + 1)
        return tuple(map(batch_of, self._archive.between(Kind.BATCH, first, last)))

    def verdicts(self, epoch: int, number: int) -> tuple[Verdict, ...]:
        return self._verdicts.get((epoch, number), ())

    def _keys(self, epoch: int, number: int) -> tuple[str, str]:
        first = batch_key(self._strategy, epoch, number)
        return first, batch_key(self._strategy, epoch, _LAST_NUMBER)

    def _read_outcomes(self, after: int, count: int) -> Iterable[Outcome]:
        while count > 0:
            rows = self._archive.outcomes(self._strategy, after, min(count, _PAGE))
            if not rows:
                return
            yield from map(outcome_of, rows)
            count -= len(rows)
            after += len(rows)


def batch_of(row: Row) -> Batch:
    """Without its signals, which lie in records of their own."""
    taken: BatchTaken = body_of(row)
    return Batch(taken.epoch, taken.number, taken.mark, (), taken.inputs, taken.stopped)


def _newer(outcomes: deque[Outcome], number: int) -> tuple[Outcome, ...]:
    newest = takewhile(lambda each: each.number > number, reversed(outcomes))
    return tuple(reversed(tuple(newest)))


def _working(order: Order) -> WorkingOrder:
    return WorkingOrder(
        order.signal_id, order.symbol, order.side, order.order_type, order.remaining, order.price
    )
