"""Desks on the test cluster, from the images of this checkout."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster_desk import ClusterDesk, Measured
from cluster_driver import MEASURED, new_namespace
from dev_cluster import component_images
from dev_cluster.cluster import Cluster
from dev_cluster.component_images import Images


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    built = component_images.build()
    cluster.load(built.archive)
    return built


@pytest.fixture(scope="session")
def _usual(cluster: Cluster, images: Images) -> Iterator[ClusterDesk]:
    with _installed(cluster, images, speed=5) as desk:
        yield desk


@pytest.fixture(scope="module")
def _busy(cluster: Cluster, images: Images) -> Iterator[ClusterDesk]:
    with _installed(cluster, images, speed=12) as desk:
        yield desk


@pytest.fixture(scope="module")
def _own(cluster: Cluster, images: Images) -> Iterator[ClusterDesk]:
    with _installed(cluster, images, speed=1) as desk:
        yield desk


@pytest.fixture
def desk(_usual: ClusterDesk) -> Iterator[ClusterDesk]:
    """The desk that most tests share, at five times the market's speed; empty."""
    yield _usual
    _usual.clear()


@pytest.fixture(scope="module")
def module_desk(_usual: ClusterDesk) -> Iterator[ClusterDesk]:
    """The same, for tests of one module that look at the same strategies."""
    yield _usual
    _usual.clear()


@pytest.fixture
def busy_desk(_busy: ClusterDesk) -> Iterator[ClusterDesk]:
    """About a thousand ticks a second; empty."""
    yield _busy
    _busy.clear()


@pytest.fixture
def own_desk(_own: ClusterDesk) -> Iterator[ClusterDesk]:
    """A module's own; empty."""
    yield _own
    _own.clear()


class _installed:  # noqa: N801  # reads as what it gives
    def __init__(self, cluster: Cluster, images: Images, speed: float) -> None:
        namespace = new_namespace(cluster, "desk")
        level = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", namespace, level)
        self.desk = ClusterDesk(cluster, namespace)
        self._values: dict[str, Any] = {
            "image": {
                "registry": component_images.REGISTRY, "tag": images.tag, "pullPolicy": "Never",
            },
            "demo": {"speed": speed},
            "crds": {"install": not _has_crds(cluster)},
        }  # fmt: skip

    def __enter__(self) -> ClusterDesk:
        self.desk.install(**self._values)
        return self.desk

    def __exit__(self, *_: object) -> None:
        self.desk.remove()


def _has_crds(cluster: Cluster) -> bool:
    found = cluster.kubectl("get", "crd", "strategies.stratops.dev", "--ignore-not-found")
    return bool(found.strip())


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    return lambda what, seconds: record_property(MEASURED, f"{what}: {seconds:.2f} s")
