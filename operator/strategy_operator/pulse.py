"""Whether the operator is alive: a beat goes the way that news goes, and has to come out.

Through the watching thread, into the queue, to the worker. Restarting helps against what it finds,
and against nothing else: an API server that is away does not stop it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from strategy_operator.metrics import Counts
from strategy_operator.queue import Key

BEAT: Key = ("", "")  # in the queue
EVERY_S = 5.0
DEAD_S = 120.0
_SLOW_S = 0.05
_LOOK_S = 0.1


class Watching(Protocol):
    def beat(self, answer: Callable[[], None]) -> None: ...


class Pulse:
    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._felt_at = time.monotonic()

    @property
    def lost(self) -> str:
        """Why it is thought dead; empty: it lives."""
        age_s = time.monotonic() - self._felt_at
        return f"no beat came through for {age_s:.0f} s" if age_s > DEAD_S else ""

    def felt(self) -> None:
        self._felt_at = time.monotonic()

    async def send(self, watching: Watching, onward: Callable[[], None]) -> None:
        """Sends beats for ever; `onward` takes each on in this loop."""
        loop = asyncio.get_running_loop()
        while True:
            watching.beat(lambda: _post(loop, onward))
            await asyncio.sleep(EVERY_S)

    async def watch_the_loop(self) -> None:
        """Counts turns that kept it busy; time that others had on the machine is not its own."""
        while True:
            wall, busy = time.monotonic(), time.thread_time()
            await asyncio.sleep(_LOOK_S)
            late_s = time.monotonic() - wall - _LOOK_S
            if min(late_s, time.thread_time() - busy) > _SLOW_S:
                self._counts.slow_callbacks += 1


def _post(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what)
