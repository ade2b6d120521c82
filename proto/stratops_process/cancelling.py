"""The end of a process' tasks: by cancellation, which some work takes its time to obey.

Clients of others swallow one now and then. nats-py does, in the moment of a flush: who was
cancelled there goes on, and would for ever.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from stratops_process import ending

AGAIN_S = 0.1

T = TypeVar("T")


async def cancellable(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Who is cancelled meanwhile cancels it until it has ended."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_S)
        if not task.cancelled():
            task.exception()  # nobody asks for it any more
        raise
    return task.result()


async def hurries() -> None:
    """Among a process' tasks: when they end, whatever ends them, they are not held up."""
    try:
        await asyncio.Event().wait()
    finally:
        ending.hurry()
