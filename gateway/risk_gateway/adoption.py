"""Takes foreign orders into the books: journalled before anything is done about them.

Fills of one may have come before it was found. They were booked for the strategy that they name, so
they are counted into the order, once each: those of earlier lives by the journal, the others by the
fill book.
"""

import structlog

from risk_gateway.archive import Archive
from risk_gateway.claims import Found, NotOurs, adopted, claimed
from risk_gateway.fill_book import FillBook
from risk_gateway.reconcile import in_thread
from risk_gateway.records import Adopted, Kind, body_of, order_row, record
from risk_gateway.state import State
from risk_gateway.venue import Venue
from stratops_wire.scalars import ORDER_STATES
from trading.fills import Fill
from trading.orders import Order

log = structlog.get_logger()


class Adoption:
    def __init__(self, state: State, fill_book: FillBook) -> None:
        """Before any fill is taken: what the journal has now, it has from earlier lives."""
        self._state = state
        self._fill_book = fill_book
        self._before = state.journal.last

    async def adopt(self, client_order_id: str, venue: Venue) -> None:
        """Raises NotOurs, VenueUnavailable, VenueRefused."""
        before = await in_thread(
            self._state.journal.home,
            lambda archive: fills_of(archive, client_order_id, self._before),
        )
        answer = await venue.order(client_order_id)
        if answer is None or _has_ended(answer.state):
            raise NotOurs("it has ended meanwhile")
        found = Found(answer, venue.name, self._state.strategies, self._state.policies.routes)
        strategy = claimed(found)
        if self._is_known(client_order_id):
            raise NotOurs("another order of that id is known here")
        at_ns = self._state.market.latest_at_ns(answer.symbol) or self._state.wall_ns()
        booked = [*before, *self._fill_book.unplaced.get(client_order_id, ())]
        self._keep(adopted(found, strategy, booked, at_ns))

    def _is_known(self, client_order_id: str) -> bool:
        if self._state.archive.order(client_order_id) is not None:
            return True
        return any(each.order(client_order_id) for each in self._state.strategies.values())

    def _keep(self, order: Order) -> None:
        strategy = self._state.strategies[order.strategy]
        strategy.reserve(order)
        self._state.has_adopted = True
        self._state.counts.adopted[order.strategy, order.symbol] += 1
        log.warning("order_adopted", order=order.client_order_id, strategy=order.strategy)
        written = record(
            Kind.ADOPTED,
            Adopted(order),
            self._state.wall_ns(),
            order.strategy,
            key=order.client_order_id,
            order=order_row(order),
        )
        self._state.journal.append([written], lambda: strategy.told.order(order))


def fills_of(archive: Archive, client_order_id: str, through: int) -> list[Fill]:
    """Up to that record, in their order; none was booked for an order that the journal had."""
    found: list[tuple[int, Fill]] = []
    for row in archive.of_kind(Kind.FILL):
        if row.order_id is None and row.number <= through:
            fill: Fill = body_of(row)
            if fill.client_order_id == client_order_id:
                found.append((row.number, fill))
    return [fill for _, fill in sorted(found, key=lambda each: each[0])]


def _has_ended(number: int) -> bool:
    state = ORDER_STATES.maybe(number)
    return state is None or state.has_ended
