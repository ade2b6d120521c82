"""A real PostgreSQL: the system's, or the one in a wheel; killed and started again at will."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psutil
import psycopg

from held_ports import free_port
from risk_gateway.home import Postgres

_DEADLINE_S = 90.0
_NOBODY = 65_534
_DEBIAN = Path("/usr/lib/postgresql")
_numbers = count(1)


class PostgresMissing(Exception):
    """There is none on this machine."""


class PostgresServer:
    """One data folder; `start` again after `kill` finds what was committed."""

    def __init__(self, folder: Path, address: str = "") -> None:
        """`address`: one more to listen on, for anybody who reaches it."""
        self._programs = _programs()
        self._address = address
        self._folder = folder / "data"
        self._owner = _NOBODY if os.getuid() == 0 else None  # it refuses to be root's
        self.port = free_port()
        if self._owner is not None:
            os.chown(folder, self._owner, self._owner)
            if _DEBIAN not in self._programs.parents:  # it may lie where only root may look
                self._programs = _copied(self._programs, folder)
        self._run("initdb", "-D", self._folder, "-U", "stratops", "-A", "trust", "--locale=C.UTF-8")
        if address:
            with (self._folder / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 trust\n")
        self.start()

    def start(self) -> None:
        listen = ",".join(filter(None, ("127.0.0.1", self._address)))
        options = (f"-p{self.port}", f"-clisten_addresses={listen}", "-cunix_socket_directories=")
        log = self._folder.parent / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder, *options],
                stdout=out, stderr=out, user=self._owner, group=self._owner, cwd="/",
            )  # fmt: skip
        deadline = time.monotonic() + _DEADLINE_S
        while not self._answers():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """All of it at once, as a crash would."""
        self._send(signal.SIGKILL)
        self._process.wait()

    def suspend(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        """The first one first: it would start others in their place."""
        first = psutil.Process(self._process.pid)
        for process in (first, *first.children()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_DEADLINE_S)

    def database(self) -> Postgres:
        """A new one, empty."""
        name = f"desk_{next(_numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return Postgres(self._url(name))

    def _url(self, database: str) -> str:
        return f"postgresql://stratops:secret@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            user=self._owner, group=self._owner, cwd="/", capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextmanager
def running(address: str = "") -> Iterator[PostgresServer]:
    """Raises PostgresMissing."""
    folder = Path(tempfile.mkdtemp(prefix="stratops-postgres-"))
    try:
        server = PostgresServer(folder, address)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copied(programs: Path, folder: Path) -> Path:
    """With the libraries that the wheel has beside its package."""
    site = programs.parents[2]
    for part in ("pgserver", "pgserver.libs"):
        shutil.copytree(site / part, folder / part, symlinks=True)
    return folder / programs.relative_to(site)


def _programs() -> Path:
    installed = sorted(_DEBIAN.glob("*/bin"), key=lambda each: each.parent.name)
    if installed:
        return installed[-1]
    spec = find_spec("pgserver")  # finds, does not import
    for folder in spec.submodule_search_locations or () if spec else ():
        return Path(folder) / "pginstall" / "bin"
    raise PostgresMissing("neither Debian's postgresql nor the wheel pgserver")
