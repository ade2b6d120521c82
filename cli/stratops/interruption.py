"""Work that somebody may call off: by an event, or by cancelling whoever waits for it."""

import asyncio
from collections.abc import Coroutine


async def unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Runs `work` unless `stop` comes first; True if it was done. It never runs on after this."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if unfinished := not working.done():
            working.cancel()
            await asyncio.wait((working,))
    if unfinished:
        return False
    working.result()
    return True
