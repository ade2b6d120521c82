"""A gateway that ends by itself is held up by nothing, and says why it ended."""

import subprocess
import sys

import pytest

HELD_UP = """
import asyncio, sys, time
from types import SimpleNamespace
from risk_gateway import process
from stratops_process import ending
from stratops_process.cancelling import hurries

async def main():
    gateway = SimpleNamespace(broken=sys.argv[1])
    late = lambda frame: process._late(gateway, frame)
    ending.orderly(asyncio.get_running_loop(), lambda: None, late)
    hurrying = asyncio.create_task(hurries())
    await asyncio.sleep(0)
    hurrying.cancel()
    await asyncio.sleep(0)
    time.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("broken", "said"),
    [("journal: full", "journal: full\n"), ("", "did not end in time, was at <")],
)
def test_a_gateway_that_failed_leaves_though_something_holds_it_up(broken: str, said: str) -> None:
    command = [sys.executable, "-c", HELD_UP, broken]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"risk_gateway: {said}")
