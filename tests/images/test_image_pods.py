"""Images as pods on a real node, in a namespace that enforces the restricted standard."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster_driver import exists, wait_for
from dev_cluster.cluster import Cluster
from dev_cluster.component_images import Images
from own_time import Watch

# A first build is no matter of seconds.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
SERVERS = {
    "valkey": (["valkey-server", "--dir", "/tmp", "--protected-mode", "no"], 6379),
    "nats": (["nats-server", "--jetstream", "--store_dir", "/tmp"], 4222),
}
GRACE_S = 30  # what a pod takes to go if its PID 1 ignores SIGTERM


@pytest.fixture(scope="module", autouse=True)
def _loaded(cluster: Cluster, built: Images) -> None:
    cluster.load(built.archive)


@pytest.fixture
def restricted(cluster: Cluster, namespace: str) -> Iterator[str]:
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, enforced)
    yield namespace
    cluster.kubectl("delete", "pods", "--all", "--now", "--wait=false", "-n", namespace)


def pod(image: str, **container: Any) -> str:
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        **container,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "containers": [main],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    kind = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}}
    return json.dumps({**kind, "spec": spec})


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found = json.loads(cluster.kubectl("get", "pod/probe", "-n", namespace, "-o", "json"))
    answer: dict[str, Any] = found["status"]
    return answer


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_serves_and_goes_at_once(
    server: str, cluster: Cluster, restricted: str, built: Images
) -> None:
    command, port = SERVERS[server]
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    manifest = pod(built.reference("servers"), command=command, readinessProbe=probe)
    cluster.kubectl("create", "-n", restricted, "-f", "-", stdin=manifest)
    ready = ("--for=condition=Ready", "--timeout=110s")
    cluster.kubectl("wait", "pod/probe", *ready, "-n", restricted)
    with Watch() as watch:
        cluster.kubectl("delete", "pod/probe", "-n", restricted, "--wait=false")
        wait_for(lambda: not exists(cluster, "pod/probe", restricted))
        assert watch.seconds < GRACE_S / 2


def test_a_component_without_settings_says_so_in_its_pod_s_status(
    cluster: Cluster, restricted: str, built: Images
) -> None:
    cluster.kubectl("create", "-n", restricted, "-f", "-", stdin=pod(built.reference("runner")))
    wait_for(lambda: status(cluster, restricted)["phase"] == "Failed")
    (container,) = status(cluster, restricted)["containerStatuses"]
    assert "STRATOPS_" in container["state"]["terminated"]["message"]
