"""Watching a real API server: what changes is noticed, and what goes while nobody looks as well."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cable import Cable
from cluster_driver import new_namespace, wait_for
from crd_driver import CRDS, SMALLEST, strategy
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster, KubectlFailed
from dev_cluster.components import Component
from operator_driver import account
from strategy_operator.access import Access, from_kubeconfig
from strategy_operator.cache import Cache
from strategy_operator.cluster import CONFIG_MAP, POD, POLICY, REVISION, STRATEGY
from strategy_operator.cluster import Cluster as ApiServer
from strategy_operator.intake import Intake
from strategy_operator.metadata_watch import MetadataWatch
from strategy_operator.objects import Clocks
from strategy_operator.queue import Key
from strategy_operator.sources import Sources
from strategy_operator.watching import Watching

pytestmark = pytest.mark.cluster

LABELS = {"app.kubernetes.io/managed-by": "stratops-operator", "stratops.dev/strategy": "probe"}
CHILDREN = (POD, REVISION, CONFIG_MAP)
REVISION_SPEC = {
    "strategy": "probe",
    "revision": "0123456789",
    "hash": "0" * 64,
    "codeDigest": "0" * 64,
    "stateKey": "0" * 64,
    "content": "{}",
    "runner": "{}",
}


@dataclass
class Seen:
    """A cache that is kept up to date, and the keys that were queued."""

    cache: Cache
    intake: Intake
    keys: list[Key] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        stores = {
            STRATEGY: self.cache.strategies,
            POLICY: self.cache.policies,
            POD: self.cache.pods,
            REVISION: self.cache.revisions,
            CONFIG_MAP: self.cache.config_maps,
        }
        return {resource.plural: len(store) for resource, store in stores.items()}  # type: ignore[arg-type]  # of any value


@asynccontextmanager
async def watching(access: Access, namespace: str) -> AsyncIterator[Seen]:
    cache, clocks, keys = Cache(), Clocks(), list[Key]()
    async with ApiServer(access) as server:
        intake = Intake(cache, server, clocks, Sources(), keys.append, lambda _: None)
        loop = asyncio.get_running_loop()
        kopf = Watching(access, namespace, intake, clocks, loop)
        kopf.start()
        tasks = [
            loop.create_task(MetadataWatch(server, kind, namespace, intake, clocks).run())
            for kind in (REVISION, CONFIG_MAP)
        ]
        try:
            yield Seen(cache, intake, keys)
        finally:
            await asyncio.to_thread(kopf.stop, 20.0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.2)  # for TLS to take its leave


async def until(fact: Callable[[], bool], within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def children(cluster: Cluster, namespace: str) -> None:
    """One of each kind, without an owner: the garbage collector has no say in it."""
    metadata = {"name": "child", "labels": LABELS}
    container = {"name": "runner", "image": "localhost/pause:1", "imagePullPolicy": "Never"}
    pod_spec = {"containers": [container], "nodeName": "nowhere"}
    items = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}},
        {
            "apiVersion": "stratops.dev/v1alpha1",
            "kind": "StrategyRevision",
            "metadata": metadata,
            "spec": REVISION_SPEC,
        },
        strategy(SMALLEST),
        {
            "apiVersion": "stratops.dev/v1alpha1",
            "kind": "RiskPolicy",
            "metadata": {"name": "calm"},
            "spec": {},
        },
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    wait_for(lambda: _created(cluster, namespace, document))


def _created(cluster: Cluster, namespace: str, document: str) -> bool:
    """An admission policy whose parameters' kind is too new refuses for a moment."""
    try:
        cluster.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=document)
    except KubectlFailed as failed:
        if "failed to find resource" not in str(failed):
            raise
        return False
    return True


def remove(cluster: Cluster, namespace: str) -> None:
    kinds = "strategies,riskpolicies,strategyrevisions,configmaps,pods"
    cluster.kubectl("delete", kinds, "--all", "-n", namespace, "--grace-period=0", "--force")


ALL = {"strategies": 1, "riskpolicies": 1, "pods": 1, "strategyrevisions": 1, "configmaps": 1}
NONE = dict.fromkeys(ALL, 0)


async def test_what_comes_and_goes_is_noticed(
    defined: Cluster, namespace: str, access: Access
) -> None:
    async with watching(access, namespace) as seen:
        await until(lambda: seen.intake.complete)
        await asyncio.to_thread(children, defined, namespace)
        await until(lambda: seen.counts == ALL)
        assert set(seen.keys) == {(namespace, "probe")}
        await asyncio.to_thread(remove, defined, namespace)
        await until(lambda: seen.counts == NONE)


async def test_what_was_there_before_is_listed(
    defined: Cluster, namespace: str, access: Access
) -> None:
    await asyncio.to_thread(children, defined, namespace)
    async with watching(access, namespace) as seen:
        await until(lambda: seen.intake.complete)
        assert seen.counts == ALL


