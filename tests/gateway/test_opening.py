"""A start compares ledger and venue, and passes nothing over."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from desk_driver import OPERATOR
from gateway_driver import Stack, until
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import types_pb2 as types

pytestmark = pytest.mark.servers

FOREIGN = venue_pb.OrderRequest(
    client_order_id="somebody-0",
    strategy_id="s",
    symbol="BTCUSDT",
    side=types.SIDE_BUY,
    order_type=types.ORDER_TYPE_LIMIT,
    quantity="1",
    price="50",
)
NAMED = "order somebody-0: at venue main for 's', not in the journal"


@pytest.fixture(params=["name", "halt"])
async def policy_stack(
    request: Any, tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    settings = {"OPERATOR_TOKEN": OPERATOR, "ON_DIFFERENCE": request.param}
    started = Stack(tmp_path, port, redis_server, nats_server, **settings)
    yield started
    await started.hang_up()
    started.close()


async def test_an_order_that_nobody_knows_is_named_and_halts_where_it_shall(
    policy_stack: Stack,
) -> None:
    halts = policy_stack.gateway.environment["STRATOPS_ON_DIFFERENCE"] == "halt"

    async def compared() -> Any:
        desk = await policy_stack.desk()
        is_over = "not compared" not in desk.halt_sources.get("reconcile", "")
        return desk if desk.HasField("start") and is_over else None

    await policy_stack.deploy()
    await policy_stack.market.next()
    agreed = await until(compared)
    assert (agreed.start.equal, agreed.halted) == (True, "")
    await policy_stack.venue_stub().SubmitOrder(FOREIGN)

    policy_stack.gateway.kill()
    await policy_stack.gateway.start_again()
    differs = await until(compared)
    assert list(differs.start.differences) == [NAMED]
    halted = {"reconcile": f"1 differences, the first: {NAMED}"} if halts else {}
    assert dict(differs.halt_sources) == halted

    by_hand = venue_pb.CancelRequest(client_order_id="somebody-0")
    await policy_stack.venue_stub().CancelOrder(by_hand)
    policy_stack.gateway.kill()
    await policy_stack.gateway.start_again()
    agreed = await until(compared)
    assert (agreed.start.equal, agreed.halted) == (True, "")
