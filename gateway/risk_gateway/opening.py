"""The comparison with the venues that a start begins with: nothing that differs is passed over.

Each venue is compared by itself, when it is there. What differs is named, in the log, in `GetDesk`
and as a figure; with the policy `halt` the desk is halted besides, from its start until all of them
have been compared and agree.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from risk_gateway.adoption import Adoption
from risk_gateway.bounds import Bounds
from risk_gateway.claims import NotOurs
from risk_gateway.fill_book import FillBook
from risk_gateway.reconcile import Difference, differences_at, differences_in_books
from risk_gateway.settings import OnDifference
from risk_gateway.state import State
from risk_gateway.venue import Venue, VenueRefused, VenueUnavailable
from trading.scopes import DESK

RECONCILE = "reconcile"  # a source of halts
PATIENCE_S = 10.0  # for fills that are under way, and orders that are being settled
_LOOK_S = 0.5
_JOURNAL = "the journal"  # with itself

log = structlog.get_logger()


class Opening:
    """`run()` it as a task. `bus_is_up`: fills that came while nobody listened can be heard."""

    def __init__(
        self,
        state: State,
        bounds: Bounds,
        fill_book: FillBook,
        venues: Iterable[Venue],
        policy: OnDifference,
        bus_is_up: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._found: dict[str, Sequence[Difference] | None] = {_JOURNAL: None}  # None: not compared
        self._found.update((_name(venue), None) for venue in venues)
        self._state = state
        self._bounds = bounds
        self._fill_book = fill_book
        self._adoption = Adoption(state, fill_book)
        fill_book.may_be_placed = policy is OnDifference.ADOPT
        self._venues = tuple(venues)
        self._policy = policy
        self._bus_is_up = bus_is_up
        self._clock = clock
        if policy is OnDifference.HALT:  # before anything leaves
            bounds.halt("not compared with the venues yet", source=RECONCILE)

    @property
    def differences(self) -> Sequence[str] | None:
        """None: nothing differs so far, and not all of it was compared."""
        found = [str(each) for some in self._found.values() if some for each in some]
        left = [name for name, some in self._found.items() if some is None]
        if left and not found:
            return None
        return [*found, *(f"{name}: not compared yet" for name in left)]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for venue in self._venues:
                tasks.create_task(self._compare_venue(venue))
            tasks.create_task(self._compare_books())
        self._fill_book.may_be_placed = False
        self._fill_book.unplaced.clear()
        found = self.differences
        if found and self._policy is OnDifference.HALT:
            self._bounds.halt(f"{len(found)} differences, the first: {found[0]}", source=RECONCILE)
        elif (DESK, RECONCILE) in self._state.latches:
            self._bounds.resume("ledger and venues were compared", source=RECONCILE)

    async def _compare_venue(self, venue: Venue) -> None:
        def is_there() -> bool:
            return venue.available and self._bus_is_up()

        found = await self._settled(lambda: self._look(venue), is_there)
        self._note(_name(venue), found)

    async def _look(self, venue: Venue) -> Sequence[Difference]:
        """What differs, after what can be adopted was."""
        found = await differences_at(self._state, venue)
        if self._policy is not OnDifference.ADOPT:
            return found
        return [await self._adopted(each, venue) if each.foreign else each for each in found]

    async def _adopted(self, difference: Difference, venue: Venue) -> Difference:
        """It differs until the next look, which finds it in the journal."""
        assert difference.foreign is not None
        try:
            await self._adoption.adopt(difference.foreign.client_order_id, venue)
        except (NotOurs, VenueUnavailable, VenueRefused) as why:
            return Difference(f"{difference.what}, not adopted: {why}")
        return difference

    async def _compare_books(self) -> None:
        found = await self._settled(lambda: differences_in_books(self._state), self._bus_is_up)
        self._note(_JOURNAL, found)

    def _note(self, name: str, found: Sequence[Difference]) -> None:
        self._found[name] = found
        for difference in found:
            log.error("start_difference", difference=str(difference))

    async def _settled(
        self, look: Callable[[], Awaitable[Sequence[Difference]]], can_be_told: Callable[[], bool]
    ) -> Sequence[Difference]:
        """What still differs when everything that is under way had its time."""
        since: float | None = None
        while True:
            found = await look() if can_be_told() else None
            if not can_be_told():  # it went away meanwhile: what was found means nothing
                since = None
            elif found is not None:
                since = self._clock() if since is None else since
                if not found or self._clock() - since >= PATIENCE_S:
                    return found
            await asyncio.sleep(_LOOK_S)


def _name(venue: Venue) -> str:
    return f"venue {venue.name}"
