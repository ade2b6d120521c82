"""What each role is answered over the wire, on a desk whose roster has one of each."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from desk_driver import OPERATOR, buy
from gateway_driver import Stack, until
from risk_gateway.roles import RIGHTS, Role
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.signals import signal_to_proto
from trading.signals import Side, Signal

pytestmark = pytest.mark.servers

REQUESTS: dict[str, Any] = {
    "SubmitSignal": pb.SubmitSignalRequest(strategy="s"),
    "BeginTerm": pb.BeginTermRequest(holder="x"),
    "Deploy": pb.DeployRequest(),
    "Withdraw": pb.WithdrawRequest(strategy="s"),
    "Halt": pb.HaltRequest(reason="drill"),
    "Resume": pb.ResumeRequest(),
    "GetDesk": pb.GetDeskRequest(),
    "ListDeskOrders": pb.ListDeskOrdersRequest(),
}


def token_of(role: str) -> str:
    return f"the token of {role}"


def roster() -> str:
    return "".join(
        f'[{role}]\nroles = ["{role}"]\n'
        f'token_sha256 = "{sha256(token_of(role).encode()).hexdigest()}"\n'
        for role in Role
    )


@pytest.fixture
async def desk(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    path = tmp_path / "roster.toml"
    path.write_text(roster())
    started = Stack(
        tmp_path, port, redis_server, nats_server, OPERATOR_TOKEN=OPERATOR, ROSTER=str(path)
    )
    yield started
    await started.hang_up()
    started.close()


async def refusal(desk: Stack, rpc: str, role: str) -> str:
    """What it is refused with for want of a role; empty: it is let in."""
    request = type(REQUESTS[rpc])()
    request.CopyFrom(REQUESTS[rpc])
    request.token = token_of(role)
    try:
        await getattr(desk.stub(), rpc)(request)
    except grpc.aio.AioRpcError as error:
        denied = error.code() is grpc.StatusCode.PERMISSION_DENIED
        return (error.details() or "") if denied else ""
    return ""


async def test_every_call_is_open_to_the_roles_of_the_table_and_closed_to_others(
    desk: Stack,
) -> None:
    await desk.deploy()
    for rpc in REQUESTS:
        for role in Role:
            said = await refusal(desk, rpc, role)
            assert bool(said) is (role not in RIGHTS[rpc].roles), (rpc, role, said)
            if said:
                assert said.startswith(f"{rpc} needs role ")
                assert said.endswith(f"; {role} has {role}")


async def submitted(desk: Stack, role: str, epoch: int, signal: Signal) -> str | None:
    """The reason of its verdict, or the status of the call."""
    request = pb.SubmitSignalRequest(
        token=token_of(role), strategy="s", epoch=epoch, signal=signal_to_proto(signal)
    )
    try:
        answer = await desk.stub().SubmitSignal(request)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return None if answer.verdict.accepted else str(answer.verdict.reason)


async def test_a_risk_officer_closes_and_cancels_and_a_trader_trades(desk: Stack) -> None:
    await desk.deploy()
    runner = await desk.armed()
    epoch, cause = runner.epoch, await desk.market.next()
    assert await submitted(desk, "risk-officer", epoch, buy("o-1", cause)) == "PERMISSION_DENIED"
    assert await submitted(desk, "reader", epoch, buy("o-2", cause)) == "PERMISSION_DENIED"
    assert await submitted(desk, "trader", epoch, buy("o-3", cause)) is None
    await desk.market.next()
    await until(lambda: holds(desk, "1"))
    close = buy("o-4", cause, side=Side.SELL, quantity="1", closing=True)
    assert await submitted(desk, "risk-officer", epoch, close) is None
    await until(lambda: holds(desk, "0"))
    assert set(await desk.venue_orders()) == {"o-3-0", "o-4-0"}


async def holds(desk: Stack, quantity: str) -> bool:
    (status,) = (await desk.desk()).strategies
    return Decimal(status.positions.get("BTCUSDT", "0")) == Decimal(quantity)


async def test_a_risk_officer_halts_what_the_operator_deployed(desk: Stack) -> None:
    await desk.deploy()
    runner = await desk.armed()
    await desk.stub().Halt(pb.HaltRequest(token=token_of("risk-officer"), reason="drill"))
    (verdict,) = await runner.decide(buy("x", await desk.market.next()))
    assert verdict.reason == "halted"
    with sqlite3.connect(desk.journal) as journal:
        ((body,),) = journal.execute("select body from log where kind = 'halted'")
    who = {"reason": "drill", "source": "operator", "by": "risk-officer", "level": "desk"}
    assert json.loads(body).items() >= who.items()
    assert await desk.venue_orders() == {}
