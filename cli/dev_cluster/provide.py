"""Which cluster a test run gets: a given one, kind where Docker runs, else one of our own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev_cluster import binaries, kind, lifecycle, machine
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster
from dev_cluster.given import GivenCluster

KUBECONFIG = "STRATOPS_TEST_KUBECONFIG"


@contextmanager
def provide() -> Iterator[Cluster]:
    """Raises MachineUnfit where there is none to be had."""
    given = os.environ.get(KUBECONFIG)
    if given:
        yield GivenCluster.of(Path(given))
    elif kind.is_possible():
        with kind.cluster() as cluster:
            yield cluster
    else:
        with provide_own() as own:
            yield own


@contextmanager
def provide_own() -> Iterator[BuiltCluster]:
    """One that its user may break: kill its API server, stop its kubelet."""
    with lifecycle.started(prepare()) as cluster:
        yield cluster


def prepare() -> Path:
    """The programs of our own cluster: what takes minutes the first time, and then nothing."""
    machine.require()
    return binaries.ready()
