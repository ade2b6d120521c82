"""A price falls on real processes, and the gateway dies meanwhile: it ends flat, halted, once."""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chance import SEED
from desk_driver import OPERATOR, buy, content
from gateway_driver import Stack, until
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import types_pb2 as types
from trading.signals import OrderType

pytestmark = pytest.mark.servers

KILLS = 3
LOW = 60.0
BOUGHT, WORKING = Decimal("0.7"), Decimal("0.2")
STOP = {
    "limits": {"max_daily_loss": "20"},
    "actions": {"max_daily_loss": {"action": "stop"}},
}


@pytest.fixture
async def guarded(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    """A gateway with a policy that stops whoever loses 20 a day."""
    policies = tmp_path / "policies.json"
    policies.write_text(json.dumps({"p": STOP}))
    started = Stack(
        tmp_path, port, redis_server, nats_server, OPERATOR_TOKEN=OPERATOR, POLICIES=str(policies)
    )
    yield started
    await started.hang_up()
    started.close()


async def holding(stack: Stack) -> None:
    """0.7 bought at 101, and an order at work that would buy more."""
    await stack.deploy(json.dumps({**json.loads(content()), "policy": "p"}))
    runner = await stack.armed()
    cause = await stack.market.next()
    low = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    await runner.decide(buy("x", cause, str(BOUGHT)), buy("y", cause, str(WORKING), **low))

    async def holds() -> bool:
        (status,) = (await stack.desk()).strategies
        return Decimal(status.positions.get("BTCUSDT", "0")) == BOUGHT

    await until(holds)
    stack.market.subscribers = 1  # the venue stays when the gateway goes


async def is_stopped(stack: Stack) -> bool:
    """Halted by its breach, with nothing held and nothing at work."""
    desk = await stack.desk()
    (status,) = desk.strategies
    flat = not Decimal(status.positions["BTCUSDT"]) and not desk.working
    return flat and [(each.scope, each.standing) for each in desk.standings] == [
        ("strategy s", "halted")
    ]


def sold(orders: dict[str, venue_pb.OrderResponse]) -> Decimal:
    sells = [order for order in orders.values() if order.side == types.SIDE_SELL]
    return sum((Decimal(order.filled_quantity or 0) for order in sells), Decimal(0))


def breaches(stack: Stack) -> int:
    """That are on disk."""
    with sqlite3.connect(f"file:{stack.journal}?mode=ro", uri=True) as journal:
        (count,) = journal.execute("SELECT count(*) FROM log WHERE kind = 'breached'").fetchone()
    return int(count)


async def stratops(stack: Stack, *arguments: str) -> str:
    """What the command says."""
    token = stack.gateway.folder.parent / "token"
    token.write_text(OPERATOR)
    where = ("--gateway", stack.gateway.address, "--token-file", str(token))
    command = (sys.executable, "-m", "stratops", *arguments, *where)
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


async def is_on_disk(stack: Stack) -> bool:
    return breaches(stack) == 1


async def test_a_price_that_falls_ends_flat_and_halted(guarded: Stack) -> None:
    await holding(guarded)
    await guarded.market.next(LOW)
    await until(lambda: is_stopped(guarded))
    orders = await guarded.venue_orders()
    assert orders["y-0"].state == types.ORDER_STATE_CANCELLED
    assert sold(orders) == BOUGHT
    assert breaches(guarded) == 1
    await until(guarded.agrees)


async def test_a_person_takes_it_back_by_its_source(guarded: Stack) -> None:
    await holding(guarded)
    await guarded.market.next(LOW)
    await until(lambda: is_stopped(guarded))
    assert "strategy s BREACH of max_daily_loss: equity" in await stratops(guarded, "status")
    await stratops(guarded, "resume", "--strategy", "s", "--source", "breach")
    desk = await guarded.desk()
    assert (list(desk.breaches), list(desk.standings)) == ([], [])


async def test_a_kill_between_journal_and_effect_changes_nothing(guarded: Stack) -> None:
    """The venue hears nothing while the breach is written; then it hears all of it, once."""
    await holding(guarded)
    guarded.venue.process.send_signal(signal.SIGSTOP)
    await guarded.market.next(LOW)
    await until(lambda: is_on_disk(guarded))
    guarded.gateway.kill()
    guarded.venue.process.send_signal(signal.SIGCONT)
    assert sold(await guarded.venue_orders()) == 0
    await guarded.gateway.start_again()
    await guarded.market.next(LOW)
    await until(lambda: is_stopped(guarded))
    assert sold(await guarded.venue_orders()) == BOUGHT
    assert breaches(guarded) == 1
    await until(guarded.agrees)


async def test_after_any_kills_it_has_sold_what_it_held_and_not_more(guarded: Stack) -> None:
    moments = random.Random(SEED)
    await holding(guarded)
    for _ in range(KILLS):
        await guarded.market.next(LOW)
        await asyncio.sleep(moments.uniform(0, 0.3))
        guarded.gateway.kill()
        assert sold(await guarded.venue_orders()) <= BOUGHT
        await guarded.gateway.start_again()
    guarded.market.subscribers = 2  # it hears this one, whatever was killed before
    await guarded.market.next(LOW)
    await until(lambda: is_stopped(guarded))
    assert sold(await guarded.venue_orders()) == BOUGHT
    assert breaches(guarded) == 1
    await until(guarded.agrees)
