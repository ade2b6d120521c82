"""The comparison with the venue that a start begins with: nothing that differs is passed over.

What differs is named, in the log, in `GetDesk` and as a figure; with the policy `halt` the desk is
halted besides, from its start until it has been compared and agrees.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from risk_gateway.bounds import Bounds
from risk_gateway.reconcile import differences
from risk_gateway.settings import OnDifference
from risk_gateway.state import State
from risk_gateway.venue import Venue
from trading.scopes import DESK

RECONCILE = "reconcile"  # a source of halts
PATIENCE_S = 10.0  # for fills that are under way, and orders that are being settled
_LOOK_S = 0.5

log = structlog.get_logger()


class Opening:
    """`run()` it as a task. `bus_is_up`: fills that came while nobody listened can be heard."""

    def __init__(
        self,
        state: State,
        bounds: Bounds,
        venue: Venue,
        policy: OnDifference,
        bus_is_up: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.differences: Sequence[str] | None = None  # None: not compared yet
        self._state = state
        self._bounds = bounds
        self._venue = venue
        self._policy = policy
        self._bus_is_up = bus_is_up
        self._clock = clock
        if policy is OnDifference.HALT:  # before anything leaves
            bounds.halt("not compared with the venue yet", source=RECONCILE)

    async def run(self) -> None:
        found = await self._settled()
        self.differences = found
        for difference in found:
            log.error("start_difference", difference=difference)
        if found and self._policy is OnDifference.HALT:
            self._bounds.halt(f"{len(found)} differences, the first: {found[0]}", source=RECONCILE)
        elif (DESK, RECONCILE) in self._state.latches:
            self._bounds.resume("ledger and venue were compared", source=RECONCILE)

    async def _settled(self) -> Sequence[str]:
        """What still differs when everything that is under way had its time."""
        since: float | None = None
        while True:
            found = await differences(self._state, self._venue) if self._can_be_told() else None
            if not self._can_be_told():  # it went away meanwhile: what was found means nothing
                since = None
            elif found is not None:
                since = self._clock() if since is None else since
                if not found or self._clock() - since >= PATIENCE_S:
                    return found
            await asyncio.sleep(_LOOK_S)

    def _can_be_told(self) -> bool:
        return self._venue.available and self._bus_is_up()
