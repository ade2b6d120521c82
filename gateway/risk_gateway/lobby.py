"""Streams whose caller has not said yet who it is: a bounded number, for a bounded time.

Honest runners say it at once. So where too many wait, the one that has waited longest goes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from typing import TypeVar

from risk_gateway.allowances import Bound, BoundMet

T = TypeVar("T")
HELLO_S = 5.0
MOST_SILENT = 256


class Lobby:
    def __init__(self, most: int = MOST_SILENT, within_s: float = HELLO_S) -> None:
        self._most = most
        self._within_s = within_s
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    async def first(self, words: Awaitable[T]) -> T:
        """Of one stream. Raises BoundMet."""
        pushed_out = asyncio.get_running_loop().create_future()
        self._waiting[pushed_out] = None
        self._make_room()
        hearing = asyncio.ensure_future(words)
        try:
            await asyncio.wait(
                {hearing, pushed_out},
                timeout=self._within_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if hearing.done():
                return hearing.result()
            if pushed_out.done():
                raise BoundMet(Bound.SILENT_STREAM, f"{self._most} streams say no hello")
            raise BoundMet(Bound.SILENT_STREAM, f"no hello within {self._within_s:g} s")
        finally:
            self._waiting.pop(pushed_out, None)
            hearing.cancel()

    def _make_room(self) -> None:
        while len(self._waiting) > self._most:
            longest, _ = self._waiting.popitem(last=False)
            longest.set_result(None)
