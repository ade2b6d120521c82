"""One child process: a session of its own, a bounded log, an end that comes in time.

It ends when we end, SIGKILL included (see `launch`). Its standard streams go straight to its log
file, so that a busy or stopped `up` never blocks it.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stratops import launch

LOG_BYTES = 4 * 1024 * 1024
LAST_WORDS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    data_bytes: int = 0  # RLIMIT_DATA; 0: none
    rss_bytes: int = 0  # what the supervisor allows; 0: any


class LogFile:
    """`<name>.log`, and `<name>.log.1` with what came before: together at most 2 * LOG_BYTES."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name.replace('/', '.').replace(' ', '-')}.log"

    def open(self) -> int:
        """A descriptor that always writes at the end, whatever `bound` has cut."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def bound(self) -> None:
        """Moves a full log aside; the children's descriptors stay valid."""
        if self.size() <= LOG_BYTES:
            return
        with self.path.open("r+b") as full:
            full.seek(-LOG_BYTES, os.SEEK_END)
            self.path.with_suffix(".log.1").write_bytes(full.read(LOG_BYTES))
            full.truncate(0)

    def last_words(self, since: int) -> str:
        """Of what was written after `since` bytes, the last line that tells why something ended."""
        size = self.size()
        start = max(since if since <= size else 0, size - LAST_WORDS_BYTES)
        with contextlib.suppress(OSError), self.path.open("rb") as log:
            log.seek(start)
            lines = reversed(log.read().decode(errors="replace").split("\n"))
            return next((words for line in lines if (words := _words(line.strip()))), "")
        return ""


def _words(line: str) -> str:
    """A log event's reason, or what it is if it is no mere information; other lines as they are."""
    if not line.startswith("{"):
        return line
    try:
        event = json.loads(line)
    except ValueError:
        return line
    if event.get("reason"):
        return str(event["reason"])
    if event.get("level") in ("debug", "info"):
        return ""
    return " ".join(str(event[name]) for name in ("event", "error") if name in event)


class Process:
    """A started child. `wait()` is for its exit code: negative for the signal that killed it."""

    def __init__(self, command: Command, child: asyncio.subprocess.Process, log: LogFile) -> None:
        self.command = command
        self.pid = child.pid
        self.started = time.monotonic()
        self._child = child
        self._log = log
        self._log_start = log.size()

    @classmethod
    async def start(cls, command: Command, log: LogFile) -> "Process":
        launcher = (sys.executable, "-I", "-S", launch.__file__)
        limits = (str(os.getpid()), str(command.data_bytes))
        descriptor = log.open()
        try:
            child = await asyncio.create_subprocess_exec(
                *launcher,
                *limits,
                *command.argv,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(command, child, log)

    async def wait(self) -> int:
        code = await self._child.wait()
        self._signal_session(signal.SIGKILL)  # what it may have started itself
        return code

    @property
    def alive(self) -> bool:
        return self._child.returncode is None

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self.started

    def terminate(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()

    def kill(self) -> None:
        if self.alive:
            self._signal_session(signal.SIGKILL)

    async def stop(self, grace_s: float) -> int:
        """Asks it to end, and kills it when the grace is over."""
        self.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def rss_bytes(self) -> int:
        """What it holds in memory now; 0 where /proc does not say."""
        try:
            resident = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(resident) * os.sysconf("SC_PAGE_SIZE")

    def last_words(self) -> str:
        return self._log.last_words(self._log_start)

    def _signal_session(self, number: signal.Signals) -> None:
        # The launcher leads its own session, so its process id is its group's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
