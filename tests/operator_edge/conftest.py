"""A cluster with our definitions, and operators as processes outside of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog

from crd_driver import Api
from dev_cluster.cluster import Cluster
from operator_driver import OperatorProcess, environment_of
from strategy_operator.access import Access, from_kubeconfig
from strategy_operator.cluster import Cluster as ApiServer


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """The usual ones draw each traceback, which takes a turn of the loop too long."""
    structlog.configure(processors=[structlog.processors.JSONRenderer(default=str)])


@pytest.fixture(scope="module")
def defined(cluster: Cluster) -> Cluster:
    """The cluster of this run, with our definitions in force, whatever others did to them."""
    Api(cluster, "default").install()
    return cluster


@pytest.fixture
def resources(defined: Cluster, namespace: str) -> Api:
    """A namespace of it, as a person uses it."""
    return Api(defined, namespace)


@pytest.fixture
def access(defined: Cluster) -> Access:
    return from_kubeconfig(defined.kubeconfig)


@pytest.fixture
async def server(access: Access) -> AsyncIterator[ApiServer]:
    async with ApiServer(access) as opened:
        yield opened


@pytest.fixture
def operators(
    defined: Cluster, namespace: str, tmp_path: Path, port: Callable[[], int]
) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts operators of this namespace; all are gone in the end."""
    started: list[OperatorProcess] = []

    def start(identity: str = "one", **settings: str) -> OperatorProcess:
        kubeconfig = Path(settings.pop("kubeconfig", str(defined.kubeconfig)))
        settings.setdefault("NAMESPACE", namespace)
        environment = environment_of(defined)
        process = OperatorProcess(kubeconfig, environment, tmp_path, port(), identity, **settings)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()
