"""What the chart renders, shown to a real API server that stores nothing."""

import json
from typing import Any

import pytest

from chart_driver import VALUES, Object, rendered
from dev_cluster.cluster import Cluster, KubectlFailed

pytestmark = pytest.mark.cluster

FILES = sorted(path.stem for path in VALUES.glob("*.yaml"))
# Of other projects, whose definitions the test cluster does not have.
FOREIGN = ("cert-manager.io", "monitoring.coreos.com")


def shown(cluster: Cluster, *objects: Object) -> str:
    """Raises KubectlFailed, also for what the server only warns of."""
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    return cluster.kubectl("apply", *options, "--warnings-as-errors", "-f", "-", stdin=document)


@pytest.mark.parametrize("values", FILES)
def test_every_object_is_valid(cluster: Cluster, restricted: str, values: str) -> None:
    objects = [
        each
        for each in rendered(values, namespace=restricted).objects
        if not each["apiVersion"].startswith(FOREIGN)
    ]
    assert len(shown(cluster, *objects).splitlines()) == len(objects)


@pytest.mark.parametrize("values", FILES)
def test_every_pod_may_run_where_only_restricted_ones_may(
    cluster: Cluster, restricted: str, values: str
) -> None:
    rendering = rendered(values, namespace=restricted)
    for account in rendering.of_kind("ServiceAccount"):
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(account))
    for name, pod in rendering.pods().items():
        shown(cluster, _pod(name, restricted, pod))


def test_a_pod_that_is_not_restricted_may_not(cluster: Cluster, restricted: str) -> None:
    """Else the test above would say nothing."""
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "shell", "image": "shell:1"}]}}
    with pytest.raises(KubectlFailed, match="violates PodSecurity"):
        shown(cluster, _pod("shell", restricted, pod))


def _pod(name: str, namespace: str, template: Object) -> Object:
    """As its controller would make it; a set adds the claims' volumes."""
    spec = dict(template["spec"])
    volumes = spec.get("volumes", [])
    mounts = [each["name"] for each in spec["containers"][0].get("volumeMounts", [])]
    claims = set(mounts) - {each["name"] for each in volumes}
    spec["volumes"] = volumes + [
        {"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims
    ]
    metadata = {"name": name, "namespace": namespace}
    labels = template.get("metadata", {}).get("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "labels": labels},
        "spec": spec,
    }
