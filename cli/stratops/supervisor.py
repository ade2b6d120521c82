"""Children that stay alive: what dies is started again, with growing delay, and said so.

A `Child` is one place in the desk (redis, the gateway, a runner of one revision); the processes
that fill it one after the other are its lives.
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stratops.processes import Command, LogFile, Process

GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: twice as long each time, until a life was healthy."""

    first_s: float = 0.1
    last_s: float = 5.0
    healthy_s: float = 10.0

    def after(self, delay_s: float, lived_s: float) -> float:
        """The delay that follows `delay_s` (0: the first death) and a life of `lived_s`."""
        if not delay_s or lived_s >= self.healthy_s:
            return self.first_s
        return min(2 * delay_s, self.last_s)


@dataclass(frozen=True, slots=True)
class Death:
    """One life's end. `delay_s` is None when nothing follows it."""

    name: str
    code: int
    lived_s: float
    words: str
    why: str  # what `kill` was told, empty: nobody here killed it
    delay_s: float | None

    @property
    def cause(self) -> str:
        if self.why:
            return self.why
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exit {self.code}" + (f": {self.words}" if self.words else "")


class Child:
    """Run by its own task (`run`); the rest may be called from anywhere on the loop."""

    def __init__(
        self,
        name: str,
        command: Callable[[int], Command],
        *,
        logs: Path,
        on_death: Callable[[Death], None],
        again: Callable[[int], bool] = lambda code: True,
        backoff: Backoff = Backoff(),
    ) -> None:
        """`command(n)` is what life n (from 1) runs; `again(code)` whether another one follows."""
        self.name = name
        self.process: Process | None = None
        self.lives = 0
        self.last_death: Death | None = None
        self._command = command
        self._log = LogFile(logs, name)
        self._on_death = on_death
        self._again = again
        self._backoff = backoff
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._why = ""

    @property
    def restarts(self) -> int:
        return max(self.lives - 1, 0)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def ended(self) -> bool:
        """True when no life follows any more."""
        return self._ended.is_set()

    async def run(self) -> None:
        """Life after life, until `stop` or until `again` says no."""
        delay_s = 0.0
        try:
            while not self._stopping.is_set():
                death = await self._live(delay_s)
                if death is None or death.delay_s is None:
                    return
                delay_s = death.delay_s
                await self._pause(delay_s)
        finally:
            if self.process is not None:
                self.process.kill()  # only ever alive here when this task was cancelled
            self._ended.set()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ends it for good; returns when the process is gone."""
        self._stopping.set()
        if self.process is not None and self.process.alive:
            await self.process.stop(grace_s)

    def dismiss(self) -> None:
        """Ends it for good and at once, without waiting to see it gone."""
        self._stopping.set()
        if self.process is not None:
            self.process.kill()

    def kill(self, why: str) -> None:
        """Ends this life only; `why` is what its death will say."""
        if self.process is not None and self.process.alive:
            self._why = why
            self.process.kill()

    def bound_log(self) -> None:
        self._log.bound()

    async def _live(self, delay_s: float) -> Death | None:
        self.lives += 1
        self.process = process = await Process.start(self._command(self.lives), self._log)
        if self._stopping.is_set():  # asked while it was starting
            await process.stop(0)
        code = await process.wait()
        if self._stopping.is_set():
            return None
        return self._mourn(process, code, delay_s)

    def _mourn(self, process: Process, code: int, delay_s: float) -> Death:
        lived_s = process.lived_s
        following = self._backoff.after(delay_s, lived_s) if self._again(code) else None
        words = process.last_words()
        death = Death(self.name, code, lived_s, words, self._why, following)
        self._why = ""
        self.last_death = death
        self._on_death(death)
        return death

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return
