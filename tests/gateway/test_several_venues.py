"""Two real venues: each order goes to its own, and one that hangs holds up no other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk_driver import buy, cancel
from gateway_driver import until
from own_time import Watch
from pages_reader import metric
from stratops_api.v1 import types_pb2 as types
from trading.signals import OrderType
from venues_driver import BTC, ETH, TwoVenues, eth_order

pytestmark = pytest.mark.servers


@pytest.fixture
async def two(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[TwoVenues]:
    pages = {"METRICS_PORT": str(port())}
    started = TwoVenues(tmp_path, port, redis_server, nats_server, **pages)
    yield started
    started.venue.process.send_signal(signal.SIGCONT)
    await started.hang_up()
    started.close()


async def positions(two: TwoVenues) -> dict[str, str]:
    (strategy,) = (await two.desk()).strategies
    return {symbol: text.rstrip("0").rstrip(".") for symbol, text in strategy.positions.items()}


async def test_a_venue_that_hangs_holds_up_no_other(two: TwoVenues) -> None:
    runner = await two.trading()
    btc = await two.market.next()
    eth = await two.eth(1)
    await runner.decide(buy("x", btc), eth_order("y", eth))
    await until(lambda: held(two, {BTC: "1", ETH: "1"}))
    assert set(await two.orders_at(two.venue)) == {"x-0"}
    assert set(await two.orders_at(two.b)) == {"y-0"}
    await until(two.agrees)

    two.venue.process.send_signal(signal.SIGSTOP)
    two.market.subscribers = 2  # Redis keeps what a stopped one does not read
    for nth in range(2, 12):
        hangs, goes_on = buy(f"x{nth}", await two.market.next()), eth_order(f"y{nth}", eth)
        with Watch() as watch:
            verdicts = await runner.decide(hangs, goes_on)
            assert verdicts[1].accepted
            await until(lambda nth=nth: held(two, {BTC: "1", ETH: str(nth)}))  # type: ignore[misc]  # bound at once
            assert watch.seconds < 2  # a call that hangs is given up after 5

    found = (await two.desk(reconcile=True)).reconciliation.differences
    assert len(found) == 1
    assert found[0].startswith("venue a does not answer: ")

    async def is_refused() -> bool:
        refused, taken = await runner.decide(
            buy(f"r{runner.number}", await two.market.next()), eth_order(f"s{runner.number}", eth)
        )
        assert taken.accepted
        return bool(refused.message == "venue a does not answer")

    await until(is_refused)
    two.venue.process.send_signal(signal.SIGCONT)
    await until(two.agrees, 60)


async def held(two: TwoVenues, wanted: dict[str, str]) -> bool:
    return await positions(two) == wanted


async def test_an_order_is_cancelled_where_it_is_after_its_route_has_moved(two: TwoVenues) -> None:
    runner = await two.trading()
    resting = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    await runner.decide(buy("x", await two.market.next(), **resting))  # type: ignore[arg-type]  # by name
    await until(lambda: is_at(two, "x-0"))
    two.gateway.kill()
    two.write_venues(btc_at="b")
    await two.gateway.start_again()
    runner = two.runner("y")
    await runner.connect()
    await runner.armed(1)
    cause = await two.market.next()
    refused, _ = await runner.decide(buy("more", cause), cancel("c", of="x", cause=cause))
    assert refused.message == (
        "BTCUSDT is at venue a and its route goes to venue b: only what closes"
    )
    await until(two.agrees)
    assert (await two.orders_at(two.venue))["x-0"].state == types.ORDER_STATE_CANCELLED
    (moved,) = await runner.decide(buy("z", await two.market.next()))
    assert moved.accepted
    await until(lambda: is_at(two, "z-0", b=True))


async def is_at(two: TwoVenues, order: str, *, b: bool = False) -> bool:
    return order in await two.orders_at(two.b if b else two.venue)


async def test_a_venue_with_orders_cannot_be_left_out(two: TwoVenues) -> None:
    runner = await two.trading()
    resting = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    await runner.decide(buy("x", await two.market.next(), **resting))  # type: ignore[arg-type]  # by name
    await until(lambda: is_at(two, "x-0"))
    two.gateway.kill()
    whole = two.file.read_text()
    two.file.write_text(whole[whole.index("[b]") :])
    ended = subprocess.run(
        [sys.executable, "-m", "risk_gateway"],
        env={**os.environ, **two.gateway.environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    why = b"expected venue 'a' until they have ended, 1 orders of s are there: x-0"
    assert why in ended.stderr


async def test_a_start_waits_for_one_venue_and_trades_at_the_other(two: TwoVenues) -> None:
    two.b.kill()
    two.gateway.kill()
    two.market.subscribers = 2
    await two.gateway.start_again()
    runner = await two.trading()
    await runner.decide(buy("x", await two.market.next()))
    await until(lambda: held(two, {BTC: "1"}))
    assert not (await two.desk()).HasField("start")
    await until(lambda: is_open(two, "b"), 60)
    assert not await is_open(two, "a")

    await asyncio.to_thread(two.b.start)

    async def agreed() -> bool:
        desk = await two.desk()
        return desk.HasField("start") and desk.start.equal

    await until(agreed, 60)


async def is_open(two: TwoVenues, name: str) -> bool:
    found = metric(two.gateway, "strategy_engine_venue_breaker")
    assert {labels["venue"] for labels, _ in found} == {"a", "b"}
    return any(labels == {"venue": name, "state": "open"} and value == 1 for labels, value in found)
