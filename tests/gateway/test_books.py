"""Positions and P&L as they are asked for, of a desk and over gRPC."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import Any

import grpc
import grpc.aio
import pytest

from desk_driver import OPERATOR, DeskDriver, buy, fill
from gateway_driver import Stack, until
from risk_gateway.books import books_of
from stratops_api.v1 import risk_gateway_pb2 as pb
from trading.signals import Side


async def traded(desk: DeskDriver) -> None:
    """`s` is long 2 at 101, `t` has sold 1 of 2 with a gain of 9; the mid is 100.5."""
    for name in "st":
        runner = await desk.armed(name=name, instance=name)
        await runner.decide(buy(f"{name}1", quantity="2"))
        await desk.filled(fill(f"{name}1", quantity="2", strategy=name))
    desk.feed_next()
    await runner.decide(buy("t2", cause=2, side=Side.SELL))
    await desk.filled(fill("t2", side=Side.SELL, price=Decimal(110), strategy="t"))


def lines(found: pb.Books) -> dict[tuple[str, str], tuple[Decimal | None, ...]]:
    every = [*found.positions, *found.strategies, *found.symbols, found.desk]
    return {
        (each.strategy, each.symbol): tuple(
            Decimal(text) if text else None
            for text in (each.quantity, each.realized_pnl, each.fees, each.unrealized_pnl)
        )
        for each in every
    }


def numbers(*texts: str) -> tuple[Decimal | None, ...]:
    return tuple(Decimal(text) if text else None for text in texts)


async def test_books_add_up_by_strategy_by_symbol_and_for_the_desk(desk: DeskDriver) -> None:
    await traded(desk)
    found = books_of(desk.state.strategies.values(), desk.market.latest)
    assert lines(found) == {
        ("s", "BTCUSDT"): numbers("2", "0", "0.1", "-1"),
        ("t", "BTCUSDT"): numbers("1", "9", "0.2", "-0.5"),
        ("s", ""): numbers("", "0", "0.1", "-1"),
        ("t", ""): numbers("", "9", "0.2", "-0.5"),
        ("", "BTCUSDT"): numbers("3", "9", "0.3", "-1.5"),
        ("", ""): numbers("", "9", "0.3", "-1.5"),
    }


async def test_without_a_price_nothing_is_said_of_what_is_unrealised(desk: DeskDriver) -> None:
    await traded(desk)
    found = books_of(desk.state.strategies.values(), lambda _: None)
    assert found.desk.unrealized_pnl == ""
    assert Decimal(found.desk.realized_pnl) == 9


def held(desk: DeskDriver) -> dict[str, Decimal]:
    found = books_of(desk.state.strategies.values(), desk.market.latest)
    return {each.strategy: Decimal(each.quantity) for each in found.positions}


async def test_books_tell_no_fill_that_is_not_on_disk_yet(desk: DeskDriver) -> None:
    await traded(desk)
    desk.desk.fill_book.take(fill("s1", 9, quantity="5"), lambda: None)
    assert desk.strategy.account.positions["BTCUSDT"].quantity == 7
    assert held(desk) == {"s": 2, "t": 1}
    await desk.settled()
    assert held(desk) == {"s": 7, "t": 1}


async def test_books_are_the_same_after_a_restart(desk: DeskDriver) -> None:
    await traded(desk)
    before = held(desk)
    assert held(desk.again()) == before == {"s": 2, "t": 1}


@pytest.mark.servers
async def test_books_and_explanations_are_answered_over_grpc(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    await runner.decide(buy("x", await stack.market.next()))
    await runner.outcome(1)
    stub = stack.stub()
    books = await stub.GetBooks(pb.GetBooksRequest(token=OPERATOR, strategy="s"))
    assert [(each.symbol, each.quantity) for each in books.positions] == [("BTCUSDT", "1.00000")]
    request = pb.ExplainOrderRequest(token=OPERATOR, order="x-0")
    found = json.loads((await stub.ExplainOrder(request)).json)
    assert found["verdict"] == "accepted"
    assert found["fills"][0]["position"] == "1.00000"
    with pytest.raises(grpc.aio.AioRpcError, match="nobody: neither") as refused:
        await stub.ExplainOrder(pb.ExplainOrderRequest(token=OPERATOR, order="nobody"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.servers
async def test_books_are_answered_while_the_journal_cannot_be_written(stack: Stack) -> None:
    """While a halt waits for it; SQLite gives up 5 s later, and the gateway with it."""
    await stack.deploy()
    runner = await stack.armed()
    await runner.decide(buy("x", await stack.market.next()))
    await runner.outcome(1)
    stub = stack.stub()
    with closing(sqlite3.connect(stack.journal)) as other:
        other.execute("BEGIN IMMEDIATE")
        halt = stub.Halt(pb.HaltRequest(token=OPERATOR, reason="news"))
        await until(lambda: desk_waits(stub))  # the halt has come, and waits as well
        books = await stub.GetBooks(pb.GetBooksRequest(token=OPERATOR), timeout=60)
        assert [each.quantity for each in books.positions] == ["1.00000"]
        assert not halt.done()
        other.rollback()
    await halt


async def desk_waits(stub: Any) -> bool:
    """For the disk."""
    try:
        await stub.GetDesk(pb.GetDeskRequest(token=OPERATOR), timeout=0.5)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return False


@pytest.mark.servers
@pytest.mark.parametrize("call", ["GetBooks", "ExplainOrder"])
async def test_only_an_operator_may_ask(shared_stack: Stack, call: str) -> None:
    request = getattr(pb, f"{call}Request")(token="a thief's")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(shared_stack.stub(), call)(request)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
