"""Gathers what `reconcile` is shown of one strategy: from the cache, its ConfigMap, its gateway."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from strategy_operator.archive import Archive
from strategy_operator.cache import Cache
from strategy_operator.cluster import REVISION, Cluster, Refused
from strategy_operator.observed import Desk, GatewayView, Observed, Obstacle, StoredRevision
from strategy_operator.queue import Key
from strategy_operator.sources import Shelf, Sources


class Desks(Protocol):
    def known(self, namespace: str) -> bool: ...

    def desk(self, namespace: str) -> Desk | None: ...

    def view(self, key: Key) -> tuple[GatewayView | None, float | None]: ...


@dataclass(frozen=True, slots=True)
class Runners:
    """Of pods that name no image."""

    image: str
    pull_policy: str


class Observer:
    def __init__(
        self,
        cache: Cache,
        cluster: Cluster,
        sources: tuple[Sources, Shelf],
        desks: Desks,
        runners: Runners,
        complete: Callable[[], bool],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._sources, self._shelf = sources
        self._desks = desks
        self._runners = runners
        self._complete = complete
        self._archive = Archive()

    async def sources(self, key: Key) -> Mapping[str, Mapping[str, str]]:
        """The ConfigMap that the strategy names, by its name. Raises Refused to be asked again."""
        entry = self._cache.strategies.get(key)
        name = entry.value.source if entry else ""
        if not name:
            return {}
        try:
            data = await self._sources.read((key[0], name), self._shelf)
        except Refused as refused:
            if refused.no.passing:
                raise
            data = None  # we may not read it: for the strategy it is not there
        return {} if data is None else {name: data}

    def observe(
        self,
        key: Key,
        sources: Mapping[str, Mapping[str, str]],
        obstacles: tuple[Obstacle, ...],
    ) -> Observed | None:
        """At this moment; None: there is no such strategy."""
        entry = self._cache.strategies.get(key)
        if entry is None:
            return None
        view, lost_at = self._desks.view(key)
        policies = (each.value for _, each in self._cache.policies.items(key[0]))
        maps = self._cache.config_maps.children(key)
        return Observed(
            strategy=entry.value.manifest(),
            now=time.monotonic(),
            now_text=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            runner_image=self._runners.image,
            pull_policy=self._runners.pull_policy,
            desk=self._desks.desk(key[0]),
            sources=sources,
            policies={policy.name: policy for policy in policies},
            revisions=self._revisions(key),
            config_maps={name: child.owner_uid for name, child in maps.items()},
            pods=tuple(each.pod for each in self._cache.pods.children(key).values()),
            gateway=view,
            gateway_lost_at=lost_at,
            obstacles=obstacles,
            complete=self._complete() and self._desks.known(key[0]),
        )

    def _revisions(self, key: Key) -> tuple[StoredRevision, ...]:
        found = []
        for name, child in self._cache.revisions.children(key).items():
            entry = self._cache.revisions.get((key[0], name))
            if entry is not None:
                found.append(self._archive.revision(entry.uid, child))
        return tuple(found)

    async def read_revision(self, key: Key, revision: str) -> None:
        """So that what is in it can be shown. Raises Refused."""
        name = f"{key[1]}-{revision}"
        self._archive.keep(await self._cluster.get(REVISION, key[0], name))
