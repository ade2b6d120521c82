"""What is asked aside is answered, and holds up no end."""

import subprocess
import sys

import pytest

from stratops.aside import aside

LEFT = """
import asyncio, time
from stratops.aside import aside

async def main():
    waiting = asyncio.create_task(aside(lambda: time.sleep(600)))
    await asyncio.sleep(0)
    waiting.cancel()

asyncio.run(main())
"""


async def test_it_answers_what_the_call_returns() -> None:
    assert await aside(lambda: "answer") == "answer"


async def test_it_raises_what_the_call_raises() -> None:
    def call() -> None:
        raise LookupError("nobody")

    with pytest.raises(LookupError, match="nobody"):
        await aside(call)


def test_no_end_waits_for_it() -> None:
    subprocess.run([sys.executable, "-c", LEFT], timeout=300, check=True)
