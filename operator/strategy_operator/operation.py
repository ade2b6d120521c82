"""An operator at work: all its parts, wired once, and what they ask of one another.

Whoever leads looks at strategies and asks gateways; everybody watches, and is ready to lead.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus

from strategy_operator import names
from strategy_operator.cache import Cache
from strategy_operator.cluster import CONFIG_MAP, REVISION, STRATEGY, Cluster, No, Refused
from strategy_operator.deeds import Deeds
from strategy_operator.desks import Desks
from strategy_operator.events import Events
from strategy_operator.gateways import Ties
from strategy_operator.intake import Intake
from strategy_operator.lease import Leadership
from strategy_operator.metadata_watch import MetadataWatch
from strategy_operator.metrics import Counts, Levels, OperatorCollector, exposition
from strategy_operator.objects import Clocks
from strategy_operator.observer import Observer, Runners
from strategy_operator.pulse import BEAT, Pulse
from strategy_operator.queue import Key, Keys
from strategy_operator.reconcile import reconcile
from strategy_operator.series import Labels
from strategy_operator.settings import Settings
from strategy_operator.slots import Slots
from strategy_operator.sources import Sources
from strategy_operator.tokens import Tokens
from strategy_operator.watching import Watching
from strategy_operator.worker import Parts, Reconcile, Worker
from stratops_process.pages import Answer, Headers, Page, standard

_RELEASE_S = 0.5
_STOP_S = 0.2
_CALL_S = 1.0


class Operator:
    def __init__(
        self, settings: Settings, cluster: Cluster, apart: Cluster, decide: Reconcile = reconcile
    ) -> None:
        """`apart` is a way to the API server that nothing else is on."""
        self._settings = settings
        self._cluster = cluster
        self._cache = Cache()
        self._keys = Keys()
        self._counts = Counts()
        self._pulse = Pulse(self._counts)
        self._sources = Sources()
        self._slots = Slots(settings.max_starting, settings.max_handovers)
        self._leadership = Leadership(apart, settings.namespace, settings.identity)
        clocks = Clocks()
        self._intake = Intake(
            self._cache, cluster, clocks, self._sources, self._keys.add, self._desk_changed
        )
        ties = Ties(self._keys, self._strategies, self._orphaned)
        self._desks = Desks(
            self._intake,
            ties,
            Tokens(settings.gateway_token, cluster, settings.namespace),
            settings.identity,
            plain=settings.plain_gateways,
        )
        self._events = Events(cluster, self._counts, settings.identity)
        self._worker = Worker(self._parts(), self._keys, decide, self._may_act, self._pulse.felt)
        self._watching = Watching(
            cluster.access,
            settings.watched_namespace,
            self._intake,
            clocks,
            asyncio.get_running_loop(),
        )
        self._metadata = [
            MetadataWatch(cluster, resource, settings.watched_namespace, self._intake, clocks)
            for resource in (REVISION, CONFIG_MAP)
        ]

    def _parts(self) -> Parts:
        runners = Runners(self._settings.runner_image, self._settings.pull_policy)
        return Parts(
            self._cache,
            Observer(
                self._cache,
                self._cluster,
                (self._sources, self._intake),
                self._desks,
                runners,
                lambda: self._intake.complete,
            ),
            Deeds(self._cluster, self._cache, self._intake, self._desks, self._counts),
            self._events,
            self._slots,
            self._counts,
        )

    # ---- Its life

    async def run(self, stop: asyncio.Event) -> None:
        """Until it is asked to end. Raises what nobody expected."""
        self._watching.start()
        running = asyncio.create_task(self._run())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RELEASE_S):
                    await self._leadership.release()
            stopping.cancel()
            self._watching.stop(_STOP_S)
            running.cancel()
            await asyncio.wait({running}, timeout=_STOP_S)
        if running.done() and not running.cancelled():
            running.result()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for each in self._metadata:
                group.create_task(each.run())
            group.create_task(self._leadership.run())
            group.create_task(self._events.run())
            group.create_task(self._pulse.send(self._watching, self._beat))
            group.create_task(self._pulse.watch_the_loop())
            group.create_task(self._lead())

    async def _lead(self) -> None:
        while True:
            await self._leadership.gained()
            leading = asyncio.create_task(self._act())
            losing = asyncio.create_task(self._leadership.lost())
            await asyncio.wait({leading, losing}, return_when=asyncio.FIRST_COMPLETED)
            losing.cancel()
            leading.cancel()
            await asyncio.wait({leading})
            if not leading.cancelled():
                leading.result()

    async def _act(self) -> None:
        for key in self._strategies():
            self._keys.add(key)
        async with asyncio.TaskGroup() as group:
            # First: it knows which desks are to be read before the worker looks at a strategy.
            group.create_task(self._desks.run(self._desk_namespaces()))
            group.create_task(self._worker.run())
            group.create_task(self._call_waiting())

    async def _call_waiting(self) -> None:
        """A place becomes free by time alone, too."""
        while True:
            await asyncio.sleep(_CALL_S)
            self._worker.call_waiting()

    # ---- What its parts ask of one another

    def _may_act(self) -> bool:
        return self._leadership.leading

    def _strategies(self, namespace: str = "") -> list[Key]:
        return [key for key, _ in self._cache.strategies.items(namespace)]

    def _desk_namespaces(self) -> Iterable[str]:
        return {key[0] for key, _ in self._cache.config_maps.items() if key[1] == names.DESK}

    def _desk_changed(self, namespace: str) -> None:
        self._desks.changed(namespace)

    async def _orphaned(self, key: Key) -> bool:
        if not self._intake.complete or self._cache.strategies.get(key) is not None:
            return False
        try:
            await self._cluster.get(STRATEGY, *key)
        except Refused as refused:
            return refused.no is No.NOT_FOUND
        return False

    def _beat(self) -> None:
        if self._leadership.leading:
            self._keys.add(BEAT)
        else:
            self._pulse.felt()

    # ---- What it shows

    def pages(self) -> dict[str, Page]:
        collector = OperatorCollector(self._counts, self._levels)
        return {**standard(self._missing, lambda: exposition(collector)), "/health": self._health}

    def _health(self, _: Headers) -> Answer:
        lost = self._pulse.lost
        if lost:
            return Answer(f"{lost}\n".encode(), HTTPStatus.SERVICE_UNAVAILABLE)
        return Answer(b"ok\n")

    def _missing(self) -> str:
        lease = "" if self._leadership.known else "Lease: not read yet"
        return ", ".join(each for each in (lease, self._intake.missing) if each)

    def _levels(self) -> Levels:
        now = time.monotonic()
        return Levels(
            leader=self._leadership.leading,
            queued=self._keys.depth,
            waiting=self._slots.waiting,
            watching_lives=self._watching.lives,
            watch_age_s={kind.plural: now - at for kind, at in self._intake.reached_at.items()},
            desks=self._desks.reachable,
            strategies=self._info(),
            not_ready=self._not_ready(),
        )

    def _info(self) -> Iterator[Labels]:
        for key, entry in self._cache.strategies.items():
            yield (key[0], "/".join(key), entry.value.mode, entry.value.revision)

    def _not_ready(self) -> Iterator[Labels]:
        for key, entry in self._cache.strategies.items():
            if entry.value.not_ready:
                yield (key[0], "/".join(key), entry.value.not_ready)
