"""A small API server: keeps objects, lists them in pages, and takes what is put, patched, deleted.

Watches stay open and tell nothing. What it answers may be something else: see `instead`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from strategy_operator.access import Access
from strategy_operator.cluster import Resource

_PATH = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?"
)
Where = tuple[str, str, str]  # plural, namespace, name


class SmallApi:
    def __init__(self) -> None:
        self.objects: dict[Where, dict[str, Any]] = {}
        self.asked: list[str] = []  # method and path
        self.instead: Callable[[web.Request], web.Response | None] = lambda _: None
        self._version = 1

    def has(self, resource: Resource, namespace: str, name: str, **parts: Any) -> None:
        """From now on; its metadata may be among the parts."""
        metadata = {"namespace": namespace, "name": name, "uid": f"uid-of-{namespace}-{name}"}
        metadata |= {"creationTimestamp": "2026-11-21T12:00:00Z", **parts.pop("metadata", {})}
        self._keep((resource.plural, namespace, name), {"metadata": metadata, **parts})

    def _keep(self, where: Where, item: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        self.objects[where] = item
        return item

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Access]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield Access(f"http://127.0.0.1:{runner.addresses[0][1]}", None, lambda: "")
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        answered = await self.answered(request)
        if answered is not None:
            return answered
        found = _PATH.fullmatch(request.path)
        assert found is not None, request.path
        where = found["plural"], found["namespace"] or "", found["name"] or ""
        instead = self.instead(request)
        if instead is not None:
            return instead
        if "watch" in request.query:
            return await _silence(request)
        if not where[2]:
            return web.json_response(self._page(where, request.query))
        if where not in self.objects:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response(await self._done(where, request))

    async def answered(self, request: web.Request) -> web.Response | None:
        """What is no object, where an API has more than these."""
        return None

    async def _done(self, where: Where, request: web.Request) -> dict[str, Any]:
        item = self.objects[where]
        if request.method == "DELETE":
            del self.objects[where]
        elif request.method == "PUT":
            return self._keep(where, await request.json())
        elif request.method == "PATCH":
            patch = await request.json()
            return self._keep(where, item | {"metadata": item["metadata"] | patch["metadata"]})
        return item

    def _page(self, where: Where, query: Mapping[str, str]) -> dict[str, Any]:
        plural, namespace, _ = where
        items = [
            item
            for (its_plural, its_namespace, _), item in sorted(self.objects.items())
            if its_plural == plural and namespace in ("", its_namespace)
        ]
        start = int(query.get("continue") or 0)
        end = start + int(query.get("limit", len(items) or 1))
        rest = {"continue": str(end)} if end < len(items) else {}
        return {
            "items": items[start:end],
            "metadata": {"resourceVersion": str(self._version), **rest},
        }


async def _silence(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    return response
