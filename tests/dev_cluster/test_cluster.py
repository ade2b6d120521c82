"""What every test on a cluster relies on. The image that is tried has kubectl, one static file:
it asks questions, serves, and makes files."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster_driver import exists, new_namespace, wait_for
from dev_cluster import images, tools
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster, KubectlFailed
from rights import whole_lines

pytestmark = pytest.mark.cluster

IMAGE = "localhost/test/kubectl:1"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module", autouse=True)
def _image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = tmp_path_factory.mktemp("image") / "kubectl.tar"
    archive.write_bytes(images.of_one_file(IMAGE, "kubectl", tools.kubectl().read_bytes()))
    cluster.load(archive)


def pod(name: str, *arguments: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "args": list(arguments),
        "imagePullPolicy": "Never",
        "securityContext": RESTRICTED,
        "volumeMounts": spec.pop("mounts", []),
        "env": spec.pop("env", []),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            **spec,
        },
    }


def create(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    document = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(document))


def phase(cluster: Cluster, namespace: str, what: str) -> str:
    return cluster.kubectl("get", what, "-n", namespace, "-o", "jsonpath={.status.phase}")


def ends(cluster: Cluster, namespace: str, name: str) -> str:
    """What the pod has said once it has ended well."""

    def has_ended() -> bool:
        now = phase(cluster, namespace, f"pod/{name}")
        assert now != "Failed", cluster.kubectl("logs", "-n", namespace, name)
        return now == "Succeeded"

    wait_for(has_ended)
    return cluster.kubectl("logs", "-n", namespace, name)


def test_the_node_is_ready(cluster: Cluster) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    conditions = {one["type"]: one["status"] for one in nodes[0]["status"]["conditions"]}
    assert conditions["Ready"] == "True"


def test_a_fresh_namespace_admits_pods_and_has_none(cluster: Cluster, namespace: str) -> None:
    assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name") == ""
    assert exists(cluster, "serviceaccount/default", namespace)


def test_a_loaded_image_runs_as_restricted_as_can_be(cluster: Cluster, namespace: str) -> None:
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, enforced)
    create(cluster, namespace, pod("version", "version", "--client"))
    assert "Client Version: v1." in ends(cluster, namespace, "version")


def test_a_restricted_namespace_refuses_a_pod_that_is_not(cluster: Cluster, namespace: str) -> None:
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, enforced)
    with pytest.raises(KubectlFailed, match="hostNetwork"):
        create(cluster, namespace, pod("host", "version", hostNetwork=True))


def test_a_service_s_name_leads_to_its_pods(cluster: Cluster, namespace: str) -> None:
    """The API server's Service is one: a name, an address, a certificate, a pod's credentials."""
    by_name = {"name": "KUBERNETES_SERVICE_HOST", "value": "kubernetes.default.svc"}
    create(cluster, namespace, pod("asks", "get", "--raw=/version", env=[by_name]))
    assert json.loads(ends(cluster, namespace, "asks"))["major"] == "1"


def test_a_claim_is_bound_and_writable_for_who_is_not_root(
    cluster: Cluster, namespace: str
) -> None:
    makes_a_file = pod("keeps", "proxy", "--unix-socket=/data/socket", **WITH_CLAIM)
    create(cluster, namespace, CLAIM, makes_a_file)
    wait_for(lambda: phase(cluster, namespace, "pvc/data") == "Bound")
    wait_for(lambda: "/data/socket" in cluster.kubectl("logs", "-n", namespace, "keeps"))


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
WITH_CLAIM: dict[str, Any] = {
    "mounts": [{"name": "data", "mountPath": "/data"}],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    "securityContext": {"fsGroup": 10001},
}


def test_a_volume_goes_with_its_claim(cluster: Cluster, namespace: str) -> None:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("looks into the node's folders")
    create(cluster, namespace, CLAIM)
    volume = wait_for(lambda: _volume(cluster, namespace))
    assert (cluster.layout.volumes / volume).is_dir()
    cluster.kubectl("delete", "pvc", "data", "-n", namespace)
    wait_for(lambda: not exists(cluster, f"persistentvolume/{volume}"))
    wait_for(lambda: not (cluster.layout.volumes / volume).exists())


def _volume(cluster: Cluster, namespace: str) -> str:
    return cluster.kubectl("get", "pvc/data", "-n", namespace, "-o", "jsonpath={.spec.volumeName}")


def test_a_token_is_for_the_audience_it_was_asked_for(cluster: Cluster, namespace: str) -> None:
    asked = ("create", "token", "default", "-n", namespace, "--audience=stratops-gateway")
    token = cluster.kubectl(*asked).strip()
    assert review(cluster, token, "stratops-gateway")["authenticated"]
    assert "authenticated" not in review(cluster, token, "somebody-else")


def review(cluster: Cluster, token: str, audience: str) -> dict[str, Any]:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    said = cluster.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(body))
    status: dict[str, Any] = json.loads(said)["status"]
    return status


def test_a_container_that_fails_is_tried_again_soon(cluster: Cluster, namespace: str) -> None:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("a cluster of another make waits for minutes")
    create(cluster, namespace, pod("fails", "nonsense", restartPolicy="Always"))
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    asked = ("get", "pod/fails", "-n", namespace, "-o", restarts)
    wait_for(lambda: int(cluster.kubectl(*asked) or 0) >= 4)  # 300 s with Kubernetes' defaults


def test_the_audit_log_has_who_did_what(cluster: Cluster, namespace: str) -> None:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("a cluster of another make keeps no audit log here")
    cluster.kubectl("create", "configmap", "seen", "-n", namespace)
    log = cluster.audit_log  # it is written after the answer

    def seen() -> list[tuple[str, str]]:
        lines = map(json.loads, whole_lines(log))
        ours = [line for line in lines if line.get("objectRef", {}).get("name") == "seen"]
        return [(line["user"]["username"], line["verb"]) for line in ours]

    assert wait_for(seen) == [("admin", "create")]


def test_the_host_reaches_a_pod_by_its_address(cluster: Cluster, namespace: str) -> None:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("pods have addresses of Docker's network")
    create(cluster, namespace, pod("answers", "proxy", "--address=0.0.0.0", "--port=8001"))
    ip = ("get", "pod/answers", "-n", namespace, "-o", "jsonpath={.status.podIP}")
    found = wait_for(lambda: cluster.kubectl(*ip))
    wait_for(lambda: _accepts(found, 8001))


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def test_namespaces_do_not_meet(cluster: Cluster, namespace: str) -> None:
    assert new_namespace(cluster) != namespace


def test_each_tool_is_what_it_says(tmp_path: Path) -> None:
    for program, words in (
        (tools.helm(3), "v3."),
        (tools.helm(4), "v4."),
        (tools.kubectl(), "Client Version: v1."),
    ):
        said = subprocess.run([program, "version"], capture_output=True, text=True)
        assert words in said.stdout
