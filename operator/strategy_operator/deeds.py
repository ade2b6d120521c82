"""How each action is done: one request, whose answer the cache then knows."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from strategy_operator import names
from strategy_operator.actions import (
    Action,
    AddFinalizer,
    CreateConfigMap,
    CreatePod,
    CreateRevision,
    DeleteConfigMap,
    DeletePod,
    DeleteRevision,
    Deploy,
    MendPod,
    RemoveFinalizer,
    Withdraw,
)
from strategy_operator.cache import Cache, Store
from strategy_operator.cluster import CONFIG_MAP, POD, REVISION, STRATEGY, Cluster, Resource
from strategy_operator.desks import Desks
from strategy_operator.intake import Intake
from strategy_operator.metrics import Counts
from strategy_operator.queue import Key


class Deeds:
    def __init__(
        self, cluster: Cluster, cache: Cache, intake: Intake, desks: Desks, counts: Counts
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._intake = intake
        self._desks = desks
        self._counts = counts

    async def write_status(self, manifest: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Over the one that was seen: Conflict when the object has changed since."""
        there = manifest["metadata"]
        metadata = {name: there[name] for name in ("name", "namespace", "uid", "resourceVersion")}
        body = {"metadata": metadata, "status": status}
        self._took(STRATEGY, "patch", await self._cluster.apply(STRATEGY, body, "status"))

    async def do(self, key: Key, action: Action) -> None:
        """Raises Refused, GatewayUnavailable, GatewayRefused."""
        await _DEEDS[type(action)](self, key, action)

    # ---- At the API server

    async def add_finalizer(self, key: Key, _: AddFinalizer) -> None:
        await self._finalize(key, lambda there: [*there, names.FINALIZER])

    async def remove_finalizer(self, key: Key, _: RemoveFinalizer) -> None:
        await self._finalize(key, lambda there: [each for each in there if each != names.FINALIZER])

    async def _finalize(self, key: Key, changed: Callable[[list[str]], list[str]]) -> None:
        entry = self._cache.strategies.get(key)
        if entry is None:
            return
        there = entry.value.manifest()["metadata"]
        before = list(there.get("finalizers") or ())
        if changed(before) == before:
            return
        metadata = {
            "uid": there["uid"],
            "resourceVersion": there["resourceVersion"],
            "finalizers": changed(before),
        }
        answer = await self._cluster.merge(STRATEGY, *key, {"metadata": metadata}, urgent=True)
        self._took(STRATEGY, "patch", answer)

    async def create_revision(self, _: Key, action: CreateRevision) -> None:
        self._took(REVISION, "create", await self._cluster.create(REVISION, action.manifest))

    async def create_config_map(self, _: Key, action: CreateConfigMap) -> None:
        self._took(CONFIG_MAP, "create", await self._cluster.create(CONFIG_MAP, action.manifest))

    async def create_pod(self, _: Key, action: CreatePod) -> None:
        self._took(POD, "create", await self._cluster.create(POD, action.manifest))

    async def mend_pod(self, key: Key, action: MendPod) -> None:
        metadata = {
            "name": action.name,
            "namespace": key[0],
            "uid": action.uid,
            "labels": dict(action.labels),
        }
        self._took(POD, "patch", await self._cluster.apply(POD, {"metadata": metadata}))

    async def delete_revision(self, key: Key, action: DeleteRevision) -> None:
        await self._delete(REVISION, self._cache.revisions, (key[0], action.name))

    async def delete_config_map(self, key: Key, action: DeleteConfigMap) -> None:
        await self._delete(CONFIG_MAP, self._cache.config_maps, (key[0], action.name))

    async def delete_pod(self, key: Key, action: DeletePod) -> None:
        await self._delete(POD, self._cache.pods, (key[0], action.name), action.uid)

    async def _delete(self, resource: Resource, store: Store[Any], key: Key, uid: str = "") -> None:
        entry = store.get(key)
        uid = uid or (entry.uid if entry else "")
        if not uid:
            return  # it is gone
        left = await self._cluster.delete(resource, *key, uid)
        self._counts.wrote(resource.kind, "delete")
        if left is not None and left["metadata"].get("deletionTimestamp"):
            self._intake.wrote(resource, left)
        else:
            self._intake.deleted(resource, key, uid, entry.version if entry else 0)

    def _took(self, resource: Resource, verb: str, answer: dict[str, Any]) -> None:
        self._counts.wrote(resource.kind, verb)
        self._intake.wrote(resource, answer)

    # ---- At the gateway

    async def deploy(self, key: Key, action: Deploy) -> None:
        gateway = self._desks.gateway(key[0])
        await gateway.deploy(key[1], action.revision, action.content, action.pods)

    async def withdraw(self, key: Key, action: Withdraw) -> None:
        gateway = self._desks.gateway(key[0])
        await gateway.withdraw(key[1], action.reason, flatten=action.flatten)


_DEEDS: Mapping[type, Callable[[Deeds, Key, Any], Awaitable[None]]] = {
    AddFinalizer: Deeds.add_finalizer,
    RemoveFinalizer: Deeds.remove_finalizer,
    CreateRevision: Deeds.create_revision,
    DeleteRevision: Deeds.delete_revision,
    CreateConfigMap: Deeds.create_config_map,
    DeleteConfigMap: Deeds.delete_config_map,
    CreatePod: Deeds.create_pod,
    MendPod: Deeds.mend_pod,
    DeletePod: Deeds.delete_pod,
    Deploy: Deeds.deploy,
    Withdraw: Deeds.withdraw,
}
