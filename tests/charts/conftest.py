"""Images of this checkout on the test cluster, and namespaces that let restricted pods in only."""

from collections.abc import Iterator

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
def image_values(images: Images) -> list[str]:
    """For helm: the images that were loaded."""
    return ["--set", f"image.registry={REGISTRY},image.tag={images.tag},image.pullPolicy=Never"]


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[str]:
    """A namespace."""
    name = new_namespace(cluster, "chart")
    labels = [f"{_LEVEL}/{what}=restricted" for what in ("enforce", "warn")]
    cluster.kubectl("label", "namespace", name, *labels)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