async def test_a_pod_that_lost_its_label_is_not_gone(
    defined: Cluster, namespace: str, access: Access
) -> None:
    """A watch by label tells of it as of a deletion."""
    await asyncio.to_thread(children, defined, namespace)
    label = "app.kubernetes.io/managed-by"
    async with watching(access, namespace) as seen:
        await until(lambda: seen.intake.complete)

        def labelled() -> bool:
            entry = seen.cache.pods.get((namespace, "child"))
            return entry is not None and label in entry.value.pod.labels

        assert labelled()
        defined.kubectl("label", "pod", "child", f"{label}-", "-n", namespace)
        await until(lambda: not labelled())
        assert seen.counts == ALL
        defined.kubectl("label", "pod", "child", f"{label}=stratops-operator", "-n", namespace)
        await until(labelled)


async def test_all_namespaces_are_watched_by_one_operator(
    defined: Cluster, namespace: str, access: Access
) -> None:
    other = await asyncio.to_thread(new_namespace, defined)
    for each in (namespace, other):
        await asyncio.to_thread(children, defined, each)
    async with watching(access, "") as seen:
        await until(lambda: seen.intake.complete)
        found = {key[0] for key, _ in seen.cache.pods.items()}
        assert found >= {namespace, other}
        assert len(seen.cache.revisions.children((other, "probe"))) == 1
        await asyncio.to_thread(remove, defined, other)
        await until(lambda: other not in {key[0] for key, _ in seen.cache.pods.items()})
    defined.kubectl("delete", "namespace", other, "--wait=false")


async def test_objects_of_others_are_not_kept(
    defined: Cluster, namespace: str, access: Access
) -> None:
    defined.kubectl("create", "configmap", "theirs", "-n", namespace)
    async with watching(access, namespace) as seen:
        await until(lambda: seen.intake.complete)
        assert seen.counts == NONE


async def test_a_kind_that_may_not_be_listed_is_named_until_it_may(
    defined: Cluster, namespace: str, tmp_path: Path
) -> None:
    allowed = [
        _right("stratops.dev", "strategies", "riskpolicies", "strategyrevisions"),
        _right("", "configmaps"),
    ]
    kubeconfig = account(defined, namespace, tmp_path, allowed)
    async with watching(from_kubeconfig(kubeconfig), namespace) as seen:
        await until(lambda: seen.intake.missing == "pods: 403 Forbidden")
        await asyncio.to_thread(
            account, defined, namespace, tmp_path, [*allowed, _right("", "pods")]
        )
        await until(lambda: seen.intake.complete)


def _right(group: str, *resources: str) -> dict[str, list[str]]:
    verbs = ["get", "list", "watch"]
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs}


# ---- On a cluster whose API server may be killed


@asynccontextmanager
async def by_cable(cluster: Cluster) -> AsyncIterator[tuple[Access, Cable]]:
    access = from_kubeconfig(cluster.kubeconfig)
    far = urlsplit(access.server)
    cable = Cable(str(far.hostname), far.port or 443)
    await cable.plug_in()
    assert access.tls is not None
    access.tls.check_hostname = False  # the certificate is the far end's
    access.tls.verify_mode = ssl.CERT_NONE
    try:
        yield replace(access, server=f"https://127.0.0.1:{cable.port}"), cable
    finally:
        await cable.pull_out()


async def test_definitions_are_waited_for(own_cluster: BuiltCluster) -> None:
    """Runs first in this module: nobody has defined anything on this cluster yet."""
    namespace = await asyncio.to_thread(new_namespace, own_cluster)
    async with watching(from_kubeconfig(own_cluster.kubeconfig), namespace) as seen:
        await until(lambda: "no CustomResourceDefinitions" in seen.intake.missing)
        await asyncio.to_thread(own_cluster.kubectl, "apply", "--server-side", "-f", str(CRDS))
        await until(lambda: seen.intake.complete)


async def test_what_went_while_nobody_could_look_is_noticed(own_cluster: BuiltCluster) -> None:
    """The API server forgets meanwhile what happened, so that only a list can tell."""
    namespace = await asyncio.to_thread(new_namespace, own_cluster)
    async with by_cable(own_cluster) as (access, cable), watching(access, namespace) as seen:
        await asyncio.to_thread(children, own_cluster, namespace)
        await until(lambda: seen.counts == ALL)
        await cable.pull_out()
        await asyncio.to_thread(remove, own_cluster, namespace)
        await asyncio.to_thread(own_cluster.kill, Component.API_SERVER)
        await asyncio.to_thread(own_cluster.wait_until_ready)
        await cable.plug_in()
        await until(lambda: seen.counts == NONE)


async def test_a_cut_that_is_short_loses_nothing(own_cluster: BuiltCluster) -> None:
    namespace = await asyncio.to_thread(new_namespace, own_cluster)
    async with by_cable(own_cluster) as (access, cable), watching(access, namespace) as seen:
        await until(lambda: seen.intake.complete)
        await cable.pull_out()
        await asyncio.to_thread(children, own_cluster, namespace)
        await cable.plug_in()
        await until(lambda: seen.counts == ALL)
        await cable.pull_out()
        await asyncio.to_thread(remove, own_cluster, namespace)
        await cable.plug_in()
        await until(lambda: seen.counts == NONE)
