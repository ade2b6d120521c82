"""A runner faster than the desk is held back: nothing is refused for it, nobody replaces it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from desk_driver import OPERATOR, buy, content
from gateway_driver import Stack, until
from handover import messages as m
from pages_reader import metric
from trading.reasons import Reason

pytestmark = pytest.mark.servers

BATCHES, EACH = 25, 100  # two and a half queues


@pytest.fixture
async def stack(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    pages = {"METRICS_PORT": str(port()), "METRICS_HOST": "127.0.0.1"}
    started = Stack(
        tmp_path, port, redis_server, nats_server, b"", OPERATOR_TOKEN=OPERATOR, **pages
    )
    yield started
    await started.hang_up()
    started.close()


async def test_more_signals_than_the_queue_holds_are_all_judged(stack: Stack) -> None:
    await stack.deploy(content("observation"))
    runner = await stack.armed()
    for batch in range(1, BATCHES + 1):
        # Each is of a tick that is still to come: it waits a second, or until that is there.
        await runner.batch(*(buy(f"{batch}-{n}", batch) for n in range(EACH)))
    await until(lambda: is_held_back(stack, 1_000))
    for _ in range(BATCHES):
        await stack.market.next()

    async def acknowledged() -> Any:
        acks = [each for each in runner.told if isinstance(each, m.Ack)]
        return sum(len(each.verdicts) for each in acks) == BATCHES * EACH and acks

    acks = await until(acknowledged)
    reasons = Counter(verdict.reason for each in acks for verdict in each.verdicts)
    assert reasons[Reason.QUEUE_FULL] == 0, reasons
    assert [each.epoch for each in runner.told if isinstance(each, m.Arm)] == [runner.epoch]
    runner.leave()


async def is_held_back(stack: Stack, most: int) -> bool:
    """Once; and there were never more that waited."""
    assert (await stack.desk()).queued <= most
    return any(
        value for _, value in metric(stack.gateway, "strategy_engine_streams_held_back_total")
    )
