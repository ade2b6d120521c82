"""Orders that somebody else sent: ours to look after, or named and left; over restarts too."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import nats
import pytest

from desk_driver import OPERATOR, DeskDriver, buy, content, fill
from gateway_driver import Stack, has_fills_stream, until
from handover.messages import OrderEnd, OrderFill
from risk_gateway.adoption import fills_of
from risk_gateway.archive import Archive
from risk_gateway.explanation import explained
from risk_gateway.journal import OrderRow
from risk_gateway.records import Adopted, Kind, body_of, record
from risk_gateway.verification import verified
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side

pytestmark = pytest.mark.servers
D = Decimal


@pytest.fixture
async def adopting(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    settings = {"OPERATOR_TOKEN": OPERATOR, "ON_DIFFERENCE": "adopt"}
    started = Stack(tmp_path, port, redis_server, nats_server, b"", **settings)
    yield started
    await started.hang_up()
    started.close()


def theirs(name: str, **fields: Any) -> venue_pb.OrderRequest:
    usual = {
        "client_order_id": name, "strategy_id": "s", "symbol": "BTCUSDT", "account": "default",
        "side": types.SIDE_BUY, "order_type": types.ORDER_TYPE_LIMIT, "quantity": "10",
        "price": "50",
    }  # fmt: skip
    return venue_pb.OrderRequest(**{**usual, **fields})


async def compared(stack: Stack) -> Any:
    desk = await stack.desk()
    return desk if desk.HasField("start") else None


async def restarted(stack: Stack) -> list[str]:
    """What its start found that differs."""
    stack.gateway.kill()
    await stack.gateway.start_again()
    desk = await until(lambda: compared(stack), 60)
    return list(desk.start.differences)


async def test_an_order_of_ours_to_look_after_is_adopted_and_the_others_are_named(
    adopting: Stack,
) -> None:
    await adopting.deploy()
    await adopting.market.next(49)  # the ask is 50, 5 of it: so much is filled at once
    venue = adopting.venue_stub()
    await venue.SubmitOrder(theirs("somebody-0"))
    await venue.SubmitOrder(theirs("plain", price="20"))
    await venue.SubmitOrder(theirs("nobodys", strategy_id="z", price="20"))
    await venue.SubmitOrder(theirs("silent", account="", price="20"))
    await venue.SubmitOrder(theirs("client", account="other", price="20"))
    await until(lambda: has_position(adopting, "5"))

    left = [
        "order client: at venue main for 's', not in the journal, not adopted: account 'other', "
        "its strategy's is 'default'",
        "order nobodys: at venue main for 'z', not in the journal, not adopted: no strategy 'z' on "
        "this desk",
        "order silent: at venue main for 's', not in the journal, not adopted: the venue does not "
        "say of which account",
    ]
    for _ in range(2):  # the second time from the journal
        assert await restarted(adopting) == left
        assert (await adopting.desk()).working == 2

    kept = Archive(adopting.journal)
    row = kept.record(Kind.ADOPTED, "somebody-0")
    assert row is not None
    adopted: Adopted = body_of(row)
    order = adopted.order
    assert (order.quantity, order.price, order.filled_quantity) == (D(10), D(50), D(5))
    assert (order.state, order.adopted) == (OrderState.PARTIALLY_FILLED, True)

    await adopting.market.next(49)
    await until(lambda: has_position(adopting, "10"))
    assert (found := kept.order("somebody-0")) is not None
    assert found.state == "filled"
    assert (found.filled_quantity, found.filled_notional) == (D(10), D(500))
    told = explained(kept, "somebody-0")
    assert (told.verdict, told.strategy, told.signal.quantity) == ("adopted", "s", D(10))
    assert [each.kind for each in told.events] == ["adopted", "fill"]
    assert told.message == "somebody else sent it; it was open at venue main"
    kept.close()

    await cancel_all(adopting)
    await until(lambda: is_cancelled(adopting, "plain"))
    orders = await adopting.venue_orders()
    assert {orders[name].state for name in ("nobodys", "silent", "client")} == {
        types.ORDER_STATE_ACCEPTED
    }
    assert await restarted(adopting) == left
    verified(adopting.journal)


async def has_position(stack: Stack, quantity: str) -> bool:
    (strategy,) = (await stack.desk()).strategies
    return Decimal(strategy.positions.get("BTCUSDT", "0")) == Decimal(quantity)


async def is_cancelled(stack: Stack, name: str) -> bool:
    return (await stack.venue_orders())[name].state == types.ORDER_STATE_CANCELLED


async def cancel_all(stack: Stack) -> None:
    request = pb.CancelOrdersRequest(token=stack.operator(), strategy="s", reason="test")
    await stack.stub().CancelOrders(request)


async def test_what_is_adopted_counts_as_exposure(adopting: Stack) -> None:
    await adopting.deploy(content(max_position_size="12"))
    await adopting.market.next()
    await adopting.venue_stub().SubmitOrder(theirs("somebody-0"))
    assert await restarted(adopting) == []
    runner = await adopting.armed()
    (refused,) = await runner.decide(buy("x", await adopting.market.next(), "3"))
    assert "max_position_size" in str(refused.reason)
    (taken,) = await runner.decide(buy("y", await adopting.market.next(), "2"))
    assert taken.accepted


async def test_a_resting_close_cannot_turn_a_position_round(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    await runner.decide(buy("in", await stack.market.next(), "2"))
    assert isinstance((await runner.outcome(1)).what, OrderFill)
    out = {"side": Side.SELL, "order_type": OrderType.LIMIT, "price": Decimal(200)}
    await runner.decide(buy("out", await stack.market.next(), "2", **out))
    await until(lambda: is_there(stack, "out-0"))
    assert (await stack.venue_orders())["out-0"].reduce_only

    hand = theirs("hand", side=types.SIDE_SELL, order_type=1, quantity="2", price="")
    await stack.venue_stub().SubmitOrder(hand)
    await until(lambda: has_position(stack, "0"))
    await stack.market.next(300)
    end = (await runner.outcome(3)).what
    assert end == OrderEnd(OrderState.REJECTED, Reason.REDUCING_ONLY)
    assert await has_position(stack, "0")


async def is_there(stack: Stack, name: str) -> bool:
    return name in await stack.venue_orders()


async def test_a_position_that_the_venue_does_not_know_is_closed_without_reduce_only(
    stack: Stack,
) -> None:
    await stack.deploy()
    runner = await stack.armed()
    client = await nats.connect(stack.nats.url)
    await until(lambda: has_fills_stream(client))
    fill = {"fill_id": "t1", "symbol": "BTCUSDT", "side": "buy", "price": 99.5, "quantity": 2}
    payload = json.dumps(fill | {"strategy": "s", "timestamp": "2024-08-08T00:00:00Z"})
    await client.publish("trading.fills", payload.encode())
    await until(lambda: has_position(stack, "2"))
    await client.close()
    await runner.decide(buy("out", await stack.market.next(), "2", side=Side.SELL))
    await until(lambda: has_position(stack, "0"))
    assert not (await stack.venue_orders())["out-0"].reduce_only


async def test_the_fills_of_one_order_are_found_without_holding_all_of_them(
    tmp_path: Path,
) -> None:
    desk = DeskDriver(tmp_path)
    await desk.armed()
    for nth in range(5_000):
        each = fill(f"n{nth}")
        row = OrderRow(each.client_order_id, "s", "filled")
        desk.journal.append([record(Kind.FILL, each, 7, "s", key=each.fill_id, order=row)])
    await desk.filled(fill("hand", 2), fill("hand", 1), fill("other"))
    tracemalloc.start()
    found = fills_of(desk.archive, "hand-0", desk.archive.head().number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    desk.close()
    assert [each.fill_id for each in found] == ["hand-0-2", "hand-0-1"]
    assert peak < 500_000
