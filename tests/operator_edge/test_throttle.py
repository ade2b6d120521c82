"""The throttle: a burst, then a rate, and who is urgent passes by."""

import asyncio
import time

from own_time import Watch
from strategy_operator.throttle import Throttle


async def test_a_burst_goes_at_once() -> None:
    throttle = Throttle(per_second=1, burst=20)
    async with asyncio.timeout(10):
        for _ in range(20):
            await throttle.turn()


async def test_what_is_above_the_burst_goes_at_the_rate() -> None:
    throttle = Throttle(per_second=100, burst=1)
    began = time.monotonic()
    with Watch() as watch:
        await asyncio.gather(*(throttle.turn() for _ in range(21)))
        assert watch.seconds < 2.0
    assert time.monotonic() - began > 0.19


async def test_who_is_urgent_goes_before_those_that_wait() -> None:
    throttle, order = Throttle(per_second=50, burst=1), list[str]()

    async def go(name: str, *, urgent: bool) -> None:
        await throttle.turn(urgent=urgent)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(go(name, urgent=False))
        await asyncio.sleep(0)
        group.create_task(go("urgent", urgent=True))
    assert order == ["first", "urgent", "second", "third"]


async def test_who_gave_up_waiting_costs_no_turn() -> None:
    throttle = Throttle(per_second=20, burst=1)
    await throttle.turn()
    gone = asyncio.create_task(throttle.turn())
    await asyncio.sleep(0)
    gone.cancel()
    with Watch() as watch:
        await throttle.turn()
        assert watch.seconds < 0.5
