"""From what the watches bring to the cache, and to the keys that have to be looked at.

It acts in one loop. A key is queued only if what is kept of an object has changed, so that a list
of what is known already asks for nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from strategy_operator import names
from strategy_operator.cache import Cache, Entry, Store
from strategy_operator.cluster import (
    CONFIG_MAP,
    POD,
    POLICY,
    REVISION,
    STRATEGY,
    Cluster,
    No,
    Refused,
    Resource,
)
from strategy_operator.objects import Brought, Clocks, StrategyObject, brought
from strategy_operator.queue import Key
from strategy_operator.sources import Sources

KINDS = (STRATEGY, POLICY, POD, REVISION, CONFIG_MAP)
DESK_NAMES = (names.DESK, names.GATEWAY_CA)
_SWEEP_AGAIN_S = 1.0

log = structlog.get_logger()


class Intake:
    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        clocks: Clocks,
        sources: Sources,
        queue: Callable[[Key], None],
        desk_changed: Callable[[str], None],
    ) -> None:
        """`queue` is told of keys, `desk_changed` of namespaces."""
        self._cache = cache
        self._cluster = cluster
        self._clocks = clocks
        self._queue = queue
        self._desk_changed = desk_changed
        self._sources = sources
        self._listed: set[Resource] = set()
        self._sweeps: set[asyncio.Task[None]] = set()
        self.reached_at: dict[Resource, float] = {}
        self.refusals: dict[Resource, str] = {}
        self._stores: dict[Resource, Store[Any]] = {
            STRATEGY: cache.strategies,
            POLICY: cache.policies,
            POD: cache.pods,
            REVISION: cache.revisions,
            CONFIG_MAP: cache.config_maps,
        }

    @property
    def complete(self) -> bool:
        """Whether every kind is listed."""
        return len(self._listed) == len(KINDS)

    @property
    def missing(self) -> str:
        """Kinds that are not listed, and why."""
        return ", ".join(
            f"{each.plural}: {self.refusals.get(each) or 'not listed yet'}"
            for each in KINDS
            if each not in self._listed
        )

    # ---- What the watches say

    def took(self, items: Sequence[Brought]) -> None:
        for item in items:
            if not item.deleted:
                self._put(item)
            elif item.resource == POD and not item.value.pod.deleting:
                # It may only have lost the label by which it is watched.
                self._sweep(POD, [(item.key, Entry(item.uid, item.version, item.value))])
            else:
                self._remove(item.resource, item.key, item.uid, item.version)

    def listed(self, resource: Resource, uids: set[str], version: int) -> None:
        missing = self._stores[resource].missing(uids, version)
        self._sweep(resource, missing)
        if resource not in self._listed:
            self._listed.add(resource)
            log.info("listed", kind=resource.plural, objects=len(uids))
            if self.complete:
                self._queue_all(self._cache.strategies.items())

    def unlisted(self, resource: Resource) -> None:
        self._listed.discard(resource)

    def reached(self, resource: Resource, refusal: str = "") -> None:
        if refusal:
            self.refusals[resource] = refusal
            return
        self.reached_at[resource] = time.monotonic()
        self.refusals.pop(resource, None)

    # ---- What our own writes were answered with

    def wrote(self, resource: Resource, answer: dict[str, Any]) -> None:
        self.took([brought(resource, answer, self._clocks)])

    def deleted(self, resource: Resource, key: Key, uid: str, version: int) -> None:
        self._remove(resource, key, uid, version)

    # ---- How

    def _put(self, item: Brought) -> None:
        if item.resource == CONFIG_MAP and not self._is_kept(item):
            return
        before = self._stores[item.resource].get(item.key)
        news = self._stores[item.resource].put(item.key, item.uid, item.version, item.value)
        if item.resource == STRATEGY and news:
            self._depend(item.key, before.value if before else None, item.value)
        if item.resource == CONFIG_MAP:  # what is kept of it does not show that its data changed
            news = before is None or before.version != item.version or news
        if news:
            self._affected(item.resource, item.key, item.value)
            if before is not None:  # it may have had another parent
                self._affected(item.resource, item.key, before.value)

    def _is_kept(self, item: Brought) -> bool:
        of_desk = item.key[1] in DESK_NAMES
        is_code = any(self._sources.dependents(item.key))
        return of_desk or is_code or bool(item.value.strategy)

    def _remove(self, resource: Resource, key: Key, uid: str, version: int) -> None:
        value = self._stores[resource].remove(key, uid, version)
        if value is None:
            return
        if resource == STRATEGY:
            self._depend(key, value, None)
        self._affected(resource, key, value)

    def _affected(self, resource: Resource, key: Key, value: Any) -> None:
        if resource == STRATEGY:
            self._queue(key)
        elif resource == POLICY:
            self._queue_all(self._cache.strategies.items(key[0]))
        else:
            self._children_changed(resource, key, value.strategy)

    def _children_changed(self, resource: Resource, key: Key, strategy: str) -> None:
        if strategy:
            self._queue((key[0], strategy))
        if resource == CONFIG_MAP:
            for dependent in self._sources.dependents(key):
                self._queue(dependent)
            if key[1] in DESK_NAMES:
                self._desk_changed(key[0])

    def _queue_all(self, strategies: Iterable[tuple[Key, Entry[StrategyObject]]]) -> None:
        for key, _ in strategies:
            self._queue(key)

    def _depend(self, key: Key, before: StrategyObject | None, now: StrategyObject | None) -> None:
        old, new = before.source if before else "", now.source if now else ""
        self._sources.depend(key, old, new)

    # ---- ConfigMaps with code, for Sources

    def known(self, key: Key) -> Entry[Any] | None:
        return self._cache.config_maps.get(key)

    async def fetched(self, key: Key) -> dict[str, Any] | None:
        try:
            found = await self._cluster.get(CONFIG_MAP, *key)
        except Refused as refused:
            if refused.no is No.NOT_FOUND:
                return None
            raise
        self.wrote(CONFIG_MAP, found)
        return found

    # ---- What a list did not have

    def _sweep(self, resource: Resource, missing: list[tuple[Key, Entry[Any]]]) -> None:
        if missing:
            task = asyncio.get_running_loop().create_task(self._ask_for(resource, missing))
            self._sweeps.add(task)
            task.add_done_callback(self._sweeps.discard)

    async def _ask_for(self, resource: Resource, missing: list[tuple[Key, Entry[Any]]]) -> None:
        """Each by name: it may only have come after the list, or lost the label of the watch."""
        for key, entry in missing:
            while not await self._is_settled(resource, key, entry):
                pass

    async def _is_settled(self, resource: Resource, key: Key, entry: Entry[Any]) -> bool:
        try:
            found = await self._cluster.get(resource, *key)
        except Refused as refused:
            if refused.no is not No.NOT_FOUND:
                await asyncio.sleep(_SWEEP_AGAIN_S)
                return not refused.no.passing
            self._remove(resource, key, entry.uid, entry.version)
            return True
        if found["metadata"]["uid"] != entry.uid:
            self._remove(resource, key, entry.uid, entry.version)
        self.wrote(resource, found)
        return True
