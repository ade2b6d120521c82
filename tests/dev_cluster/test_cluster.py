"""What every test on a cluster relies on."""

import json

import pytest

from dev_cluster.cluster import Cluster

pytestmark = pytest.mark.cluster


def test_the_node_is_ready(cluster: Cluster) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    conditions = {one["type"]: one["status"] for one in nodes[0]["status"]["conditions"]}
    assert conditions["Ready"] == "True"


def test_a_namespace_is_there_and_empty(cluster: Cluster, namespace: str) -> None:
    assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name") == ""
