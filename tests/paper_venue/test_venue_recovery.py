"""What the venue promises when it, or NATS, is killed: no fill lost, none twice."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import nats
import pytest

from fault_desk import NotHere, small_disk
from own_time import seconds_to_end
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub

pytestmark = pytest.mark.servers

LIMIT = types.ORDER_TYPE_LIMIT
ENDS_WITHIN_S = 1.0


async def published(url: str, expected: int = 0, within_s: float = 60) -> list[dict[str, Any]]:
    """The fills in the stream, once there are as many as expected."""
    client = await nats.connect(url)
    stream, deadline = client.jetstream(), time.monotonic() + within_s
    while (held := await _count(stream)) < expected:
        assert time.monotonic() < deadline, f"{held} of {expected} fills after {within_s} s"
        await asyncio.sleep(0.05)
    found = [await stream.get_msg("TRADING_FILLS", number) for number in range(1, held + 1)]
    await client.close()
    return [json.loads(message.data or b"") for message in found]


async def _count(stream: Any) -> int:
    try:
        return int((await stream.stream_info("TRADING_FILLS")).state.messages)
    except (nats.errors.Error, TimeoutError):
        return 0


async def test_a_fill_is_published_with_all_that_contracts_name(
    venue: Any, market: Any, nats_server: Any
) -> None:
    market.quote(1, 101.5)
    venue.submit(cause=1)
    assert await published(nats_server.url, 1) == [
        {
            "fill_id": "c-1", "order_id": "P-000001", "client_order_id": "c", "strategy": "s",
            "symbol": "BTCUSDT", "side": "buy", "price": "101.5", "quantity": "1",
            "fee": "0.10150000", "liquidity": "taker", "venue": "paper",
            "timestamp": "1970-01-01T00:00:01.000000000Z",
        }
    ]  # fmt: skip


async def test_fills_made_while_nats_is_away_come_when_it_is_back(
    venue: Any, market: Any, nats_server: Any
) -> None:
    market.quote(1, 101)
    venue.submit(client_order_id="before", cause=1)
    await published(nats_server.url, 1)
    nats_server.kill()
    venue.submit(client_order_id="meanwhile", cause=1)
    nats_server.start()
    found = await published(nats_server.url, 2)
    assert [fill["client_order_id"] for fill in found] == ["before", "meanwhile"]


async def test_fills_that_nobody_acknowledged_survive_a_killed_venue(
    venue: Any, market: Any, nats_server: Any
) -> None:
    market.quote(1, 101)
    nats_server.kill()
    venue.submit(cause=1)
    venue.kill()
    nats_server.start()
    venue.start()
    assert [fill["fill_id"] for fill in await published(nats_server.url, 1)] == ["c-1"]


async def test_an_open_order_goes_on_after_its_venue_was_killed(
    venue: Any, market: Any, nats_server: Any
) -> None:
    market.quote(1, 101, size=0.4)
    venue.submit(cause=1, order_type=LIMIT, price="102")
    before = venue.get("c")
    venue.kill()
    venue.start()
    assert venue.get("c") == before
    market.quote(2, 100)
    notional = venue.reaches("c", "FILLED").filled_notional
    assert Decimal(notional) == Decimal("100.4")  # 0.4 * 101 + 0.6 * 100
    found = await published(nats_server.url, 2)
    assert [fill["fill_id"] for fill in found] == ["c-1", "c-2"]


def test_an_order_that_waits_for_its_cause_survives_a_killed_venue(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    venue.submit(cause=3)
    venue.kill()
    venue.start()
    market.quote(2, 102)
    market.quote(3, 103)
    assert venue.reaches("c", "FILLED").average_price == "103.0"


def test_order_ids_go_on_counting_after_a_restart(venue: Any) -> None:
    venue.submit(client_order_id="a")
    venue.kill(signal.SIGTERM)
    venue.start()
    assert venue.submit(client_order_id="b").order_id == "P-000002"


async def test_killed_at_random_moments_it_loses_no_fill_and_makes_none_twice(
    venue: Any, market: Any, nats_server: Any, wait_until: Callable[..., Any]
) -> None:
    killer = Thread(target=_kill_at_random, args=(venue, nats_server, random.Random(7)))
    killer.start()
    number = 0
    while killer.is_alive() or number < 50:
        number += 1
        market.quote(number, 100 + number, size=0.6)
        _submit_for_certain(venue.address, pb.OrderRequest(**_order(number)))
    for later in (1, 2):
        market.quote(number + later, 200)
    orders = wait_until(lambda: _listed(venue), lambda found: all(map(_has_ended, found)))
    assert len(orders) == number
    expected = {o.client_order_id: Decimal(o.filled_quantity) for o in orders if o.average_price}
    assert await _totals(nats_server.url, expected) == expected


def test_a_killed_venue_misses_nothing_of_a_replay_that_goes_back_for_it(
    make_venue: Any, market: Any, wait_until: Callable[..., Any]
) -> None:
    venue = make_venue("next-tick")
    market.quote(1, 101)
    market.send("market-heartbeat:run-1", json.dumps({"session": "run-1"}))
    wait_until(venue.log.read_text, lambda told: "feed_session" in told)
    venue.submit(cause=1)  # answered after the session was noted
    venue.kill()
    venue.start()
    market.quote(7, 107)  # 2 to 6 came while it was away
    for sequence in range(1, 8):
        market.quote(sequence, 100 + sequence, session="run-1.1")
    assert venue.reaches("c", "FILLED").average_price == "102.0"


def _kill_at_random(venue: Any, nats_server: Any, chance: random.Random) -> None:
    for victim in (venue, nats_server, venue, venue, nats_server, venue):
        time.sleep(chance.uniform(0.05, 0.4))
        victim.kill()
        victim.start()


def _order(number: int) -> dict[str, Any]:
    return {
        "client_order_id": f"c{number}", "strategy_id": "s", "symbol": "BTCUSDT", "quantity": "1",
        "side": types.SIDE_SELL, "order_type": types.ORDER_TYPE_MARKET,
        "cause": types.Cause(symbol="BTCUSDT", type="tick", sequence=number),
    }  # fmt: skip


def _submit_for_certain(address: str, order: pb.OrderRequest) -> None:
    """Until it is answered, with the same id, as a gateway does."""
    for _ in range(50):
        with grpc.insecure_channel(address) as channel:
            try:
                OrderExecutionStub(channel).SubmitOrder(order, timeout=10, wait_for_ready=True)
            except grpc.RpcError:
                continue
            return
    raise AssertionError(f"{order.client_order_id} was never answered")


def _listed(venue: Any) -> list[pb.OrderResponse]:
    """All pages: a slow machine has time for many."""
    found: list[pb.OrderResponse] = []
    after = ""
    while not found or after:
        page = venue.stub.ListOrders(pb.ListOrdersRequest(after_order_id=after))
        found += page.orders
        after = page.next_after_order_id
    return found


def _has_ended(order: pb.OrderResponse) -> bool:
    return order.state in (types.ORDER_STATE_FILLED, types.ORDER_STATE_REJECTED)


async def _totals(url: str, expected: dict[str, Decimal]) -> dict[str, Decimal]:
    """Quantity by order of what JetStream holds, each fill id once."""
    deadline, totals = time.monotonic() + 60, dict[str, Decimal]()
    while totals != expected and time.monotonic() < deadline:
        found = await published(url)
        assert len({fill["fill_id"] for fill in found}) == len(found)
        totals = {fill["client_order_id"]: Decimal(0) for fill in found}
        for fill in found:
            totals[fill["client_order_id"]] += Decimal(fill["quantity"])
    return totals


def test_a_book_belongs_to_one_venue_at_a_time(venue: Any, port: Callable[[], int]) -> None:
    ended = _run({**venue.environment, "STRATOPS_LISTEN": f"127.0.0.1:{port()}"})
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("book.db: database is locked")


def test_a_taken_port_ends_the_second_venue(venue: Any, tmp_path: Path) -> None:
    ended = _run({**venue.environment, "STRATOPS_STATE_DIR": str(tmp_path / "other")})
    assert ended.returncode == 1
    assert venue.address in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FILL_MODEL", "mid"),
        ("FILL_SIZES", "yes"),
        ("LISTEN", ""),
        ("SYMBOLS", " , "),
        ("REDIS_URL", "http://127.0.0.1"),
        ("METRICS_PORT", "x"),
    ],
)
def test_bad_settings_end_it_with_one_line(tmp_path: Path, name: str, value: str) -> None:
    good = {"LISTEN": "127.0.0.1:1", "STATE_DIR": str(tmp_path), "SYMBOLS": "BTCUSDT"}
    good |= {"REDIS_URL": "redis://127.0.0.1:1", "NATS_URL": "nats://127.0.0.1:1", name: value}
    ended = _run({f"STRATOPS_{key}": text for key, text in good.items()})
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert ended.stderr.startswith(f"paper_venue: STRATOPS_{name}: ")


def _run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paper_venue"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_a_second_when_asked_to(venue: Any, number: int) -> None:
    assert seconds_to_end(venue.process, number) < ENDS_WITHIN_S
    assert venue.process.returncode == 0


def test_it_ends_within_a_second_without_nats(venue: Any, nats_server: Any) -> None:
    nats_server.kill()
    assert seconds_to_end(venue.process) < ENDS_WITHIN_S
    assert venue.process.returncode == 0


def test_the_replay_hears_of_its_progress(
    venue: Any, market: Any, wait_until: Callable[..., Any]
) -> None:
    listener = market.redis.pubsub()
    listener.subscribe("market-progress:run-1")
    market.quote(4, 101)
    market.send("market-heartbeat:run-1", json.dumps({"session": "run-1"}))
    heard = wait_until(lambda: listener.get_message(timeout=1), lambda m: m and m["data"] != 1)
    listener.close()
    told = json.loads(heard["data"])
    assert (told["consumer"], told["streams"]) == ("venue", {"BTCUSDT/tick": 4})


def test_a_venue_whose_book_cannot_be_written_ends_and_says_so(tmp_path: Path, alone: Any) -> None:
    """Also while there is no NATS, to which its publisher connects for ever."""
    try:
        with small_disk(tmp_path / "book", 2) as folder:
            venue = alone(folder)
            with suppress(OSError), (folder / "filler").open("wb") as filler:
                while True:
                    filler.write(bytes(4_096))
            with suppress(grpc.RpcError):
                for number in range(1_000):
                    venue.submit(**_order(number))
            assert venue.process.wait(60) == 1
    except NotHere as why:
        pytest.skip(str(why))
    assert venue.log.read_text().splitlines()[-1].startswith("paper_venue: book: ")
