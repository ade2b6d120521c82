"""The desk's own folder: everything that `up` leaves behind is in here, and one `up` at a time.

lock              held by the running `up`
desk.json         (0600) where the running desk is, and its operator token
roster.toml       written by the user: who else may call, and in which roles
runs              how many runs there were; names the feed's session
logs/             a bounded log for each process
specs/            the checked spec of each revision a runner was started for
gateway/ venue/   journal and book: they stay between runs
nats/ redis/ feed/
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


class DeskIsRunning(Exception):
    """Another `up` holds this folder."""


class FolderUnusable(Exception):
    """Nothing can be kept in this folder."""


class NoDesk(Exception):
    """No `up` runs in this folder."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running desk can be reached."""

    pid: int
    session: str
    gateway: str
    venue: str
    redis: str
    nats: str
    operator_token: str


@dataclass(frozen=True, slots=True)
class DeskFolder:
    path: Path

    @property
    def logs(self) -> Path:
        return self.part("logs")

    @property
    def feed_report(self) -> Path:
        return self.part("feed") / "report.json"

    def part(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def next_session(self) -> str:
        """`run-1`, `run-2`, ...: never the same twice in one folder."""
        counter = self.path / "runs"
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        _replace(counter, f"{number}\n".encode())
        return f"run-{number}"

    def write_spec(self, strategy: str, revision: str, spec: bytes) -> Path:
        path = self.part("specs") / f"{strategy.replace('/', '.')}-{revision}.json"
        _replace(path, spec)
        return path

    def write_policies(self, name: str, specs: Mapping[str, object]) -> None:
        """For the gateway, which follows them."""
        _replace(self.part("gateway") / name, json.dumps(specs).encode())

    def forget_specs(self) -> None:
        """Those of earlier runs: every spec is written anew when it is needed."""
        for spec in self.part("specs").glob("*.json"):
            spec.unlink()

    def announce(self, running: Running) -> None:
        _replace(self.path / "desk.json", json.dumps(asdict(running)).encode())

    def withdraw(self) -> None:
        (self.path / "desk.json").unlink(missing_ok=True)


@contextmanager
def taken(path: Path) -> Iterator[DeskFolder]:
    """The folder for one `up`, made if need be. Raises DeskIsRunning, FolderUnusable."""
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = f"--state: {str(path)!r}, expected a folder to write in ({error.strerror})"
        raise FolderUnusable(why) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeskIsRunning(f"{path}: another `stratops up` runs in this folder") from None
        folder = DeskFolder(path)
        folder.withdraw()  # of an `up` that was killed
        yield folder
        folder.withdraw()
    finally:
        os.close(lock)


def running_in(path: Path) -> Running:
    """The desk that runs in this folder. Raises NoDesk."""
    try:
        running = Running(**json.loads((path / "desk.json").read_text()))
    except FileNotFoundError:
        raise NoDesk(f"{path}: no desk runs here (no desk.json); is --state right?") from None
    except (TypeError, ValueError) as error:
        raise NoDesk(f"{path / 'desk.json'}: not readable: {error}") from error
    if not _lives(running.pid):
        raise NoDesk(f"{path}: no desk runs here any more; process {running.pid} was killed")
    return running


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all, and for the user's eyes only."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
