"""The way out to the venue: one lane a strategy, so that its orders leave in their order.

What gathers in a lane while a call is under way leaves together in the next one. All lanes share
a bound on calls under way.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from risk_gateway.venue import Venue, VenueRefused, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from trading.orders import Modification
from trading.routes import DEFAULT_VENUE
from trading.values import value

MOST_CALLS = 64
MOST_ORDERS = 100


@value(frozen=True, slots=True)
class Leaving:
    """An order, or the cancel or modification of one, on its way to the venue."""

    strategy: str
    client_order_id: str
    request: pb.OrderRequest | None  # None: cancel or modify it
    modification: Modification | None = None
    venue: str = DEFAULT_VENUE  # its order's

    @property
    def is_cancel(self) -> bool:
        return self.request is None and self.modification is None


_Waiting = tuple[Leaving, float]  # since then, monotonic


class Sender(Protocol):
    """Who is asked before anything leaves, and told what came of it."""

    def may_leave(self, leaving: Leaving, waited_s: float = 0.0) -> bool: ...

    def answered(self, leaving: Leaving, answer: pb.OrderResponse) -> None: ...

    def unanswered(self, leaving: Leaving, why: str) -> None: ...

    def refused(self, leaving: Leaving, why: str) -> None: ...


class Lanes:
    """Of one venue."""

    def __init__(self, venue: Venue, tasks: asyncio.TaskGroup, sender: Sender) -> None:
        self._venue = venue
        self._tasks = tasks
        self._sender = sender
        self._lanes: dict[str, deque[_Waiting]] = {}
        self._calls = asyncio.Semaphore(MOST_CALLS)

    def put(self, leaving: Leaving) -> None:
        lane = self._lanes.get(leaving.strategy)
        if lane is None:
            lane = self._lanes[leaving.strategy] = deque()
            self._tasks.create_task(self._run(leaving.strategy, lane))
        lane.append((leaving, monotonic()))

    async def _run(self, strategy: str, lane: deque[_Waiting]) -> None:
        """Lives as long as its lane has something in it."""
        while lane:
            async with self._calls:
                now, may_leave = monotonic(), self._sender.may_leave
                together = [each for each, since in _next(lane) if may_leave(each, now - since)]
                if together:
                    await self._send(together)
        del self._lanes[strategy]

    async def _send(self, together: Sequence[Leaving]) -> None:
        try:
            answers = await self._call(together)
        except VenueUnavailable as error:
            for leaving in together:
                self._sender.unanswered(leaving, str(error))
        except VenueRefused as error:
            await self._on_refused(together, str(error))
        else:
            self._tell(together, answers)

    async def _on_refused(self, together: Sequence[Leaving], why: str) -> None:
        """One order that cannot be meant refuses the whole call: each is sent by itself.

        The desk may have been halted meanwhile, so each is asked for again.
        """
        if len(together) == 1:
            self._sender.refused(together[0], why)
            return
        for leaving in together:
            if self._sender.may_leave(leaving):
                await self._send([leaving])

    def _tell(self, together: Sequence[Leaving], answers: Sequence[pb.OrderResponse]) -> None:
        by_id = {answer.client_order_id: answer for answer in answers}
        for leaving in together:
            answer = by_id.get(leaving.client_order_id)
            if answer is None:
                self._sender.unanswered(leaving, "no answer about this order")
            else:
                self._sender.answered(leaving, answer)

    async def _call(self, together: Sequence[Leaving]) -> Sequence[pb.OrderResponse]:
        first = together[0]
        if first.modification is not None:
            venue, order = self._venue, first.client_order_id
            return [await venue.modify(order, first.strategy, first.modification)]
        if first.request is None:
            return [await self._venue.cancel(first.client_order_id, first.strategy)]
        return await self._venue.submit([each.request for each in together if each.request])


def _next(lane: deque[_Waiting]) -> list[_Waiting]:
    """One cancel or modification, or the orders up to the next one."""
    taken = [lane.popleft()]
    if taken[0][0].request is not None:
        while lane and lane[0][0].request is not None and len(taken) < MOST_ORDERS:
            taken.append(lane.popleft())
    return taken
