"""The feed's process with real consumers and a real Redis, each of which dies."""

import asyncio
import gzip
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from kube_probe import page
from market_feed import sample
from market_feed.merge import messages, open_all
from own_time import ends_in

pytestmark = pytest.mark.servers


@cache
def all_sent() -> list[tuple[str, int]]:
    """What the sample has."""
    return [(m.symbol, m.sequence) for m in messages(open_all(sample.paths()), print)]


@pytest.fixture(scope="module", autouse=True)
def _the_sample_is_read() -> None:
    """Before a feed runs, which would be done meanwhile; not where this file is only collected."""
    all_sent()


def arrived(reader: Any) -> list[tuple[str, int]]:
    return [(event.symbol, event.sequence) for event in reader.events]


@pytest.fixture
async def readers(reader: Any) -> list[Any]:
    return [await reader(name) for name in ("runner", "gateway", "venue")]


def all_done(readers: list[Any]) -> bool:
    return all(len(one.events) >= len(all_sent()) for one in readers)


async def test_every_message_arrives_once_and_in_order(
    readers: list[Any], feed: Any, until: Any
) -> None:
    started = feed(expect="runner,gateway,venue")
    await until(lambda: all_done(readers) and started.report().get("ended"))
    assert all(arrived(one) == all_sent() for one in readers)
    assert readers[0].intake.dropped == {}
    await until(lambda: shortfalls(started) == {"runner": 0, "gateway": 0, "venue": 0})


async def test_a_killed_feed_grows_old_though_redis_lives(
    reader: Any, feed: Any, until: Any
) -> None:
    one = await reader("runner")
    started = feed(repeat="true", speed="1")
    await until(lambda: one.subscription.session and one.subscription.age_ns < 2e9)
    started.kill()
    await until(lambda: one.subscription.age_ns > 3e9)
    assert one.subscription.connected


def shortfalls(started: Any) -> dict[str, int]:
    consumers = started.report().get("consumers", {})
    return {name: one["shortfall"] for name, one in consumers.items()}


