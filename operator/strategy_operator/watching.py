"""kopf, and all that is known of it: it watches Strategies, RiskPolicies and runner pods.

It runs in a thread and loop of its own, for it cancels every task of its loop when it ends, and it
ends for good on one bad watch: it is begun again, as often as it takes. Lists are read off its
session's answers, because it says nothing of what was deleted between two of them.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import kopf
import msgspec
import structlog

from strategy_operator.access import Access
from strategy_operator.cluster import POD, POLICY, STRATEGY, Cluster, Refused, Resource
from strategy_operator.metadata_watch import PAGE, SERVER_S, Sink
from strategy_operator.objects import MANAGED_BY, Brought, Clocks, brought

WATCHED = (STRATEGY, POLICY, POD)
_AGAIN_S = (0.5, 1.0, 2.0, 5.0)
_STEADY_S = 60.0  # a life that lasted so long was none of a row of failures
_CONNECT_S = 10.0
_DEFINITIONS_S = 2.0
_LAST_WORDS_S = 0.05  # for TLS to take its leave
_IDENTITY: Any = "stratops-operator"

log = structlog.get_logger()


class Watching:
    """A thread that tells `sink` on `loop`; it needs nobody to wait for its end."""

    def __init__(
        self,
        access: Access,
        namespace: str,
        sink: Sink,
        clocks: Clocks,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._access = access
        self._namespace = namespace
        self._tell = _Teller(sink, loop)
        self._clocks = clocks
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._stopping = threading.Event()
        self._own: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._session: aiohttp.ClientSession | None = None
        self.lives = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Whether it is over by then."""
        self._stopping.set()
        if self._own is not None:
            loop, stop = self._own
            _post(loop, stop.set)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def beat(self, answer: Callable[[], None]) -> None:
        """Calls `answer` in the watching loop, if it turns; between two lives at once."""
        if self._own is None or not _post(self._own[0], answer):
            answer()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            self.lives += 1
            try:
                asyncio.run(self._live())
            except Exception as error:  # noqa: BLE001  # whatever ended it: the next life is the answer
                log.warning("watching_ended", why=repr(error))
            failures = 0 if time.monotonic() - began > _STEADY_S else failures + 1
            self._stopping.wait(_AGAIN_S[min(failures, len(_AGAIN_S)) - 1] if failures else 0)

    async def _live(self) -> None:
        stop = asyncio.Event()
        self._own = (asyncio.get_running_loop(), stop)
        try:
            if self._stopping.is_set() or not await self._definitions_are_there(stop):
                return
            await kopf.operator(
                registry=self._registry(),
                settings=_settings(),
                # Left to itself kopf asks for a user's name, which a pod's uid has not.
                identity=_IDENTITY,
                standalone=True,
                clusterwide=not self._namespace,
                namespaces=[self._namespace] if self._namespace else [],
                stop_flag=stop,
            )
        finally:
            self._own = None
            for resource in WATCHED:
                self._tell.unlisted(resource)
            await self._hang_up()

    async def _definitions_are_there(self, stop: asyncio.Event) -> bool:
        """Waits for them: a kind that is not served when kopf begins is never watched."""
        said = ""
        async with Cluster(self._access) as cluster:
            while not stop.is_set():
                try:
                    if await cluster.serves():
                        return True
                    why = "the API server has no CustomResourceDefinitions of stratops.dev"
                except Refused as refused:
                    why = str(refused)
                if why != said:
                    log.warning("waiting_for_definitions", why=why)
                    said = why
                for resource in WATCHED:
                    self._tell.reached(resource, why)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _DEFINITIONS_S)
        return False

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for resource in WATCHED:
            group, _, version = resource.api.rpartition("/")
            on_event = kopf.on.event(
                group=group, version=version, plural=resource.plural, registry=registry
            )
            on_event(self._handler(resource))
        return registry

    def _handler(self, resource: Resource) -> Callable[..., Any]:
        async def on_event(event: Mapping[str, Any], **_: Any) -> None:
            self._tell.reached(resource)
            if event["type"] is not None:  # else it was on a list, and is known from there
                gone = event["type"] == "DELETED"
                item = brought(resource, event["object"], self._clocks, deleted=gone)
                self._tell.took([item])

        return on_event

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        await self._hang_up()
        connector = aiohttp.TCPConnector(ssl=self._access.tls if self._access.tls else False)
        reader = _Reader(self._access, self._namespace, self._tell, self._clocks)
        self._session = aiohttp.ClientSession(
            connector=connector, middlewares=(reader,), trust_env=False
        )
        return kopf.AiohttpSession(server=self._access.server, aiohttp_session=self._session)

    async def _hang_up(self) -> None:
        """kopf does so only where it ends as it should."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(_LAST_WORDS_S)
        self._session = None


class _Reader:
    """Between kopf and the API server: shows the token, and reads the lists that pass."""

    def __init__(self, access: Access, namespace: str, tell: "_Teller", clocks: Clocks) -> None:
        self._access = access
        self._tell = tell
        self._clocks = clocks
        self._resources = {each.path(namespace): each for each in WATCHED}
        self._listing: dict[Resource, set[str]] = {}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(self._access.headers())
        response = await handler(request)
        resource = self._resources.get(request.url.path)
        if resource is not None:
            await self._read(resource, request.url.query, response)
        return response

    async def _read(
        self, resource: Resource, query: Mapping[str, str], response: aiohttp.ClientResponse
    ) -> None:
        if response.status != 200:
            self._tell.reached(resource, f"{response.status} {response.reason}")
            return
        self._tell.reached(resource)
        if "watch" not in query:
            page = msgspec.json.decode(await response.read())
            self._took(resource, page, first="continue" not in query)

    def _took(self, resource: Resource, page: Mapping[str, Any], *, first: bool) -> None:
        if first:
            self._listing[resource] = set()
        items = [brought(resource, each, self._clocks) for each in page["items"] or ()]
        self._listing[resource].update(each.uid for each in items)
        self._tell.took(items)
        if not page["metadata"].get("continue"):
            version = int(page["metadata"]["resourceVersion"])
            self._tell.listed(resource, self._listing.pop(resource), version)


class _Teller:
    """Carries what is found over to the loop of whoever wants to know."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self._sink = sink
        self._loop = loop

    def took(self, items: list[Brought]) -> None:
        _post(self._loop, self._sink.took, items)

    def listed(self, resource: Resource, uids: set[str], version: int) -> None:
        _post(self._loop, self._sink.listed, resource, uids, version)

    def unlisted(self, resource: Resource) -> None:
        _post(self._loop, self._sink.unlisted, resource)

    def reached(self, resource: Resource, refusal: str = "") -> None:
        _post(self._loop, self._sink.reached, resource, refusal)


def _post(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *words: object) -> bool:
    try:
        loop.call_soon_threadsafe(what, *words)
    except RuntimeError:  # the loop is closed: nobody wants to know any more
        return False
    return True


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # else it kills the process 10 minutes later
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.connect_timeout = _CONNECT_S
    settings.networking.error_backoffs = (0.5, 1, 2, 3)
    settings.watching.chunk_size = PAGE
    settings.watching.server_timeout = SERVER_S  # an int: the float that its type asks for is a 400
    settings.watching.connect_timeout = _CONNECT_S
    settings.watching.client_timeout = SERVER_S + 30.0
    settings.watching.label_selectors["v1", "pods"] = MANAGED_BY
    settings.queueing.idle_timeout = 0.5  # a task of its own for each object that long
    settings.queueing.exit_timeout = 0.1
    return settings
