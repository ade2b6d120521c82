"""Images of this checkout on the test cluster, and namespaces that let restricted pods in only."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster_driver import new_namespace
from dev_cluster import component_images
from dev_cluster.cluster import Cluster
from dev_cluster.component_images import REGISTRY, Images

_LEVEL = "pod-security.kubernetes.io"


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    built = component_images.build()
    cluster.load(built.archive)
    return built


@pytest.fixture(scope="session")
def image(images: Images) -> dict[str, Any]:
    """The chart's value of that name: the images that were loaded."""
    return {"registry": REGISTRY, "tag": images.tag, "pullPolicy": "Never"}


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[str]:
    """A namespace."""
    name = new_restricted(cluster, "chart")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def other_restricted(cluster: Cluster) -> Iterator[str]:
    """Another one."""
    name = new_restricted(cluster, "other")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def new_restricted(cluster: Cluster, prefix: str) -> str:
    name = new_namespace(cluster, prefix)
    labels = [f"{_LEVEL}/{what}=restricted" for what in ("enforce", "warn")]
    cluster.kubectl("label", "namespace", name, *labels)
    return name