async def test_nothing_is_lost_when_redis_is_killed_in_the_middle(
    redis_server: Any, readers: list[Any], feed: Any, until: Any
) -> None:
    started = feed(expect="runner,gateway,venue")
    for part in (5, 3, 2):
        await until(lambda part=part: len(readers[0].events) > len(all_sent()) // part)
        redis_server.kill()
        await until(lambda: all(one.subscription.stale for one in readers))
        redis_server.start()
    await until(lambda: all_done(readers) and started.report().get("ended"))
    assert all(arrived(one) == all_sent() for one in readers)
    assert started.report()["restarts"] >= 3
    assert readers[0].subscription.session.startswith("run-1.")


async def test_nothing_is_lost_when_the_feed_is_killed_in_the_middle(
    readers: list[Any], feed: Any, until: Any
) -> None:
    started = feed(expect="runner,gateway,venue")
    for part in (5, 3, 2):
        await until(lambda part=part: len(readers[0].events) > len(all_sent()) // part)
        started.kill()
        started.start()
    await until(lambda: all_done(readers) and started.report().get("ended"))
    assert all(arrived(one) == all_sent() for one in readers)
    await until(lambda: started.report()["published"] == len(all_sent()))
    await until(lambda: shortfalls(started) == {"runner": 0, "gateway": 0, "venue": 0})


async def test_nothing_is_lost_when_one_consumers_link_goes_dark(
    reader: Any, proxy: Any, feed: Any, until: Any, quick: Any
) -> None:
    near, far = await reader("near"), await reader("far", url=proxy.url, timing=quick)
    started = feed(expect="near,far")
    await until(lambda: len(far.events) > 10_000)
    proxy.dark = True
    await until(lambda: far.lost)
    proxy.dark = False
    await until(lambda: all_done([near, far]))
    assert arrived(near) == arrived(far) == all_sent()
    await until(lambda: shortfalls(started) == {"near": 0, "far": 0})


async def test_a_slow_consumer_holds_the_feed(reader: Any, feed: Any, until: Any) -> None:
    quick, slow = await reader("quick"), await reader("slow")
    slow.holds = True
    feed(expect="quick,slow")
    await until(lambda: len(quick.events) == 4_096)
    await asyncio.sleep(0.3)
    assert len(quick.events) == 4_096
    slow.holds = False
    await until(lambda: all_done([quick, slow]))


async def test_a_dead_consumer_leaves_after_two_seconds_and_is_named(
    readers: list[Any], feed: Any, until: Any
) -> None:
    started = feed(expect="runner,gateway,venue")
    dead = readers.pop()
    await until(lambda: len(dead.events) > 10_000)
    dead.subscription._link.close("killed")  # without a goodbye
    dead.task.cancel()
    at = monotonic()
    await until(lambda: all_done(readers))
    assert monotonic() - at > 1.5
    await until(lambda: started.report()["consumers"]["venue"]["left"])
    assert shortfalls(started)["venue"] >= len(all_sent()) - len(dead.events) - 4_096
    await until(lambda: shortfalls(started)["runner"] == 0)


async def test_a_consumer_that_says_goodbye_holds_nobody(
    readers: list[Any], feed: Any, until: Any
) -> None:
    started = feed(expect="runner,gateway,venue")
    await until(lambda: len(readers[0].events) > 10_000)
    await readers.pop().stop()
    await until(lambda: all_done(readers))
    await until(lambda: started.report()["consumers"]["venue"]["left"])
    assert shortfalls(started)["venue"] == 0  # one that falls silent has some


async def test_a_consumer_that_joins_late_gets_all_from_then_on(
    readers: list[Any], reader: Any, feed: Any, until: Any
) -> None:
    feed(expect="runner,gateway,venue")
    await until(lambda: len(readers[0].events) > 5_000)
    late = await reader("late")
    await until(lambda: all_done(readers) and arrived(late)[-1:] == all_sent()[-1:])
    assert arrived(late) == all_sent()[-len(late.events) :]


async def test_speed_ten_takes_a_tenth_of_the_time(reader: Any, feed: Any, until: Any) -> None:
    one = await reader("one")
    feed(expect="one", speed="10")
    await until(lambda: len(one.events) > 100)
    paces: list[float] = []
    while not any(pace == pytest.approx(10, rel=0.2) for pace in paces):
        assert len(paces) < 10, paces  # a feed that was held up does not hurry afterwards
        first, at = one.events[-1].timestamp, monotonic()
        await asyncio.sleep(2)
        paces.append((one.events[-1].timestamp - first) / 1e9 / (monotonic() - at))


async def test_bad_rows_are_counted_by_file(
    reader: Any, feed: Any, until: Any, tmp_path: Path
) -> None:
    lines = gzip.decompress(sample.paths()[0].read_bytes()).decode().splitlines()[:100]
    lines[50] = lines[50].replace(".", "x")
    (tmp_path / "quotes.csv").write_text("\n".join(lines))
    one = await reader("one")
    started = feed(expect="one", data_files=str(tmp_path / "quotes.csv"))
    await until(lambda: started.report().get("ended"))
    assert started.report()["bad_rows"] == {"quotes.csv": 1}
    await until(lambda: len(one.events) == 98)


async def test_the_end_is_in_the_heartbeat_and_the_process_stays(
    reader: Any, feed: Any, until: Any
) -> None:
    one = await reader("one")
    started = feed(expect="one")
    await until(lambda: one.subscription.heartbeat and one.subscription.heartbeat.ended)
    assert one.subscription.heartbeat.published == len(all_sent())
    assert started.process.poll() is None


async def test_sigterm_ends_it_within_a_second(reader: Any, feed: Any, until: Any) -> None:
    one = await reader("one")
    started = feed(expect="one", speed="1")
    await until(lambda: one.events)
    assert await ends_in(started.process) < 1
    assert started.process.returncode == 0


async def test_its_pages_tell_health_readiness_and_figures(
    reader: Any, feed: Any, until: Any, port: Any
) -> None:
    number = port()
    feed(expect="one", metrics_port=str(number))
    await until_page(number, "/ready", (503, "consumers to say where they are\n"))
    assert await page(number, "/health") == (200, "ok\n")
    one = await reader("one")
    await until(lambda: len(one.events) == len(all_sent()))
    await until_page(number, "/ready", (200, "ready\n"))
    _, metrics = await page(number, "/metrics")
    published = sum(symbol == "BTCUSDT" for symbol, _ in all_sent())
    labels = 'symbol="BTCUSDT",type="tick"'
    assert f"market_data_published_total{{{labels}}} {published}.0" in metrics
    assert "strategy_engine_feed_consumers 1.0" in metrics
    assert "process_resident_memory_bytes" in metrics


async def until_page(port: int, path: str, answer: tuple[int, str]) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(ConnectionError):  # it may not be up yet
                if await page(port, path) == answer:
                    return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "market_feed: STRATOPS_REDIS_URL: not set, expected a value\n"),
        (
            {"STRATOPS_REDIS_URL": "redis://127.0.0.1:1", "STRATOPS_SPEED": "fast"},
            "market_feed: STRATOPS_SPEED: 'fast', expected max, or a number above 0\n",
        ),
        (
            {"STRATOPS_REDIS_URL": "redis://127.0.0.1:1", "STRATOPS_STATE_DIR": "/proc/none"},
            "market_feed: [Errno 2] No such file or directory: '/proc/none'\n",
        ),
    ],
)
def test_bad_settings_are_one_clear_line(settings: dict[str, str], line: str) -> None:
    command = [sys.executable, "-m", "market_feed"]
    ended = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **settings}, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (2, line)
