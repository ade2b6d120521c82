"""Two operators: one acts, the other takes over."""

import contextlib
import json
import signal
import time

import psutil
import pytest

from cluster_desk import ClusterDesk, Measured, strategy, until
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture
def pair(own_desk: ClusterDesk) -> ClusterDesk:
    own_desk.kubectl("scale", "deployment/stratops-operator", "--replicas=2")
    own_desk.kubectl("rollout", "status", "deployment/stratops-operator", "--timeout=120s")
    until(lambda: _holder(own_desk), "one of them leads")
    return own_desk


def test_the_other_takes_over_from_a_killed_leader(
    pair: ClusterDesk, cluster: Cluster, measured: Measured
) -> None:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("a process of another machine cannot be killed from here")
    leader = _holder(pair)
    # Not its container alone: the kubelet would start it again, and it would lead again. Stopped
    # first: asked by the kubelet to end, it would give its Lease away.
    processes = cluster.processes(_uid(pair, leader))
    for pid in processes:
        _signal(pid, signal.SIGSTOP)
    began = time.monotonic()
    pair.kubectl("delete", "pod", leader, "--grace-period=0", "--force", "--wait=false")
    for pid in processes:
        _signal(pid, signal.SIGKILL)
    until(lambda: _holder(pair) not in ("", leader), "another one leads")
    measured("from a leader's kill to the next one", time.monotonic() - began)
    pair.apply(strategy("after-kill"))
    pair.until_ready("after-kill")


def test_the_other_takes_over_at_once_from_a_leader_that_ends(
    pair: ClusterDesk, measured: Measured
) -> None:
    leader = _holder(pair)
    began = time.monotonic()
    pair.kubectl("delete", "pod", leader, "--wait=false")
    until(lambda: _holder(pair) not in ("", leader), "another one leads")
    measured("from a leader's ordered end to the next one", time.monotonic() - began)
    pair.apply(strategy("after-end"))
    pair.until_ready("after-end")


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).send_signal(number)


def _holder(desk: ClusterDesk) -> str:
    lease = desk.get("lease", "stratops-operator") or {}
    return str(lease.get("spec", {}).get("holderIdentity") or "")


def _uid(desk: ClusterDesk, pod: str) -> str:
    return str(json.loads(desk.kubectl("get", "pod", pod, "-o", "json"))["metadata"]["uid"])
