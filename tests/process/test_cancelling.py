"""Work that swallows a cancellation ends all the same."""

import asyncio

import pytest

from stratops_process.cancelling import cancellable
from stratops_process.ending import cause


class Deaf:
    """To the first few cancellations."""

    def __init__(self, times: int) -> None:
        self.begun = asyncio.Event()
        self.heard = 0
        self._times = times

    async def work(self) -> None:
        self.begun.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.heard += 1
                if self.heard > self._times:
                    raise ConnectionError("closed") from None


async def test_it_returns_what_the_work_returns() -> None:
    assert await cancellable(asyncio.sleep(0, "done")) == "done"


async def test_it_raises_what_the_work_raises() -> None:
    deaf = Deaf(0)
    waiting = asyncio.create_task(cancellable(asyncio.wait_for(deaf.work(), 0.01)))
    with pytest.raises((ConnectionError, TimeoutError)):
        await waiting


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_who_is_cancelled_is_so_whatever_the_work_makes_of_it(times: int) -> None:
    deaf = Deaf(times)
    waiting = asyncio.create_task(cancellable(deaf.work()))
    await deaf.begun.wait()
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=10)
    assert done
    assert waiting.cancelled()
    assert deaf.heard == times + 1


def test_the_cause_is_the_first_of_all_however_deep() -> None:
    first = ValueError("first")
    inner = ExceptionGroup("inner", [first, KeyError("second")])
    assert cause(ExceptionGroup("outer", [inner, OSError("third")])) is first
    assert cause(first) is first
