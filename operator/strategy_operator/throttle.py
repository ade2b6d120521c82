"""How many requests a second the API server is asked, urgent ones first.

A token bucket: `burst` at once, then `per_second`. What makes things safer does not wait behind
what makes them better.
"""

import asyncio
from collections import deque
from collections.abc import Iterator


class Throttle:
    def __init__(self, per_second: float = 40.0, burst: int = 80) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = 0.0
        self._waiting: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (
            deque(),
            deque(),
        )
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool = False) -> None:
        """Returns when one more request may be sent."""
        loop = asyncio.get_running_loop()
        self._fill(loop.time())
        ahead = self._waiting[0] if urgent else (*self._waiting[0], *self._waiting[1])
        if self._tokens >= 1 and not ahead:
            self._tokens -= 1
            return
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting[0 if urgent else 1].append(waiter)
        self._wind(loop)
        await waiter

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self._per_second
        self._tokens = min(float(self._burst), self._tokens + gained)
        self._filled_at = now

    def _wind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            after = max(0.0, 1 - self._tokens) / self._per_second
            self._timer = loop.call_later(after, self._hand_out, loop)

    def _hand_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._fill(loop.time())
        for waiter in self._in_order():
            if self._tokens < 1:
                self._wind(loop)
                return
            self._waiting[0 if self._waiting[0] else 1].popleft()
            if not waiter.done():  # whoever waited may have been cancelled
                self._tokens -= 1
                waiter.set_result(None)

    def _in_order(self) -> Iterator[asyncio.Future[None]]:
        while self._waiting[0] or self._waiting[1]:
            yield (self._waiting[0] or self._waiting[1])[0]
