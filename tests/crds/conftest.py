"""A namespace of a cluster that has our definitions and admission policies."""

from typing import Any

import pytest

from crd_driver import Api


@pytest.fixture(scope="session")
def defined(cluster: Any) -> None:
    Api(cluster.kubeconfig, "default").install()


@pytest.fixture
def api(cluster: Any, namespace: str, defined: None) -> Api:
    return Api(cluster.kubeconfig, namespace)
