"""A list in pages that is interrupted: it is begun again, and only a whole one counts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from small_api import SmallApi
from strategy_operator import metadata_watch
from strategy_operator.cluster import REVISION, Cluster, Resource
from strategy_operator.metadata_watch import PAGE, MetadataWatch
from strategy_operator.objects import Brought, Clocks

MANY = PAGE + 1  # two pages
Fault = Callable[[web.Request], web.Response]


@dataclass
class Told:
    """What a watch said, until a list was whole."""

    taken: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def took(self, brought: Sequence[Brought]) -> None:
        self.taken.update(each.uid for each in brought)

    def listed(self, resource: Resource, uids: set[str], version: int) -> None:
        self.uids = uids
        self.whole.set()

    def unlisted(self, resource: Resource) -> None: ...

    def reached(self, resource: Resource, refusal: str = "") -> None: ...


@asynccontextmanager
async def watching(api: SmallApi, told: Told) -> AsyncIterator[None]:
    async with api.serving() as access, Cluster(access) as cluster:
        watch = asyncio.create_task(MetadataWatch(cluster, REVISION, "", told, Clocks()).run())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


def _broken(request: web.Request) -> web.Response:
    return web.Response(status=500)


def _too_old(request: web.Request) -> web.Response:
    return web.Response(status=410)


@pytest.mark.parametrize("fault", [_broken, _too_old])
async def test_a_list_that_broke_off_after_its_first_page_is_finished(fault: Fault) -> None:
    api, told = SmallApi(), Told()
    for number in range(MANY):
        api.has(REVISION, "desk", f"btc-{number:010}")
    faults = [fault]

    def once_on_the_second_page(request: web.Request) -> web.Response | None:
        return faults.pop()(request) if request.query.get("continue") and faults else None

    api.instead = once_on_the_second_page
    async with watching(api, told), asyncio.timeout(60):
        await told.whole.wait()
    assert not faults
    assert len(told.uids) == MANY == len(told.taken)


class Frozen(SmallApi):
    """Takes the first watch, and never says a word to it."""

    def __init__(self) -> None:
        super().__init__()
        self.watches = 0
        self.watched_again = asyncio.Event()

    async def answered(self, request: web.Request) -> web.Response | None:
        if "watch" in request.query:
            self.watches += 1
            if self.watches == 1:
                await asyncio.Event().wait()
            self.watched_again.set()
        return await super().answered(request)


async def test_a_watch_that_is_not_even_begun_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata_watch, "_SILENT_S", 0.5)
    api = Frozen()
    async with watching(api, Told()), asyncio.timeout(60):
        await api.watched_again.wait()
