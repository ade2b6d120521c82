"""Fixtures and helpers for tests on a real Kubernetes (`@pytest.mark.cluster`)."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TypeVar

import pytest

from dev_cluster import component_images
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster, KubectlFailed, without_proxy
from dev_cluster.machine import MachineUnfit
from dev_cluster.provide import prepare, provide, provide_own

__all__ = ["cluster", "namespace", "own_cluster", "wait_for"]

T = TypeVar("T")
AnyCluster = TypeVar("AnyCluster", bound=Cluster)
DEADLINE_S = 120.0  # generous: the machine is shared
POLL_S = 0.1
MEASURED = "measured"  # a property of a test: what took how long


def pytest_collection_finish(session: pytest.Session) -> None:
    """What takes minutes to build is built before the first test, whose time is limited, and said
    on the terminal."""
    wanted = any(item.get_closest_marker("cluster") for item in session.items)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    if not wanted or session.config.option.collectonly or capture is None:
        return
    with capture.global_and_fixture_disabled(), suppress(MachineUnfit):  # the fixtures say it
        prepare()
        if any("images" in getattr(item, "fixturenames", ()) for item in session.items):
            component_images.build()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == MEASURED and report.when == "call":
                terminalreporter.write_line(f"measured: {value}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of this test run. Do not break it: other tests use it too."""
    with ExitStack() as stack:
        yield _entered(stack, provide())


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[BuiltCluster]:
    """A cluster of this module's own, whose daemons it may kill."""
    with ExitStack() as stack:
        yield _entered(stack, provide_own())


def _entered(stack: ExitStack, offer: AbstractContextManager[AnyCluster]) -> AnyCluster:
    """Where there is no cluster: in CI a failure, elsewhere a skip that says what is missing."""
    try:
        cluster = stack.enter_context(offer)
    except MachineUnfit as unfit:
        if os.environ.get("CI"):
            pytest.fail(f"no test cluster: {unfit}")
        pytest.skip(f"no test cluster: {unfit}")
    # For clients that a test makes in this process.
    os.environ.update(without_proxy(os.environ, cluster.no_proxy))
    return cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace. What is in it goes with it, which nobody waits for."""
    name = new_namespace(cluster)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def new_namespace(cluster: Cluster, prefix: str = "test") -> str:
    """With its `default` ServiceAccount, without which no pod is admitted."""
    name = f"{prefix}-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    wait_for(lambda: exists(cluster, "serviceaccount/default", name))
    return name


def exists(cluster: Cluster, what: str, namespace: str = "default") -> bool:
    """`what` as kubectl names it: pod/NAME."""
    found = cluster.kubectl("get", what, "-n", namespace, "-o", "name", "--ignore-not-found")
    return bool(found.strip())


def wait_for(fact: Callable[[], T], deadline_s: float = DEADLINE_S, poll_s: float = POLL_S) -> T:
    """What `fact` answers once that is true; while the API server is away it is not."""
    deadline = time.monotonic() + deadline_s
    problem: KubectlFailed | None = None
    while time.monotonic() < deadline:
        try:
            if answer := fact():
                return answer
        except KubectlFailed as error:
            problem = error
        time.sleep(poll_s)
    raise AssertionError(f"not within {deadline_s:.0f} s") from problem
