"""What is called off has ended when one hears of it."""

import asyncio

import pytest

from stratops.interruption import unless


class Work:
    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = False

    async def __call__(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # putting things away takes a turn
            self.ended = True


async def test_work_that_ends_is_done() -> None:
    assert await unless(asyncio.Event(), asyncio.sleep(0))


async def test_the_event_calls_work_off() -> None:
    work, stop = Work(), asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    assert not await unless(stop, work())
    assert work.ended


async def test_who_is_cancelled_leaves_no_work_behind() -> None:
    work = Work()
    waiting = asyncio.create_task(unless(asyncio.Event(), work()))
    await work.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.ended


async def test_a_failure_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        await unless(asyncio.Event(), fail())
