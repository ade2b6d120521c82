"""kill -9 at any moment: nothing at the venue that is not in the journal, nothing counted twice."""

import asyncio
import random

import pytest

from chance import SEED
from desk_driver import OPERATOR, buy
from gateway_driver import RunnerClient, Stack, until
from risk_gateway.archive import Archive
from risk_gateway.records import Decided, Kind, body_of
from stratops_api.v1 import risk_gateway_pb2 as pb

pytestmark = pytest.mark.servers

KILLS = 6


async def trade_until_killed(stack: Stack, runner: RunnerClient, life: int) -> None:
    """As fast as it goes, in both directions."""
    n = 0
    while stack.gateway.process.poll() is None:
        n += 1
        cause = await stack.market.next()
        signals = [buy(f"{life}-{n}-{i}", cause, quantity="0.1") for i in range(20)]
        await runner.batch(*signals)
        await asyncio.sleep(0.002)


def decided_orders(stack: Stack) -> list[str]:
    archive = Archive(stack.journal)
    bodies: list[Decided] = [body_of(row) for row in archive.of_kind(Kind.DECIDED)]
    archive.close()
    return [body.order.client_order_id for body in bodies if body.order is not None]


@pytest.mark.parametrize("seed", [SEED], ids=str)
async def test_after_any_kill_the_venue_has_no_order_that_is_not_journalled(
    stack: Stack, seed: int
) -> None:
    moments = random.Random(seed)
    await stack.deploy()
    for life in range(KILLS):
        runner = await stack.armed(f"life-{life}", epoch_above=0)
        (verdict,) = await runner.decide(buy(f"{life}-0", await stack.market.next()))
        assert verdict.accepted  # it trades; the rest is as it comes
        stack.market.subscribers = 1  # the venue stays when the gateway goes
        trading = asyncio.create_task(trade_until_killed(stack, runner, life))
        await asyncio.sleep(moments.uniform(0.05, 0.6))
        stack.gateway.kill()
        await asyncio.gather(trading, return_exceptions=True)
        journalled = decided_orders(stack)
        assert set(await stack.venue_orders()) <= set(journalled)
        assert len(journalled) == len(set(journalled))
        await stack.gateway.start_again()
        stack.market.subscribers = 2
        runner.leave()
    await until(stack.agrees)
    desk = await stack.desk()
    assert desk.orders == len(decided_orders(stack)) > 0


async def test_a_session_goes_on_after_a_restart_of_the_gateway(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    await runner.decide(buy("x", await stack.market.next()))
    await runner.outcome(1)
    stack.gateway.kill()
    again = stack.runner("a")
    again.number, again.count, again.epoch = runner.number, runner.count, runner.epoch
    # It knocks already: it has two seconds to come back.
    knocking = asyncio.create_task(
        again.connect(waits=True, phase="armed", epoch=runner.epoch, batch=runner.number)
    )
    await stack.gateway.start_again()
    await knocking
    (verdict,) = await again.decide(buy("y", await stack.market.next()))
    assert verdict.accepted
    assert (await again.outcome(2)).signal_id == "y"


async def test_a_halt_holds_over_a_kill(stack: Stack) -> None:
    await stack.deploy()
    await stack.stub().Halt(pb.HaltRequest(token=OPERATOR, reason="drill"))
    stack.gateway.kill()
    await stack.gateway.start_again()
    runner = await stack.armed()
    (verdict,) = await runner.decide(buy("x", await stack.market.next()))
    assert verdict.reason == "halted"
