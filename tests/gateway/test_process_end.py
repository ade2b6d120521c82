"""A gateway that ends by itself is held up by nothing."""

import subprocess
import sys

HELD_UP = """
import asyncio, time
from risk_gateway import process
from stratops_process import ending

async def main():
    ending.orderly(asyncio.get_running_loop(), lambda: None, process._late)
    hurrying = asyncio.create_task(process._hurries())
    await asyncio.sleep(0)
    hurrying.cancel()
    await asyncio.sleep(0)
    time.sleep(60)

asyncio.run(main())
"""


def test_a_gateway_that_failed_leaves_though_something_holds_it_up() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELD_UP], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("risk_gateway: did not end in time, was at ")
