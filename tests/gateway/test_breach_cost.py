"""What many breaches of one moment cost: in calls, so that a busy machine does not matter."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desk_driver import HASH, DeskDriver, content, fill, tick
from risk_gateway.callers import Runners
from risk_gateway.desk import deployment_of

DAY_S = 86_400
LOST, REGAINED = 60.0, 101.0  # bids; all was bought at 101


def calls(act: Callable[[], Any]) -> int:
    """Of functions, Python's and C's: a copy of many is one, and what is done with each is many."""
    count = 0

    def noted(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(noted)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


async def holders(desk: DeskDriver, many: int, action: dict[str, Any]) -> None:
    policy = {"limits": {"max_daily_loss": "50"}, "actions": {"max_daily_loss": action}}
    desk.desk.bounds.list_policies({"p": policy})
    desk.feed_next()
    text = json.dumps({**json.loads(content()), "policy": "p"})
    term = desk.desk.begin_term("test")
    for number in range(many):
        desk.desk.deploy(term, f"s{number}", deployment_of("r1", text, Runners(HASH)))
    await desk.settled()
    for number in range(many):
        bought = fill(f"x{number}", quantity="2", strategy=f"s{number}")
        desk.desk.fill_book.take(bought, lambda: None)
    await desk.settled()


async def costs(folder: Path, many: int, action: dict[str, Any]) -> tuple[int, ...]:
    """To find so many breaches, to carry them out, and to look at the next day."""
    folder.mkdir()
    desk = DeskDriver(folder, asks_for_policies=True)
    watch = desk.desk.breaches
    await holders(desk, many, action)
    desk.feed(tick(DAY_S - 1, LOST))
    found = calls(lambda: watch.look(0.0))
    assert len(desk.state.breaches) == many
    await desk.journal.durable()
    carried_out = calls(lambda: watch.tick(0.0))
    desk.feed(tick(DAY_S + 1, REGAINED))
    next_day = calls(lambda: watch.look(0.0))
    desk.close()
    return found, carried_out, next_day


@pytest.mark.parametrize("action", [{"action": "pause", "untilNextDay": True}, {"action": "stop"}])
async def test_twice_as_many_breaches_cost_twice_as_much(
    tmp_path: Path, action: dict[str, Any]
) -> None:
    few, more, most = [await costs(tmp_path / str(n), n, action) for n in (20, 40, 80)]
    for costs_of_few, of_more, of_most in zip(few, more, most, strict=True):
        assert of_most - of_more <= 2.2 * (of_more - costs_of_few)
