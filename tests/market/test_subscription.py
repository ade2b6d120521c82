"""The subscription against a real Redis: order, limits, links that die loudly and silently."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis.asyncio

from market_data import Heartbeat, Progress, Subscription, Timing
from market_data.progress import encode
from own_time import Watch

pytestmark = pytest.mark.servers

PATIENT = Timing(ping_s=0.2, pong_s=4.0)  # less than what a consumer has to do


def tick(sequence: int, **changes: Any) -> bytes:
    message = {"type": "tick", "symbol": "BTCUSDT", "sequence": sequence}
    prices = {"timestamp": sequence + 1, "bid_price": 1.0, "ask_price": 2.0}
    return msgspec.json.encode({**message, **prices, **changes})


@pytest.fixture
async def client(redis_server: Any) -> AsyncIterator[Any]:
    client = redis.asyncio.from_url(redis_server.url)
    yield client
    await client.aclose()


async def heartbeat(client: Any, session: str) -> None:
    await client.publish(f"market-heartbeat:{session}", encode(Heartbeat(session)))


async def test_messages_arrive_in_order(reader: Any, client: Any, until: Any) -> None:
    one = await reader()
    async with client.pipeline(transaction=False) as pipeline:
        for n in range(1, 1_001):
            pipeline.publish("market:btcusdt", tick(n))
        await pipeline.execute()
    await until(lambda: len(one.events) == 1_000)
    assert one.sequences("BTCUSDT") == list(range(1, 1_001))


async def test_patterns_are_subscribed_too(reader: Any, client: Any, until: Any) -> None:
    one = await reader(channels=["market:*"])
    await client.publish("market:btcusdt", tick(1))
    await client.publish("market:ethusdt", tick(1, symbol="ETHUSDT"))
    await until(lambda: len(one.events) == 2)


async def test_large_messages_are_refused_by_length(reader: Any, client: Any, until: Any) -> None:
    """Four of 10 MB, which would overrun Redis' own default limit, and good ones between."""
    one = await reader()
    for n in range(1, 5):
        await client.publish("market:btcusdt", tick(n, venue="x" * 10_000_000))
        await client.publish("market:btcusdt", tick(n))
    await until(lambda: len(one.events) == 4)
    assert one.intake.dropped == {"too_large": 4}
    assert not one.lost


async def test_good_messages_between_bad_ones_arrive(reader: Any, client: Any, until: Any) -> None:
    one = await reader()
    bad = [b"{", b"[" * 100_000, tick(0, bid_price=9.0), tick(0, symbol="DOGE"), b"\xff" * 99]
    for n in range(1, 301):
        await client.publish("market:btcusdt", bad[n % 5])
        await client.publish("market:btcusdt", tick(n))
    await until(lambda: len(one.events) == 300)
    assert one.intake.dropped == {"malformed": 180, "crossed": 60, "unknown_symbol": 60}


async def test_a_bad_heartbeat_harms_nobody(reader: Any, client: Any, until: Any) -> None:
    one = await reader()
    await client.publish("market-heartbeat:run-1", b"[" * 50_000)
    await heartbeat(client, "run-1")
    await until(lambda: one.subscription.session == "run-1")
    assert one.intake.dropped == {"malformed": 1}


async def test_a_barrier_comes_after_all_that_was_published_before(
    reader: Any, client: Any, until: Any
) -> None:
    one = await reader()
    for n in range(1, 101):
        await client.publish("market:btcusdt", tick(n))
    seen: list[int] = []
    one.subscription.barrier(lambda: seen.append(len(one.events)))
    await until(lambda: seen)
    assert seen == [100]


async def test_it_subscribes_again_after_redis_was_killed(
    redis_server: Any, reader: Any, until: Any
) -> None:
    one = await reader()
    redis_server.kill()
    await until(lambda: one.lost)
    assert one.subscription.stale
    redis_server.start()
    await until(lambda: one.subscribed == [1, 2])
    assert one.subscription.connected


async def test_it_waits_for_a_redis_that_is_not_there_yet(
    redis_server: Any, reader: Any, until: Any
) -> None:
    redis_server.kill()
    waiting = asyncio.create_task(reader())
    await asyncio.sleep(0.3)
    redis_server.start()
    one = await waiting
    assert (one.subscribed, one.lost) == ([1], [])


async def test_a_link_gone_dark_is_noticed_within_three_seconds(
    proxy: Any, reader: Any, until: Any
) -> None:
    one = await reader(url=proxy.url)
    proxy.dark = True
    with Watch() as watch:
        await until(lambda: one.lost)
        assert watch.seconds < 3.5
    assert one.lost == ["no answer to PING in 1.5 s"]
    proxy.dark = False
    await until(lambda: one.subscribed == [1, 2])


async def test_a_busy_process_does_not_blame_the_link(reader: Any, client: Any, until: Any) -> None:
    one = await reader(timing=PATIENT)
    one.hang_s = 5.0
    await client.publish("market:btcusdt", tick(1))
    await until(lambda: one.events)
    await asyncio.sleep(0.5)
    assert not one.lost


async def test_a_slow_consumer_leaves_the_loop_a_turn(reader: Any, client: Any) -> None:
    """Six seconds of work that arrive in one read; Redis may stand still for a while, too."""
    one = await reader(timing=PATIENT)
    one.hang_s = 0.02
    async with client.pipeline(transaction=False) as pipeline:
        for n in range(1, 301):
            pipeline.publish("market:btcusdt", tick(n))
        await pipeline.execute()
    most = seen = 0
    async with asyncio.timeout(120):
        while len(one.events) < 300:
            await asyncio.sleep(0.005)
            most, seen = max(most, len(one.events) - seen), len(one.events)
    assert most < 50  # in one turn, a second's work
    assert (one.sequences("BTCUSDT"), one.lost) == (list(range(1, 301)), [])


