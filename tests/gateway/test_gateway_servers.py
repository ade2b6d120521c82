"""The gateway among real servers: Redis, NATS, a paper venue, runners over gRPC."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest

from desk_driver import HASH, OPERATOR, buy, cancel, content
from gateway_driver import RunnerClient, Stack, has_fills_stream, until
from handover.messages import OrderEnd, OrderFill, OrderModified
from own_time import ends_in
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.orders import OrderState
from trading.signals import Action, OrderType

pytestmark = pytest.mark.servers


async def test_a_signal_becomes_an_order_a_fill_and_a_position(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    (verdict,) = await runner.decide(buy("x", await stack.market.next()))
    assert verdict.accepted
    outcome = await runner.outcome(1)
    assert isinstance(outcome.what, OrderFill)
    assert outcome.what.price == 101
    await until(stack.agrees)
    (strategy,) = (await stack.desk()).strategies
    assert (strategy.positions["BTCUSDT"], strategy.fills) == ("1.00000", 1)


async def test_the_position_is_published_to_its_stream(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    await runner.decide(buy("x", await stack.market.next()))
    await runner.outcome(1)
    await until(lambda: published(stack))
    client = await nats.connect(stack.nats.url)
    subscription = await client.jetstream().subscribe("trading.positions")
    message = await subscription.next_msg(timeout=60)
    await client.close()
    assert json.loads(message.data)["side"] == "long"
    assert (message.headers or {})["Nats-Msg-Id"] == "s:1"


async def test_a_cancel_reaches_the_venue_after_its_order(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    resting = buy("x", cause, order_type=OrderType.LIMIT, price=Decimal(50))
    await runner.decide(resting, cancel("c", of="x", cause=cause))
    assert (await runner.outcome(1)).what == OrderEnd(OrderState.CANCELLED)


async def test_an_order_at_work_is_modified(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    resting = {"order_type": OrderType.LIMIT, "price": Decimal(50)}
    await runner.decide(buy("x", await stack.market.next(), **resting))  # type: ignore[arg-type]  # by name
    await runner.decide(
        buy("m", await stack.market.next(), "3", action=Action.MODIFY, modifies="x")
    )
    assert (await runner.outcome(1)).what == OrderModified("x", Decimal(3), Decimal(50))
    assert (await stack.venue_orders())["x-0"].quantity == "3.00000"
    await runner.decide(
        buy("n", await stack.market.next(), action=Action.MODIFY, modifies="x", price=Decimal(200))
    )
    await until(lambda: told_of(runner, "n"))  # before its fill, or after it
    await stack.market.next()
    await until(stack.agrees)
    assert (await stack.desk()).fills == 1


async def told_of(runner: RunnerClient, signal_id: str) -> bool:
    return any(outcome.signal_id == signal_id for outcome in runner.outcomes)


async def test_an_order_that_ended_quietly_at_the_venue_is_found(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    resting = buy("x", await stack.market.next(), order_type=OrderType.LIMIT, price=Decimal(50))
    await runner.decide(resting)
    await until(lambda: is_at_venue(stack, "x-0"))
    by_hand = venue_pb.CancelRequest(client_order_id="x-0")
    await stack.venue_stub().CancelOrder(by_hand)
    assert (await runner.outcome(1)).what == OrderEnd(OrderState.CANCELLED)


async def is_at_venue(stack: Stack, client_order_id: str) -> bool:
    return client_order_id in await stack.venue_orders()


async def test_fills_are_counted_when_nats_is_back(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    stack.nats.kill()
    await runner.decide(buy("x", await stack.market.next()))
    assert (await stack.desk()).fills == 0
    await asyncio.to_thread(stack.nats.start)  # its runner keeps saying that it lives
    await runner.outcome(1)
    await until(stack.agrees)
    await until(lambda: published(stack))


async def published(stack: Stack) -> bool:
    return (await stack.desk()).unpublished == 0


async def test_what_is_no_fill_is_survived_and_a_foreign_one_counted(stack: Stack) -> None:
    await stack.deploy()
    client = await nats.connect(stack.nats.url)
    theirs = {"fill_id": "t1", "symbol": "BTCUSDT", "side": "sell", "price": 99.5, "quantity": 2}
    await until(lambda: has_fills_stream(client))
    for rubbish in (b"{", b"[" * 100_000, b'{"fill_id": 7}', b"\xff" * 1_000):
        await client.publish("trading.fills", rubbish)
    for _ in range(2):
        payload = json.dumps(theirs | {"strategy": "s", "timestamp": "2024-08-08T00:00:00Z"})
        await client.publish("trading.fills", payload.encode())
    await until(lambda: has_position(stack, "-2"))
    await client.close()


async def has_position(stack: Stack, quantity: str) -> bool:
    (strategy,) = (await stack.desk()).strategies
    return strategy.positions.get("BTCUSDT") == quantity


async def test_orders_of_a_venue_that_died_are_settled_when_it_is_back(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    stack.venue.process.send_signal(signal.SIGSTOP)
    (verdict,) = await runner.decide(buy("x", cause))
    assert verdict.accepted  # nobody has noticed yet
    stack.venue.kill()
    await until(lambda: is_refused(stack, runner))
    await stack.venue.start_again()
    (end,) = await until(lambda: ends_of(runner, "x"))
    assert end.state in (OrderState.EXPIRED, OrderState.REJECTED)  # a retry may have reached it
    await until(stack.agrees)


async def ends_of(runner: RunnerClient, signal_id: str) -> list[Any]:
    return [outcome.what for outcome in runner.outcomes if outcome.signal_id == signal_id]


async def is_refused(stack: Stack, runner: RunnerClient) -> bool:
    stack.market.subscribers = 1  # the venue is away
    (verdict,) = await runner.decide(buy(f"n{runner.number}", await stack.market.next()))
    return verdict.reason == "venue_unavailable"


# ---- ledger and venue


async def test_a_fill_that_is_nobodys_is_named_as_a_difference(stack: Stack) -> None:
    client = await nats.connect(stack.nats.url)
    await until(lambda: has_fills_stream(client))
    stray = {"fill_id": "t1", "symbol": "BTCUSDT", "side": "buy", "price": 9, "quantity": 1}
    await client.publish("trading.fills", json.dumps(stray | {"timestamp": 1}).encode())
    (named,) = await until(lambda: differences(stack))
    assert named.startswith("fill t1: counted nowhere")
    await client.close()


async def test_an_order_of_somebody_else_is_named_as_a_difference(stack: Stack) -> None:
    cause = types.Cause(symbol="BTCUSDT", type="tick", sequence=await stack.market.next())
    order = venue_pb.OrderRequest(
        symbol="BTCUSDT", side=types.SIDE_BUY, order_type=types.ORDER_TYPE_MARKET, quantity="1",
        strategy_id="s", client_order_id="theirs", cause=cause,
    )  # fmt: skip
    await stack.venue_stub().SubmitOrder(order)
    named = await until(lambda: differences(stack))
    assert "order theirs: at venue main for 's', not in the journal" in named


async def differences(stack: Stack) -> list[str]:
    return list((await stack.desk(reconcile=True)).reconciliation.differences)


async def test_a_stream_that_was_lost_is_made_again(stack: Stack) -> None:
    await stack.deploy()
    client = await nats.connect(stack.nats.url)
    await until(lambda: has_fills_stream(client))
    await client.jetstream().delete_stream("TRADING_FILLS")
    await until(lambda: has_fills_stream(client))
    runner = await stack.armed()
    await runner.decide(buy("x", await stack.market.next()))
    await runner.outcome(1)
    await client.close()


# ---- callers


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("BeginTerm", pb.BeginTermRequest(token="x")),
        ("Deploy", pb.DeployRequest(token="x")),
        ("Withdraw", pb.WithdrawRequest()),
        ("Halt", pb.HaltRequest(token="x")),
        ("Resume", pb.ResumeRequest(token="x")),
        ("GetDesk", pb.GetDeskRequest(token="x")),
        ("ListDeskOrders", pb.ListDeskOrdersRequest(token="x")),
        ("SubmitSignal", pb.SubmitSignalRequest(token="x", strategy="s")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_without_its_token_nothing_is_answered(
    shared_stack: Stack, method: str, request_: Any
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(shared_stack.stub(), method)(request_)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_unknown_runner_is_refused_and_counted(shared_stack: Stack) -> None:
    await shared_stack.deploy()
    before = (await shared_stack.desk()).rejected["unknown_caller"]
    runner = shared_stack.runner(token="guessed")
    await runner.connect()
    assert (await runner.status())[0] is grpc.StatusCode.UNAUTHENTICATED
    assert (await shared_stack.desk()).rejected["unknown_caller"] == before + 1


async def test_a_lower_term_is_refused_by_status(shared_stack: Stack) -> None:
    stub = shared_stack.stub()
    await shared_stack.deploy()
    late = pb.DeployRequest(
        token=OPERATOR, term=0, strategy="s", revision="r1", content=content(),
        runner_token_sha256=HASH,
    )  # fmt: skip
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Deploy(late)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "term 0" in (refused.value.details() or "")


async def test_wrong_content_names_its_field(shared_stack: Stack) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shared_stack.deploy(content(mode="wild"), revision="r2")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.value.details() or "").startswith("content.mode: 'wild'")


async def test_a_halt_refuses_until_it_is_lifted(shared_stack: Stack) -> None:
    stub = shared_stack.stub()
    await stub.Halt(pb.HaltRequest(token=OPERATOR, reason="drill"))
    assert (await shared_stack.desk()).halted == "drill"
    await stub.Resume(pb.ResumeRequest(token=OPERATOR))
    assert (await shared_stack.desk()).halted == ""


async def test_a_part_of_the_desk_is_halted_by_its_name(shared_stack: Stack) -> None:
    stub = shared_stack.stub()
    await stub.Halt(pb.HaltRequest(token=OPERATOR, reason="drill", symbol="BTCUSDT", reducing=True))
    (found,) = (await shared_stack.desk()).standings
    assert (found.scope, found.standing, found.why) == ("symbol BTCUSDT", "reducing", "drill")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Halt(pb.HaltRequest(token=OPERATOR, symbol="BTCUDST"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await stub.Resume(pb.ResumeRequest(token=OPERATOR, symbol="BTCUSDT"))
    assert not (await shared_stack.desk()).standings


# ---- the process


async def test_it_ends_within_a_second_of_sigterm_with_everything_away(stack: Stack) -> None:
    stack.nats.kill()
    stack.redis.kill()
    stack.venue.kill()
    assert await ends_in(stack.gateway.process) < 1
    assert stack.gateway.process.returncode == 0


async def test_it_ends_within_a_second_of_sigterm(stack: Stack) -> None:
    assert await ends_in(stack.gateway.process) < 1
    assert stack.gateway.process.returncode == 0


async def test_it_ends_within_a_second_with_runners_at_work(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    cause = await stack.market.next()
    for n in range(20):
        await runner.batch(buy(f"x{n}", cause + n), buy(f"y{n}", cause + n))
    assert await ends_in(stack.gateway.process) < 1
    assert stack.gateway.process.returncode == 0
    connection = sqlite3.connect(stack.journal)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.4, 0.8])
def test_it_can_be_ended_from_its_first_moment_on(
    tmp_path: Path, port: Callable[[], int], after_s: float
) -> None:
    """Started with SIGTERM ignored, as it is for PID 1: only a handler of its own obeys."""
    command = [sys.executable, "-P", "-m", "risk_gateway"]
    started = subprocess.Popen(
        command,
        env=settings_of(tmp_path, port()),
        preexec_fn=ignore_sigterm,
        stderr=subprocess.PIPE,
    )
    with started:
        time.sleep(after_s)
        deadline = time.monotonic() + 60
        while started.poll() is None and time.monotonic() < deadline:
            started.terminate()
            time.sleep(0.001)  # also while the interpreter ends
        started.kill()
        _, said = started.communicate()
    assert (started.returncode, said) == (0, said)


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def settings_of(folder: Path, port: int) -> dict[str, str]:
    return {
        "STRATOPS_LISTEN": f"127.0.0.1:{port}", "STRATOPS_STATE_DIR": str(folder / "state"),
        "STRATOPS_OPERATOR_TOKEN": "x", "STRATOPS_VENUE": "127.0.0.1:1",
        "STRATOPS_REDIS_URL": "redis://127.0.0.1:1", "STRATOPS_NATS_URL": "nats://127.0.0.1:1",
        "STRATOPS_SYMBOLS": "BTCUSDT",
    }  # fmt: skip


async def test_a_second_gateway_on_its_journal_does_not_start(stack: Stack) -> None:
    environment = stack.gateway.environment | {"STRATOPS_LISTEN": "127.0.0.1:0"}
    second = subprocess.run(
        [sys.executable, "-m", "risk_gateway"], env=environment, capture_output=True, text=True
    )
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].endswith("another gateway is running on it")


async def test_a_missing_setting_is_one_clear_line() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "risk_gateway"], env={}, capture_output=True, text=True
    )
    assert (found.returncode, len(found.stderr.splitlines())) == (1, 1)
    assert "STRATOPS_" in found.stderr


async def test_health_and_metrics_are_served(stack: Stack, port: Any) -> None:
    at = await with_pages(stack, port)
    assert b"strategy_engine_signal_queue_size 0.0" in read(at, "metrics")
    assert b"strategy_engine_feed_age_seconds " in read(at, "metrics")


async def with_pages(stack: Stack, port: Any) -> int:
    """Their port."""
    stack.gateway.kill(signal.SIGTERM)
    at: int = port()
    stack.gateway.environment["STRATOPS_METRICS_PORT"] = str(at)
    stack.gateway.start()
    await until(lambda: answers(at, "ready"))
    return at


def read(port: int, page: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=60) as answer:
        found: bytes = answer.read()
        return found


async def answers(port: int, page: str) -> bool:
    try:
        return bool(read(port, page))
    except OSError:
        return False


async def test_the_feed_has_no_age_while_redis_is_away(stack: Stack, port: Any) -> None:
    at = await with_pages(stack, port)
    stack.redis.kill()

    async def has_no_age() -> bool:
        return b"strategy_engine_feed_age_seconds +Inf" in read(at, "metrics")

    await until(has_no_age)


async def test_a_feed_that_says_nothing_grows_old_though_redis_lives(stack: Stack) -> None:
    async def age_ns() -> int:
        return (await stack.desk()).feed.age_ns

    async def is_old() -> bool:
        return await age_ns() > 3e9

    async def is_young() -> bool:
        await stack.market.next()
        return await age_ns() < 2e9

    await until(is_old)
    await until(is_young)
