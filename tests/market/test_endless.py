"""A feed that repeats its files, as consumers meet it: one stream that never ends."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from market_data.progress import Progress, encode, progress_channel
from market_feed.laps import Laps
from market_feed.merge import open_all

pytestmark = pytest.mark.servers

ROWS = 40
Endless = Callable[..., Any]


@pytest.fixture
def quotes(tmp_path: Path) -> Path:
    """40 quotes of two symbols in 80 ms."""
    lines = ["ts_ns,symbol,sequence,bid_price,bid_size,ask_price,ask_size"]
    for n in range(ROWS):
        symbol = ("BTCUSDT", "ETHUSDT")[n % 3 == 0]
        lines.append(f"{10**18 + n * 2_000_000},{symbol},{100 + n},{100 + n},1,{101 + n},1")
    path = tmp_path / "quotes.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def endless(feed: Any, quotes: Path) -> Endless:
    """Starts a feed that repeats the quotes, twenty laps a second unless told otherwise."""

    def start(**settings: str) -> Any:
        return feed(**{"data_files": str(quotes), "repeat": "true", "speed": "2"} | settings)

    return start


def told(reader: Any) -> list[tuple[str, int, int]]:
    return [(event.symbol, event.sequence, event.timestamp) for event in reader.events]


def expected(quotes: Path, start: int, stop: int) -> list[tuple[str, int, int]]:
    laps = Laps(open_all([quotes]), print, repeat=True)
    return [(one.symbol, one.sequence, one.at_ns) for one in islice(laps, start, stop)]


async def test_laps_follow_one_another_in_one_session(
    reader: Any, endless: Endless, until: Any, quotes: Path
) -> None:
    one = await reader("one")
    started = endless(expect="one")
    await until(lambda: len(one.events) > 10 * ROWS)
    assert told(one) == expected(quotes, 0, len(one.events))
    assert {event.session for event in one.events} == {one.subscription.session}
    await until(started.report)
    assert (one.intake.dropped, started.report()["ended"]) == ({}, False)


async def test_a_killed_feed_goes_on_in_the_right_lap(
    reader: Any, endless: Endless, until: Any, quotes: Path
) -> None:
    one = await reader("one")
    started = endless(expect="one")
    for lap in (3, 25, 40):
        await until(lambda lap=lap: len(one.events) > lap * ROWS)
        started.kill()
        started.start()
    await until(lambda: len(one.events) > 50 * ROWS)
    assert told(one) == expected(quotes, 0, len(one.events))
    assert one.subscription.session.endswith(".3")


async def test_a_feed_that_has_lost_its_state_begins_where_all_is_new(
    reader: Any, endless: Endless, until: Any, quotes: Path, tmp_path: Path
) -> None:
    """Else consumers would drop everything until it comes to what they have seen."""
    one = await reader("one")
    started = endless(expect="one")
    await until(lambda: len(one.events) > 10 * ROWS)
    started.kill()
    (tmp_path / "feed-resume.json").unlink()
    session = one.subscription.session
    started.start()

    def first_of_the_new_life() -> int:
        """What the killed feed had sent may still come after its death."""
        return sum(event.session == session for event in one.events)

    await until(lambda: len(one.events) > first_of_the_new_life() + ROWS)
    seen = first_of_the_new_life()
    lap = -(-seen // ROWS)
    assert told(one)[seen:] == expected(quotes, lap * ROWS, lap * ROWS + len(one.events) - seen)
    assert one.subscription.session != session
    assert one.intake.dropped == {}


async def test_a_consumer_that_comes_back_late_from_a_lost_life_is_passed(
    reader: Any, redis_server: Any, endless: Endless, until: Any
) -> None:
    """The feed plays already when it hears of it."""
    one = await reader("one")
    endless(expect="one")
    await until(lambda: len(one.events) > ROWS)
    async with redis.asyncio.from_url(redis_server.url) as client:
        ahead = Progress("late", {"BTCUSDT/tick": 100_000}, ("market:btcusdt",), session="run-0")
        await client.publish(progress_channel("run-0"), encode(ahead))
    await until(lambda: one.sequences("BTCUSDT")[-1] > 100_000)
    assert one.sequences("BTCUSDT") == sorted(set(one.sequences("BTCUSDT")))


async def test_as_fast_as_the_consumers_has_no_end_either(
    reader: Any, endless: Endless, until: Any, quotes: Path
) -> None:
    one = await reader("one")
    endless(expect="one", speed="max")
    await until(lambda: len(one.events) > 300 * ROWS)
    assert told(one) == expected(quotes, 0, len(one.events))