async def test_an_address_may_change_between_two_connections(
    redis_server: Any, proxy: Any, until: Any
) -> None:
    addresses = ["redis://127.0.0.1:1", "nowhere", proxy.url, redis_server.url]
    taken: list[str] = []

    def next_address() -> str:
        taken.append(addresses[min(len(taken), 3)])
        return taken[-1]

    subscription = Subscription(next_address, ["market:btcusdt"], on_payload=print)
    task = asyncio.create_task(subscription.run())
    await until(lambda: subscription.connected)
    await proxy.stop()
    await until(lambda: subscription.subscriptions == 2)
    assert taken == addresses
    task.cancel()
    await asyncio.wait({task})


async def test_a_feed_without_heartbeats_is_stale(
    reader: Any, client: Any, until: Any, quick: Timing
) -> None:
    one = await reader(timing=quick)
    async with asyncio.timeout(60):
        while one.subscription.stale or not one.subscription.session:
            await heartbeat(client, "run-1")
            await asyncio.sleep(0.01)
    await until(lambda: one.subscription.stale and one.subscription.connected)


async def test_an_idle_market_is_as_young_as_its_heartbeat(
    reader: Any, client: Any, until: Any
) -> None:
    one = await reader()
    await until(lambda: one.subscription.age_ns > 1.5e9)  # PING is answered meanwhile
    async with asyncio.timeout(60):
        while one.subscription.age_ns > 1e9:
            await heartbeat(client, "run-1")
            await asyncio.sleep(0.01)


async def test_only_what_is_accepted_keeps_a_feed_young(
    reader: Any, client: Any, until: Any, quick: Timing
) -> None:
    one = await reader(timing=quick)
    await client.publish("market:btcusdt", tick(1))
    await until(lambda: one.events)
    heard_ns = one.subscription._heard_ns
    await client.publish("market:btcusdt", tick(1))
    await until(lambda: one.intake.dropped)
    assert one.subscription._heard_ns == heard_ns
    await client.publish("market:btcusdt", tick(2))
    await until(lambda: one.subscription._heard_ns > heard_ns)


async def test_without_a_link_the_feed_has_no_age(
    redis_server: Any, reader: Any, until: Any
) -> None:
    one = await reader()
    redis_server.kill()
    await until(lambda: one.subscription.age_ns is None)


async def test_progress_is_published_to_the_session_of_the_heartbeat(
    reader: Any, client: Any, until: Any
) -> None:
    await reader("gateway")
    async with client.pubsub() as heard:
        await heard.subscribe("market-progress:run-1")
        await heard.get_message(timeout=60)
        await heartbeat(client, "run-1")
        message = await heard.get_message(ignore_subscribe_messages=True, timeout=60)
    progress = msgspec.json.decode(message["data"], type=Progress)
    assert (progress.consumer, progress.session, progress.streams) == ("gateway", "run-1", {})
    assert progress.channels == ("market:btcusdt", "market:ethusdt")


async def test_after_a_lost_link_nothing_is_taken_before_the_replay_went_back(
    redis_server: Any, reader: Any, client: Any, until: Any
) -> None:
    one = await reader("gateway", timing=Timing(rewind_s=120))
    await heartbeat(client, "run-1")
    await until(lambda: one.subscription.session)
    await client.client_kill_filter(_type="pubsub")
    await until(lambda: one.subscription.connected and one.lost)
    await client.publish("market:btcusdt", tick(9))
    await heartbeat(client, "run-1.1")
    await client.publish("market:btcusdt", tick(5))
    await until(lambda: one.events)
    assert one.sequences("BTCUSDT") == [5]
    assert one.subscribed == [1, 2]


async def test_a_replay_that_does_not_go_back_is_not_waited_for_long(
    reader: Any, client: Any, until: Any
) -> None:
    one = await reader("gateway", timing=Timing(rewind_s=0.2))
    await heartbeat(client, "run-1")
    await until(lambda: one.subscription.session)
    await client.client_kill_filter(_type="pubsub")
    await until(lambda: one.subscribed == [1, 2])


async def test_an_error_of_the_consumer_ends_run(redis_server: Any, client: Any) -> None:
    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    subscription = Subscription(redis_server.url, ["market:btcusdt"], on_payload=fail)
    task = asyncio.create_task(subscription.run())
    while not subscription.connected:
        await asyncio.sleep(0.01)
    await client.publish("market:btcusdt", tick(1))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 60)


async def test_a_refused_password_is_the_trouble(redis_server: Any, until: Any) -> None:
    url = redis_server.url.replace("//", "//user:wrong@")
    subscription = Subscription(url, ["market:btcusdt"], on_payload=print)
    task = asyncio.create_task(subscription.run())
    await until(lambda: "refused by Redis: WRONGPASS" in subscription.trouble)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis://", "redis://h:x"])
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected redis://host:port"):
        Subscription(url, [], on_payload=print)


async def test_a_consumer_without_progress_leaves_the_window(
    reader: Any, client: Any, until: Any
) -> None:
    one = await reader("runner")
    await heartbeat(client, "run-1")
    await until(lambda: one.subscription._in_window)
    async with client.pubsub() as heard:
        await heard.subscribe("market-progress:run-1")
        await heard.get_message(timeout=60)
        one.subscription._progress = lambda: None
        last = {"leaving": False}
        while not last["leaving"]:
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=60)
            last = msgspec.json.decode(message["data"])
        assert await heard.get_message(timeout=0.3) is None
