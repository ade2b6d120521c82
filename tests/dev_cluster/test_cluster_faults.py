"""Daemons of a cluster are killed, and it is as before: what tests of outages rely on."""

import json
import os
import signal

import psutil
import pytest

from cluster_driver import wait_for
from dev_cluster import images
from dev_cluster.api import ApiError
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import KubectlFailed
from dev_cluster.components import Component
from dev_cluster.configs import PAUSE

pytestmark = pytest.mark.cluster


STEADY = "localhost/test/steady:1"


@pytest.fixture(scope="module")
def running_pod(own_cluster: BuiltCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = tmp_path_factory.mktemp("image") / "steady.tar"
    program = (own_cluster.layout.programs / "pause").read_bytes()
    archive.write_bytes(images.of_one_file(STEADY, "steady", program))
    own_cluster.load(archive)
    own_cluster.kubectl("run", "steady", f"--image={STEADY}", "--image-pull-policy=Never")
    own_cluster.kubectl("wait", "--for=condition=Ready", "pod/steady", "--timeout=110s")
    return container(own_cluster)


def container(cluster: BuiltCluster) -> str:
    """Its id and restarts: another one would have another id."""
    pod = json.loads(cluster.kubectl("get", "pod/steady", "-o", "json"))
    (status,) = pod["status"]["containerStatuses"]
    return f"{status['containerID']} restarted {status['restartCount']} times"


def node_is_ready(cluster: BuiltCluster) -> str:
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return cluster.kubectl("get", "node/node1", "-o", ready)


@pytest.mark.parametrize("component", list(Component))
def test_every_daemon_comes_back_and_pods_stay(
    own_cluster: BuiltCluster, running_pod: str, component: Component
) -> None:
    own_cluster.kill(component)
    own_cluster.wait_until_ready()
    wait_for(lambda: container(own_cluster) == running_pod)


def test_the_api_server_stays_away_as_long_as_it_is_held(
    own_cluster: BuiltCluster, running_pod: str
) -> None:
    with own_cluster.stopped(Component.API_SERVER), own_cluster.api() as api:
        with pytest.raises(ConnectionRefusedError):
            api.get("/version")
        with pytest.raises(KubectlFailed, match="refused"):
            own_cluster.kubectl("get", "nodes")
    own_cluster.wait_until_ready()
    wait_for(lambda: container(own_cluster) == running_pod)


def test_nothing_is_forgotten_when_etcd_is_killed(own_cluster: BuiltCluster) -> None:
    own_cluster.kubectl("create", "configmap", "kept")
    own_cluster.kill(Component.ETCD)
    wait_for(lambda: own_cluster.kubectl("get", "configmap/kept", "-o", "name"))


def test_a_new_pod_waits_for_the_kubelet(own_cluster: BuiltCluster) -> None:
    with own_cluster.stopped(Component.KUBELET):
        own_cluster.kubectl("run", "waits", f"--image={PAUSE}", "--image-pull-policy=Never")
        phase = ("get", "pod/waits", "-o", "jsonpath={.status.phase}")
        assert own_cluster.kubectl(*phase) == "Pending"
    wait_for(lambda: own_cluster.kubectl(*phase) == "Running")


def test_a_claim_is_served_after_the_provisioner_was_killed(own_cluster: BuiltCluster) -> None:
    with own_cluster.stopped(Component.VOLUMES):
        own_cluster.kubectl("create", "-f", "-", stdin=json.dumps(CLAIM))
    phase = ("get", "pvc/late", "-o", "jsonpath={.status.phase}")
    wait_for(lambda: own_cluster.kubectl(*phase) == "Bound")


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "late"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}


def test_a_pod_s_processes_may_be_stopped(own_cluster: BuiltCluster, running_pod: str) -> None:
    uid = own_cluster.kubectl("get", "pod/steady", "-o", "jsonpath={.metadata.uid}")
    (process,) = own_cluster.processes(uid)
    os.kill(process, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(process).status() == psutil.STATUS_STOPPED)
    os.kill(process, signal.SIGCONT)


def test_an_answer_that_says_no_names_its_number(own_cluster: BuiltCluster) -> None:
    with own_cluster.api() as api, pytest.raises(ApiError, match="404"):
        api.get("/api/v1/namespaces/nobody")
