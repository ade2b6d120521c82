"""Everybody on the desk: who is kept alive, how often they were restarted, how they go home."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from stratops.notices import Kind, Notices
from stratops.processes import Command
from stratops.supervisor import Child, Death

START_S = 30.0  # for one process to answer
GRACE_S = 0.8  # for one of them
STEP_S = 0.05
RUNNER = "runner "  # how the names of runners begin


class StartFailed(Exception):
    """A process did not come up; the message names it and its last words."""


class Crew:
    """The children by name. Their tasks belong to the group that is handed in."""

    def __init__(self, tasks: asyncio.TaskGroup, logs: Path, notices: Notices) -> None:
        self.children: dict[str, Child] = {}
        self.restarts: dict[str, int] = {}
        self._tasks = tasks
        self._logs = logs
        self._notices = notices

    def keep(
        self,
        name: str,
        command: Callable[[int], Command],
        on_death: Callable[[Death], None],
        again: Callable[[int], bool] = lambda code: True,
    ) -> Child:
        """Starts it, and again whenever it dies while `again` says so."""

        def died(death: Death) -> None:
            if death.delay_s is not None:
                self.restarts[name] = self.restarts.get(name, 0) + 1
            on_death(death)

        child = Child(name, command, logs=self._logs, on_death=died, again=again)
        self.children[name] = child
        self._tasks.create_task(child.run(), name=name)
        return child

    def keep_told(self, command: Command) -> Child:
        """One that is started with the same command each time, and whose deaths are notices."""

        def died(death: Death) -> None:
            self._notices.say(Kind.DIED, command.name, f"{death.cause}; again in {death.delay_s} s")

        return self.keep(command.name, lambda life: command, died)

    async def answers(self, name: str, fact: Callable[[], Awaitable[bool]]) -> None:
        """Returns when the fact is true and the child lives on. Raises StartFailed."""
        child, deadline = self.children[name], time.monotonic() + START_S
        while not (await fact() and await _lives_on(child)):
            if child.lives > 2 or time.monotonic() > deadline:
                cause = child.last_death.cause if child.last_death else "no answer"
                raise StartFailed(f"{name} does not start: {cause}")
            await asyncio.sleep(STEP_S)

    def bound_logs(self) -> None:
        for child in self.children.values():
            child.bound_log()

    async def stop(self, within_s: float) -> None:
        """Runners, feed, gateway, venue, nats, redis; what does not end in time is killed."""
        deadline = time.monotonic() + within_s
        runners = [name for name in self.children if name.startswith(RUNNER)]
        for names in (runners, ["feed"], ["gateway"], ["venue"], ["nats"], ["redis"]):
            grace_s = min(max(deadline - time.monotonic(), 0.0), GRACE_S)
            await all_stopped((self.children.get(name) for name in names), grace_s)

    def kill(self) -> None:
        """All of them, now."""
        for child in self.children.values():
            child.dismiss()


async def _lives_on(child: Child) -> bool:
    """A port may answer because somebody else took it: then the child ends at once."""
    life = child.lives
    await asyncio.sleep(STEP_S)
    return child.alive and child.lives == life


async def all_stopped(children: Iterable[Child | None], grace_s: float) -> None:
    await asyncio.gather(*(child.stop(grace_s) for child in children if child is not None))
