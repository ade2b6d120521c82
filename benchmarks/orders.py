"""Orders to the venue, and the books that are asked for meanwhile, against an empty unary call.

First the wire alone: the gateway's own client submits limit orders that rest, at most a thousand a
second, with an empty call to a process of its own after each. Then the whole: a runner's signals
become orders and fills, at the same rate if the machine can, and GetBooks is asked in between.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc.aio
from benchmarks.echo import METHOD
from benchmarks.load import Load, loading
from benchmarks.servers import TOKEN, Servers, answers, servers
from benchmarks.table import Figure

from risk_gateway.venue import Venue, VenueUnavailable, order_request
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable
from trading.orders import Order
from trading.signals import Cause, OrderType, Side

RATE = 1_000
ORDERS = 5_000
TOGETHER, IN_FLIGHT = 10, 200
BOOKS_EVERY_S = 0.01
_CAUSE = Cause("BTCUSDT", "tick", 1, 1)
Call = Callable[[], Awaitable[object]]


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_measured(Path(name)))


async def _measured(folder: Path) -> list[Figure]:
    with servers(folder) as running, _echo() as echo:
        async with grpc.aio.insecure_channel(echo) as channel:
            say: Any = channel.unary_unary(METHOD)
            found = await _wire(running, lambda: say(b""))
            async with loading(running, "simulation") as (client, load):
                await load.send(IN_FLIGHT, TOGETHER, IN_FLIGHT, RATE)
                return [*found, *await _whole(running, client, load, lambda: say(b""))]


async def _wire(running: Servers, empty: Call) -> list[Figure]:
    venue = Venue(running.venue)
    await answers(lambda: _asked(venue))
    submits, empties = await _in_turn(
        [lambda nth=nth: venue.submit([order_request(_resting(nth))]) for nth in range(ORDERS)],  # type: ignore[misc]  # bound at once
        empty,
    )
    await venue.close()
    return [
        Figure("orders: to the venue and back, p50", _at(submits, 0.5), "ms",
               _at(empties, 0.5), "ms, an empty unary call", aim="<= 2x"),
        Figure("orders: to the venue and back, p99", _at(submits, 0.99), "ms",
               _at(empties, 0.99), "ms, an empty unary call"),
    ]  # fmt: skip


async def _asked(venue: Venue) -> None:
    """Raises GatewayUnavailable, as long as there is no venue."""
    try:
        await venue.order("nobody's")
    except VenueUnavailable as error:
        raise GatewayUnavailable(str(error)) from error


async def _in_turn(calls: Sequence[Call], empty: Call) -> tuple[list[float], list[float]]:
    """The milliseconds of each call, and of an empty one after it: both meet the same machine."""
    took: list[float] = []
    empties: list[float] = []
    began = time.perf_counter()
    for nth, call in enumerate(calls):
        await asyncio.sleep(max(0.0, began + nth / RATE - time.perf_counter()))
        await _timed(call, took)
        await _timed(empty, empties)
    return took, empties


async def _timed(call: Call, took: list[float]) -> None:
    began = time.perf_counter()
    await call()
    took.append((time.perf_counter() - began) * 1e3)


def _resting(nth: int) -> Order:
    return Order(
        client_order_id=f"wire-{nth}-0", signal_id=f"wire-{nth}", strategy="wire", revision="r1",
        epoch=1, symbol="BTCUSDT", side=Side.BUY, order_type=OrderType.LIMIT,
        quantity=Decimal(1), cause=_CAUSE, at_ns=1, price=Decimal(10),
    )  # fmt: skip


async def _whole(running: Servers, client: GatewayClient, load: Load, empty: Call) -> list[Figure]:
    books: list[float] = []
    empties: list[float] = []
    before, accepted = running.cpu_s(), load.accepted
    async with grpc.aio.insecure_channel(running.gateway) as channel:
        gateway: Any = RiskGatewayStub(channel)
        request = pb.GetBooksRequest(token=TOKEN)
        asking = asyncio.create_task(_ask(lambda: gateway.GetBooks(request), books, empty, empties))
        took_s = await load.send(ORDERS, TOGETHER, IN_FLIGHT, RATE)
        filled_s = await _filled(client)
        asking.cancel()
    cpu_us = (running.cpu_s() - before) / (load.accepted - accepted) * 1e6
    return [
        Figure(f"orders: gateway, from signal to fill, at {ORDERS / took_s:.0f}/s", cpu_us,
               f"us CPU/order (the last fill {filled_s:.1f} s later)"),
        Figure("books: GetBooks meanwhile, p99", _at(books, 0.99),
               f"ms (p50 {_at(books, 0.5):.1f})", _at(empties, 0.99),
               f"ms, an empty unary call (p50 {_at(empties, 0.5):.1f})", aim="<= 10 ms"),
    ]  # fmt: skip


async def _ask(for_books: Call, books: list[float], empty: Call, empties: list[float]) -> None:
    while True:
        await _timed(for_books, books)
        await _timed(empty, empties)
        await asyncio.sleep(BOOKS_EVERY_S)


async def _filled(client: GatewayClient) -> float:
    """Seconds until nothing is at work any more."""
    began = time.perf_counter()
    while time.perf_counter() - began < 30:
        status = (await client.get_desk()).strategies[0]
        if status.fills == status.orders:
            break
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


def _at(took: Sequence[float], share: float) -> float:
    return sorted(took)[int(share * (len(took) - 1))]


@contextmanager
def _echo() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.echo"]
    folder = Path(__file__).parents[1]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert server.stdout is not None
    try:
        yield f"127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()
