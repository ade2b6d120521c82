"""The API server goes away and comes back: trading goes on, and nothing that happened is missed."""

import json

import pytest

from cluster_desk import ClusterDesk, decided, every_tick, strategy, until
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster
from dev_cluster.components import Component

pytestmark = pytest.mark.cluster


@pytest.fixture
def breakable(cluster: Cluster) -> BuiltCluster:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("another cluster's daemons cannot be killed from here")
    return cluster


@pytest.mark.parametrize("component", [Component.API_SERVER, Component.KUBELET])
def test_trading_goes_on_while_a_daemon_restarts(
    desk: ClusterDesk, breakable: BuiltCluster, component: Component
) -> None:
    name = f"over-{component.replace('kube-', '')}"
    desk.apply(every_tick(name))
    before = desk.until_ready(name)
    count = len(decided(desk, name))
    breakable.kill(component)
    breakable.wait_until_ready()
    until(lambda: len(decided(desk, name)) > count, "it decided on")
    assert desk.until_ready(name)["epoch"] == before["epoch"]
    assert _each_once(desk, name)


def test_a_deletion_during_an_outage_is_noticed(desk: ClusterDesk, breakable: BuiltCluster) -> None:
    """A relist says nothing of what was deleted: the operator has to find out."""
    desk.apply(*(strategy(f"swept-{each}") for each in "abc"))
    for each in "abc":
        desk.until_ready(f"swept-{each}")
    maps = [f"swept-{each}-{desk.status(f'swept-{each}')['revision']}" for each in "abc"]
    uids = [_uid(desk, name) for name in maps]
    desk.kubectl("delete", "configmap", *maps, "--wait=false")
    breakable.kill(Component.API_SERVER)
    breakable.wait_until_ready()

    def back() -> bool:
        found = [desk.get("configmap", name) for name in maps]
        return all(found) and not {_uid(desk, name) for name in maps} & set(uids)

    until(back, "the ConfigMaps are back", within_s=90)


def _uid(desk: ClusterDesk, name: str) -> str:
    return str(json.loads(desk.kubectl("get", "configmap", name, "-o", "json"))["metadata"]["uid"])


def _each_once(desk: ClusterDesk, name: str) -> bool:
    sequences = [each[0] for each in decided(desk, name)]
    return len(sequences) == len(set(sequences))
