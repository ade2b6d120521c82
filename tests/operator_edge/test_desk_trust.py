"""Who is shown the operator's token: in a cluster, only a gateway that can prove itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from risk_gateway.authority import make
from strategy_operator.desks import Desks
from strategy_operator.gateways import Ties
from strategy_operator.names import DESK, GATEWAY_CA
from strategy_operator.queue import Key, Keys
from strategy_operator.tokens import Tokens

NAMESPACE = "tenant"
CA = make(["localhost"], datetime.now(UTC)).ca.decode()


class Shelf:
    """The ConfigMaps of a cluster, and which were read."""

    def __init__(self) -> None:
        self.data: dict[Key, Mapping[str, str]] = {}
        self.read: list[Key] = []

    async def fetched(self, key: Key) -> Mapping[str, Any] | None:
        self.read.append(key)
        return {"data": self.data[key]} if key in self.data else None


async def _nobody_is_orphaned(_: Key) -> bool:
    return False


@contextlib.asynccontextmanager
async def serving(shelf: Shelf, *, plain: bool) -> AsyncIterator[Desks]:
    ties = Ties(Keys(), lambda _: [], _nobody_is_orphaned)
    desks = Desks(shelf, ties, Tokens(Path("/dev/null"), None, ""), "one", plain=plain)
    task = asyncio.create_task(desks.run([NAMESPACE]))
    try:
        yield desks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
def shelf() -> Shelf:
    found = Shelf()
    found.data[NAMESPACE, DESK] = {"gateway": "localhost:1"}
    return found


async def test_a_desk_is_served_from_when_its_gateway_can_be_checked(shelf: Shelf) -> None:
    async with serving(shelf, plain=False) as desks:
        await until(lambda: (NAMESPACE, GATEWAY_CA) in shelf.read)
        desks.changed(NAMESPACE)
        await until(lambda: shelf.read.count((NAMESPACE, GATEWAY_CA)) == 2)
        assert desks.desk(NAMESPACE) is None
        assert not desks.reachable
        shelf.data[NAMESPACE, GATEWAY_CA] = {"ca.crt": CA}
        desks.changed(NAMESPACE)
        await until(lambda: desks.desk(NAMESPACE) is not None)


async def test_outside_a_cluster_a_gateway_may_speak_plain(shelf: Shelf) -> None:
    async with serving(shelf, plain=True) as desks:
        await until(lambda: desks.desk(NAMESPACE) is not None)
