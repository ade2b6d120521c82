"""What is known of desks while they are read: one that was not read yet is not an absent one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from small_api import SmallApi
from strategy_operator import names
from strategy_operator.cache import Cache
from strategy_operator.cluster import Cluster, No, Refused
from strategy_operator.desks import Desks
from strategy_operator.gateways import Ties
from strategy_operator.objects import StrategyObject
from strategy_operator.observed import Desk
from strategy_operator.observer import Observer, Runners
from strategy_operator.queue import Key
from strategy_operator.sources import Sources
from strategy_operator.tokens import Tokens

NOWHERE = "127.0.0.1:1"
BTC, ETH = ("a", "btc"), ("b", "eth")


class Shelf:
    """Desks of any namespace, unless it says no."""

    def __init__(self, **noes: No) -> None:
        self.noes = noes

    def known(self, key: Key) -> None: ...

    async def fetched(self, key: Key) -> Mapping[str, Any] | None:
        await asyncio.sleep(0)  # as long as any answer takes at least
        if key[0] in self.noes:
            raise Refused(self.noes[key[0]], "no")
        return {"data": {"gateway": NOWHERE}} if key[1] == names.DESK else None


class Looked(list[Key]):
    def add(self, key: Key, after_s: float = 0.0) -> None:
        self.append(key)


async def _is_there(_: Key) -> bool:
    return False


@asynccontextmanager
async def reading(shelf: Shelf, looked: Looked) -> AsyncIterator[Desks]:
    """The desks of namespaces a and b; nothing was read yet."""
    ties = Ties(looked, lambda space: [BTC] if space == "a" else [ETH], _is_there)
    desks = Desks(shelf, ties, Tokens(Path("token"), None, ""), "one", plain=True)
    task = asyncio.create_task(desks.run(["a", "b"]))
    await asyncio.sleep(0)
    try:
        yield desks
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_half_a_view_is_shown_of_a_strategy_until_its_desk_was_read() -> None:
    cache, shelf, looked = Cache(), Shelf(), Looked()
    cache.strategies.put(BTC, "uid", 1, StrategyObject(b"{}"))
    async with (
        SmallApi().serving() as access,
        Cluster(access) as cluster,
        reading(shelf, looked) as desks,
    ):
        runners = Runners("runner:1", "Never")
        observer = Observer(cache, cluster, (Sources(), shelf), desks, runners, lambda: True)
        before = observer.observe(BTC, {}, ())
        assert before is not None
        assert (before.complete, before.desk) == (False, None)
        await until(lambda: BTC in looked)
        after = observer.observe(BTC, {}, ())
        assert after is not None
        assert (after.complete, after.desk) == (True, Desk(NOWHERE, ""))


async def test_a_desk_that_cannot_be_read_holds_up_no_other() -> None:
    shelf, looked = Shelf(a=No.UNREACHABLE), Looked()
    async with reading(shelf, looked) as desks:
        await until(lambda: desks.desk("b") is not None)
        assert (desks.known("a"), desks.known("b")) == (False, True)
        shelf.noes.clear()
        await until(lambda: desks.known("a"))
        assert set(looked) == {BTC, ETH}


async def test_a_desk_that_may_not_be_read_is_none() -> None:
    looked = Looked()
    async with reading(Shelf(a=No.FORBIDDEN), looked) as desks:
        await until(lambda: BTC in looked)
        assert (desks.known("a"), desks.desk("a")) == (True, None)


async def test_a_namespace_without_a_desk_is_known() -> None:
    async with reading(Shelf(), Looked()) as desks:
        assert desks.known("c")
