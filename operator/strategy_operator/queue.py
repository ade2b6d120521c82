"""Which strategies have to be looked at: one queue, each key in it once and handled by one worker.

A key that comes while it is being handled is handled once more afterwards. Keys wait in the order
in which they became due, so that a busy one does not hold up the others.
"""

import asyncio
import heapq
import itertools
from collections import deque
from dataclasses import dataclass

Key = tuple[str, str]  # namespace, name

_SPARE = 1_000  # entries that no longer stand and may wait to be dropped


@dataclass(slots=True)
class _State:
    due_at: float | None = None  # when it is to be handled next; None: not asked for
    waiting: bool = False  # in the line of those that are due
    handled: bool = False  # by a worker, now
    again: bool = False  # asked for meanwhile
    ticket: int = 0  # of its latest entry among the later ones


class Keys:
    """`add`, then `take`, then `done`: in one event loop, and one task takes."""

    def __init__(self) -> None:
        self._states: dict[Key, _State] = {}
        self._line: deque[Key] = deque()
        self._later: list[tuple[float, int, Key]] = []
        self._tickets = itertools.count(1)
        self._wake = asyncio.Event()

    @property
    def depth(self) -> int:
        """Keys that are due and not taken."""
        return len(self._line)

    def add(self, key: Key, after_s: float = 0.0) -> None:
        """Handled not later than that; an earlier time that was asked for stands."""
        state = self._states.setdefault(key, _State())
        if state.waiting:
            return
        if after_s > 0:
            self._add_later(key, state, after_s)
        elif state.handled:
            state.again = True
        else:
            self._put_in_line(key, state)

    async def take(self) -> Key:
        """The next one that is due; it is not given again until `done`."""
        while True:
            self._move_due()
            if self._line:
                key = self._line.popleft()
                state = self._states[key]
                state.waiting, state.handled = False, True
                return key
            self._wake.clear()
            await self._woken()

    def done(self, key: Key, again_s: float | None = None) -> None:
        """Looked at again after that time, or when it is added."""
        state = self._states[key]
        state.handled = False
        if state.again:
            state.again = False
            self._put_in_line(key, state)
        elif again_s is not None:
            self._add_later(key, state, again_s)
        self._forget(key, state)

    def drop(self, key: Key) -> None:
        """Not later either, unless it is added again."""
        state = self._states.get(key)
        if state is not None:
            state.due_at, state.ticket = None, 0
            self._forget(key, state)

    def _add_later(self, key: Key, state: _State, after_s: float) -> None:
        due_at = asyncio.get_running_loop().time() + after_s
        if state.due_at is not None and state.due_at <= due_at:
            return
        state.due_at, state.ticket = due_at, next(self._tickets)
        heapq.heappush(self._later, (due_at, state.ticket, key))
        if len(self._later) > 2 * len(self._states) + _SPARE:
            self._tidy()
        self._wake.set()

    def _tidy(self) -> None:
        """Drops what was asked for anew since."""
        self._later = [each for each in self._later if self._stands(each)]
        heapq.heapify(self._later)

    def _stands(self, entry: tuple[float, int, Key]) -> bool:
        state = self._states.get(entry[2])
        return state is not None and state.ticket == entry[1]

    def _put_in_line(self, key: Key, state: _State) -> None:
        state.due_at, state.ticket, state.waiting = None, 0, True
        self._line.append(key)
        self._wake.set()

    def _move_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            entry = heapq.heappop(self._later)
            if not self._stands(entry):
                continue
            key = entry[2]
            state = self._states[key]
            state.due_at, state.ticket = None, 0
            if state.handled:
                state.again = True
            elif not state.waiting:
                self._put_in_line(key, state)

    async def _woken(self) -> None:
        """Until something is added, or the first of the later ones is due."""
        if not self._later:
            await self._wake.wait()
            return
        pause = self._later[0][0] - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, pause)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _forget(self, key: Key, state: _State) -> None:
        if not (state.waiting or state.handled or state.again or state.due_at is not None):
            del self._states[key]
