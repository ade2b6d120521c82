"""Desks for the end-to-end tests: each a real `stratops up` in a folder of the test's own."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from up_driver import Up

StartUp = Callable[..., Up]


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[StartUp]:
    """Starts a desk with these options; what still runs at the end of the test is killed."""
    started: list[Up] = []

    def start(*arguments: str, folder: str = "up", **more: Any) -> Up:
        started.append(Up(tmp_path / folder, *arguments, **more))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait()


Operate = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def stratops() -> Operate:
    """Runs the command with these arguments."""

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "stratops", *arguments],
            capture_output=True,
            text=True,
        )

    return run
