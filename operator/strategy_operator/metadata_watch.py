"""A list and a watch of metadata alone, for kinds of which nothing else is needed at all times.

It lists in pages, then watches from there, and goes on from the last version that it saw when a
watch ends, as each does after some minutes. What is too old to go on from is listed anew; a list
says what it had, so that what went meanwhile is noticed.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, Protocol

import aiohttp
import msgspec
import structlog

from strategy_operator.cluster import Cluster, Resource, shown
from strategy_operator.objects import Brought, Clocks, brought

PAGE = 200
SERVER_S = 300  # an integer: the API server takes no other
_SILENT_S = 70.0  # bookmarks come every minute, so a stream without any is dead, or its kind quiet
_CONNECT_S = 10.0
_PARTIAL = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
_BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger()


class Sink(Protocol):
    """Who is told, of all kinds. A list is told as a whole after its objects."""

    def took(self, brought: Sequence[Brought]) -> None: ...

    def listed(self, resource: Resource, uids: set[str], version: int) -> None: ...

    def unlisted(self, resource: Resource) -> None:
        """Nothing is heard of that kind until it is listed again."""

    def reached(self, resource: Resource, refusal: str = "") -> None:
        """The API server answered now; why it did not."""


class _TooOld(Exception):
    """The version to go on from is not kept any more."""


class _Unanswered(Exception):
    pass


_PASSING = (_Unanswered, aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError)


class MetadataWatch:
    """`namespace` empty: all. `run` never ends."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str,
        sink: Sink,
        clocks: Clocks,
    ) -> None:
        self._cluster = cluster
        self._resource = resource
        self._namespace = namespace
        self._sink = sink
        self._clocks = clocks
        self._version = ""  # empty: list first
        self._failures = 0

    async def run(self) -> NoReturn:
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except _TooOld:
                self._version = ""
            except _PASSING as error:
                await self._wait(error)

    async def _wait(self, error: Exception) -> None:
        pause = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
        self._sink.reached(self._resource, shown(error))
        if not self._failures:
            log.warning("watch_interrupted", kind=self._resource.plural, why=shown(error))
        self._failures += 1
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret

    async def _list(self) -> None:
        uids: set[str] = set()
        query = {"limit": str(PAGE)}
        while True:
            answer = await self._page(query)
            page = [brought(self._resource, each, self._clocks) for each in answer["items"] or ()]
            uids.update(each.uid for each in page)
            self._sink.took(page)
            query["continue"] = answer["metadata"].get("continue", "")
            if not query["continue"]:
                break
            await asyncio.sleep(0)
        version = answer["metadata"]["resourceVersion"]
        self._sink.listed(self._resource, uids, int(version))
        self._version = version  # not before: a list that broke off is begun again

    async def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        async with self._request("List", query, whole_s=60.0) as response:
            body = await response.read()
            if response.status == 410:  # the list itself took too long
                raise _TooOld
            if response.status != 200:
                raise _Unanswered(f"{response.status}: {body[:200].decode(errors='replace')}")
            self._reached()
            page: dict[str, Any] = msgspec.json.decode(body)
            return page

    async def _watch(self) -> None:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(SERVER_S * 4 // 5, SERVER_S)),  # noqa: S311  # as above
        }
        began = time.monotonic()
        async with self._request("", query, whole_s=None) as response:
            if response.status == 410:
                raise _TooOld
            if response.status != 200:
                raise _Unanswered(f"{response.status}: {(await response.text())[:200]}")
            self._reached()
            async for line in _lines(response):
                self._took(msgspec.json.decode(line))
        if time.monotonic() - began < 1.0:  # an overloaded API server ends watches as it likes
            await asyncio.sleep(0.5)

    def _took(self, event: Mapping[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            if item.get("code") == 410:
                raise _TooOld
            raise _Unanswered(str(item.get("message", item)))
        self._reached()
        self._version = item["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            gone = event["type"] == "DELETED"
            self._sink.took([brought(self._resource, item, self._clocks, deleted=gone)])

    def _reached(self) -> None:
        self._failures = 0
        self._sink.reached(self._resource)

    def _request(
        self, form: str, query: Mapping[str, str], whole_s: float | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        path = self._resource.path(self._namespace)
        return self._cluster.session.get(
            self._cluster.access.server + path,
            params=query,
            headers={"Accept": _PARTIAL.format(form), **self._cluster.access.headers()},
            timeout=aiohttp.ClientTimeout(
                total=whole_s, sock_connect=_CONNECT_S, sock_read=_SILENT_S
            ),
        )


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Until the stream ends, or says nothing for too long. A line may be of any length."""
    rest = b""
    while True:
        try:
            data = await response.content.readany()
        except TimeoutError:
            return
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line:
                yield line
