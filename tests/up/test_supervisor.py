"""Children as real processes: restarts, ends, what is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from own_time import Watch
from stratops.processes import LOG_BYTES, Command, LogFile
from stratops.supervisor import Backoff, Child, Death

pytestmark = pytest.mark.servers

QUICK = Backoff(first_s=0.02, last_s=0.1, healthy_s=10)


def python(code: str) -> Command:
    return Command("child", (sys.executable, "-I", "-S", "-c", code), dict(os.environ))


@asynccontextmanager
async def child(
    folder: Path, code: str, deaths: list[Death], again: Callable[[int], bool] = lambda code: True
) -> AsyncIterator[Child]:
    one = Child(
        "child",
        lambda life: python(f"life = {life}\n{code}"),
        logs=folder,
        on_death=deaths.append,
        again=again,
        backoff=QUICK,
    )
    task = asyncio.create_task(one.run())
    yield one
    await one.stop(0.2)
    await task


async def until(fact: Callable[[], bool], deadline_s: float = 60) -> None:
    async with asyncio.timeout(deadline_s):
        while not fact():
            await asyncio.sleep(0.01)


SLEEP = "import time; time.sleep(60)"


async def test_what_dies_is_started_again(tmp_path: Path) -> None:
    deaths: list[Death] = []
    async with child(tmp_path, "import sys; sys.exit('no such thing')", deaths) as one:
        await until(lambda: len(deaths) == 3)
        assert deaths[0].cause == "exit 1: no such thing"
        assert [death.delay_s for death in deaths] == [0.02, 0.04, 0.08]
        assert one.restarts >= 2


async def test_a_kill_is_named_by_its_signal(tmp_path: Path) -> None:
    deaths: list[Death] = []
    async with child(tmp_path, SLEEP, deaths) as one:
        await until(lambda: one.alive)
        assert one.process
        os.kill(one.process.pid, signal.SIGKILL)
        await until(lambda: one.lives == 2)
        assert deaths[0].cause == "killed by SIGKILL"


async def test_our_own_kill_is_named_by_its_reason(tmp_path: Path) -> None:
    deaths: list[Death] = []
    async with child(tmp_path, SLEEP, deaths) as one:
        await until(lambda: one.alive)
        one.kill("memory_limit")
        await until(lambda: bool(deaths))
        assert deaths[0].cause == "memory_limit"


async def test_one_that_may_end_is_not_started_again(tmp_path: Path) -> None:
    deaths: list[Death] = []
    async with child(tmp_path, "", deaths, again=bool) as one:
        await until(lambda: one.ended)
        assert one.lives == 1
        assert deaths[0].delay_s is None


async def test_one_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\n" + SLEEP
    log = LogFile(tmp_path, "child")
    async with child(tmp_path, deaf, []) as one:
        await until(lambda: log.last_words(0) == "deaf")
        with Watch() as watch:
            await one.stop(0.1)
            assert watch.seconds < 1
        assert not one.alive


async def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    code = f"import os\nif os.fork() == 0: {SLEEP}\nprint(os.getpid(), flush=True); {SLEEP}"
    log = LogFile(tmp_path, "child")
    async with child(tmp_path, code, []) as one:
        await until(lambda: log.last_words(0) != "")
        assert one.process
        both = [psutil.Process(one.process.pid), *psutil.Process(one.process.pid).children()]
        await one.stop(0.1)
        await until(lambda: not any(_runs(process) for process in both))


async def test_a_memory_limit_reaches_the_child(tmp_path: Path) -> None:
    deaths: list[Death] = []
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA))"
    command = Command("c", (sys.executable, "-c", code), dict(os.environ), data_bytes=300_000_000)
    log = LogFile(tmp_path, "c")
    one = Child("c", lambda n: command, logs=tmp_path, on_death=deaths.append, again=bool)
    await one.run()
    assert log.last_words(0) == "(300000000, 300000000)"


def test_a_log_stays_bounded_and_keeps_its_end(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "child")
    descriptor = log.open()
    os.write(descriptor, b"x" * LOG_BYTES + b"\nlast\n")
    log.bound()
    os.write(descriptor, b"next\n")
    os.close(descriptor)
    assert log.path.read_bytes() == b"next\n"
    assert log.path.with_suffix(".log.1").read_bytes().endswith(b"x\nlast\n")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('Traceback:\nValueError: no such thing\n', "ValueError: no such thing"),
        ('{"event": "ending", "level": "info", "reason": "replaced"}\n', "replaced"),
        ('{"event": "lost", "level": "error", "error": "EOF"}\n{"event": "x", "level": "info"}\n',
         "lost EOF"),
        ('{"event": "started", "level": "info"}\n', ""),
        ('{"event": \n', '{"event":'),
    ],
    ids=["a traceback", "a reason", "an error before information", "information", "half a line"],
)  # fmt: skip
def test_the_last_words_are_those_that_tell_why(tmp_path: Path, lines: str, words: str) -> None:
    log = LogFile(tmp_path, "child")
    log.path.write_text(lines)
    assert log.last_words(0) == words


PARENT = """
import asyncio, os, pathlib, sys
from stratops.processes import Command, LogFile, Process
async def main():
    command = Command("c", (sys.executable, "-c", "import time; time.sleep(60)"), dict(os.environ))
    process = await Process.start(command, LogFile(pathlib.Path(sys.argv[1]), "c"))
    print(process.pid, flush=True)
    await process.wait()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    orphan = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    await until(lambda: not _runs(orphan))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
