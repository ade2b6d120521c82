"""Between the NATS of a venue and that of a gateway: fills pass, in the manner that it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from heapq import heappop, heappush
from random import Random

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from risk_gateway.bus import FILLS_STREAM, FILLS_SUBJECT


class Manner(StrEnum):
    AT_ONCE = "at once"
    TWICE = "twice"  # and without the id that JetStream would know them by
    SHUFFLED = "shuffled"
    LATE = "late"  # long after the venue's answers


_DELAYS: dict[Manner, Callable[[Random], tuple[float, ...]]] = {
    Manner.AT_ONCE: lambda _: (0.0,),
    Manner.TWICE: lambda chance: (0.0, chance.uniform(0, 0.5)),
    Manner.SHUFFLED: lambda chance: (chance.uniform(0, 0.5),),
    Manner.LATE: lambda _: (2.0,),
}


class HostileBus:
    """Set its `manner` at any time."""

    def __init__(self, chance: Random) -> None:
        self.manner = Manner.AT_ONCE
        self._chance = chance
        self._due: list[tuple[float, int, bytes]] = []
        self._seen = 0

    async def take(self, message: Msg) -> None:
        for delay in _DELAYS[self.manner](self._chance):
            self._seen += 1
            heappush(self._due, (time.monotonic() + delay, self._seen, message.data))

    async def pass_on(self, gateway: Client) -> None:
        """Until cancelled."""
        stream = gateway.jetstream()
        await stream.add_stream(name=FILLS_STREAM, subjects=[FILLS_SUBJECT])
        while True:
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, body = heappop(self._due)
                await stream.publish(FILLS_SUBJECT, body, timeout=60)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def between(venue_url: str, gateway_url: str, chance: Random) -> AsyncIterator[HostileBus]:
    venue, gateway = await nats.connect(venue_url), await nats.connect(gateway_url)
    bus = HostileBus(chance)
    await venue.subscribe(FILLS_SUBJECT, cb=bus.take)
    await venue.flush()  # the subscription is there
    passing = asyncio.create_task(bus.pass_on(gateway))
    try:
        yield bus
    finally:
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)
        await venue.close()
        await gateway.close()
