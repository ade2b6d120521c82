"""Namespaces of a cluster that has our definitions and admission policies."""

from collections.abc import Iterator

import pytest

from cluster_driver import new_namespace
from crd_driver import Api
from dev_cluster.cluster import Cluster


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    """For asking what the API server would say; nothing is kept there."""
    api = Api(cluster, new_namespace(cluster))
    api.install()
    yield api
    cluster.kubectl("delete", "namespace", api.namespace, "--wait=false")


@pytest.fixture
def desk(api: Api, namespace: str) -> Api:
    """A namespace of the test's own."""
    return Api(api.cluster, namespace)
