"""The desk's venues. Each has its own client, certificates, lanes, breaker and settlement, so that
one which is down or slow holds up no other."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from risk_gateway.execution import Execution
from risk_gateway.lanes import Lanes, Leaving
from risk_gateway.settle import Settler
from risk_gateway.state import State
from risk_gateway.strategy import Strategy
from risk_gateway.venue import Venue
from risk_gateway.venue_file import VenueTerms
from risk_gateway.venue_tls import VenueTls
from stratops_process.environment import InvalidSettings

_MOST_NAMED = 3


class Venues:
    def __init__(self, terms: Sequence[VenueTerms], may_resubmit: Callable[[], bool]) -> None:
        """Raises InvalidCertificate."""
        self._by_name = {each.name: _client(each, may_resubmit) for each in terms}

    def __iter__(self) -> Iterator[Venue]:
        return iter(self._by_name.values())

    def available(self, name: str) -> bool:
        venue = self._by_name.get(name)
        return venue is not None and venue.available

    def run(
        self, state: State, tasks: asyncio.TaskGroup, execution: Execution
    ) -> Callable[[Leaving], None]:
        """Their way out, once their tasks run."""
        lanes = {venue.name: Lanes(venue, tasks, execution) for venue in self}
        for venue in self:
            tasks.create_task(Settler(state, venue, execution).run())
            tasks.create_task(venue.follow_certificates())
        return lambda leaving: lanes[leaving.venue].put(leaving)

    async def close(self) -> None:
        for venue in self:
            await venue.close()


def _client(terms: VenueTerms, may_resubmit: Callable[[], bool]) -> Venue:
    tls = VenueTls(terms.tls_dir) if terms.tls_dir else None
    return Venue(terms.address, name=terms.name, may_resubmit=may_resubmit, tls=tls)


def check_symbols(venues: Iterable[VenueTerms], known: Iterable[str]) -> None:
    """Of a symbol that nothing is known of, a slip would leave the right one without a venue.

    Raises InvalidSettings.
    """
    catalogue = frozenset(known)
    for venue in venues:
        for symbol in sorted((venue.symbols or frozenset()) - catalogue):
            message = f"{venue.name}.symbols: {symbol!r}, expected one of the catalogue"
            raise InvalidSettings(f"STRATOPS_VENUES: {message}")


def check_orders(venues: Iterable[VenueTerms], strategies: Iterable[Strategy]) -> None:
    """Nobody could cancel or settle an order at a venue that is no longer named.

    Raises InvalidSettings.
    """
    names = {venue.name for venue in venues}
    for strategy in strategies:
        lost = [order for order in strategy.account.orders.values() if order.venue not in names]
        if lost:
            orders = ", ".join(order.client_order_id for order in lost[:_MOST_NAMED])
            what = f"{len(lost)} orders of {strategy.name} are there: {orders}"
            raise InvalidSettings(
                f"STRATOPS_VENUES: expected venue {lost[0].venue!r} until they have ended, {what}"
            )
