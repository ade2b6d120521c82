"""What a strategy owns in the cluster, as plain dicts: its runner pods, and for each revision a
ConfigMap that pods mount and the StrategyRevision that keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_spec import stored
from platform_spec.metadata import API_VERSION
from platform_spec.pods import PodTemplate, Quantities, Resources, TaintEffect
from platform_spec.revision import Revision, canonical
from platform_spec.shapes import bytes_of
from platform_spec.strategy import Spec
from strategy_operator import names
from strategy_operator.names import Owner
from stratops_wire.audience import audience_of

SPEC_FILE = "spec.json"
_METRICS_PORT = 9092
_USER = 10_001
_TOKEN_S = 600  # the least that a kubelet takes
_GRACE_S = 10
# Where nothing is written. A runner takes 2 % of a processor on a quiet feed, and 25 to 45 MiB.
# What it asks for decides how many fit on a node, not how fast one may be.
_CPU, _MEMORY, _MOST_MEMORY = "10m", "64Mi", "256Mi"
# Kubernetes' own default is 300 s: for that long a dead node would stop a strategy.
_NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_NODE_AWAY_S = 20
_FEED_CA = {"key": "ca.crt", "path": "feed-ca.crt"}
_NO_TEMPLATE = PodTemplate.model_validate({})


@dataclass(frozen=True, slots=True)
class PodPlan:
    """All that a runner pod is made of beside the number of its attempt."""

    owner: Owner
    revision: str
    image: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]


def revision_object(owner: Owner, revision: Revision) -> Mapping[str, Any]:
    metadata = _metadata(owner, revision.name, names.child_name(owner.name, revision.name))
    spec = stored.written(revision)
    return {"apiVersion": API_VERSION, "kind": stored.KIND, "metadata": metadata, "spec": spec}


def config_map(owner: Owner, revision: str, runner: str) -> Mapping[str, Any]:
    """Never changed: its name is its content's."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(owner, revision, names.child_name(owner.name, revision)),
        "immutable": True,
        "data": {SPEC_FILE: runner},
    }


def pod_plan(
    owner: Owner, revision: str, image: str, spec: Spec | None, *, pull_policy: str, restart: str
) -> PodPlan:
    """Two equal `template` labels: nothing but attempt and image differs."""
    template = (spec and spec.pod_template) or _NO_TEMPLATE
    resources = spec.resources if spec else None
    body = _pod_spec(owner, revision, template, _container(resources, pull_policy))
    notes = dict(template.annotations or {})
    users = dict(template.labels or {})
    made_of = {"spec": body, "labels": users, "annotations": notes, "restart": restart}
    ours = {
        **names.labels(owner.name, revision),
        names.TEMPLATE: names.digest(canonical(made_of).decode()),
        names.IMAGE: names.digest(image),
    }
    return PodPlan(owner, revision, image, users | ours, notes, body)


def pod(plan: PodPlan, attempt: int) -> Mapping[str, Any]:
    name = names.pod_name(plan.owner.name, plan.revision, attempt)
    metadata = _metadata(plan.owner, plan.revision, name) | {"labels": dict(plan.labels)}
    if plan.annotations:
        metadata["annotations"] = dict(plan.annotations)
    runner, *others = plan.spec["containers"]
    containers = [{**runner, "image": plan.image}, *others]
    spec = {**plan.spec, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _metadata(owner: Owner, revision: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": dict(names.labels(owner.name, revision)),
        "ownerReferences": [owner.reference()],
    }


def _pod_spec(
    owner: Owner, revision: str, template: PodTemplate, container: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "restartPolicy": "OnFailure",  # a runner that was released ends with 0, and stays so
        "serviceAccountName": names.RUNNER_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # One container for now: one that speaks StrategyService would stand beside it.
        "containers": [container],
        "volumes": _volumes(owner.namespace, names.child_name(owner.name, revision)),
        **_scheduling(template),
    }


def _container(resources: Resources | None, pull_policy: str) -> Mapping[str, Any]:
    return {
        "name": "runner",
        "imagePullPolicy": pull_policy,
        "env": [
            {"name": "STRATOPS_SPEC", "value": f"/etc/stratops/revision/{SPEC_FILE}"},
            {"name": "STRATOPS_DESK_DIR", "value": "/etc/stratops/desk"},
            {
                "name": "STRATOPS_POD",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
            },
            {"name": "STRATOPS_METRICS_HOST", "value": "0.0.0.0"},  # noqa: S104  # a pod's own
            {"name": "STRATOPS_METRICS_PORT", "value": str(_METRICS_PORT)},
        ],
        "ports": [{"name": "metrics", "containerPort": _METRICS_PORT}],
        "resources": _resources(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "revision", "mountPath": "/etc/stratops/revision", "readOnly": True},
            {"name": "desk", "mountPath": "/etc/stratops/desk", "readOnly": True},
            {"name": "secrets", "mountPath": "/etc/stratops/secrets", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a volume of its own
        ],
        # Fifty at once need 17 s to import: only the startup probe has patience for that.
        "startupProbe": _probe("/health", every_s=1, failures=60),
        "livenessProbe": _probe("/health", every_s=5, failures=6),
        "readinessProbe": _probe("/ready", every_s=5, failures=2),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _probe(path: str, *, every_s: int, failures: int) -> Mapping[str, Any]:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": every_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _resources(written: Resources | None) -> Mapping[str, Any]:
    """What is written; a default gives way to it."""
    requests = _quantities(written.requests if written else None)
    limits = _quantities(written.limits if written else None)
    if "cpu" not in limits:
        requests.setdefault("cpu", _CPU)
    limits.setdefault("memory", max(_MOST_MEMORY, requests.get("memory", "0"), key=bytes_of))
    requests.setdefault("memory", min(_MEMORY, limits["memory"], key=bytes_of))
    return {"requests": requests, "limits": limits}


def _quantities(written: Quantities | None) -> dict[str, str]:
    return written.model_dump(exclude_none=True) if written else {}


def _volumes(namespace: str, revision: str) -> list[Mapping[str, Any]]:
    token = {
        "audience": audience_of(namespace),
        "expirationSeconds": _TOKEN_S,
        "path": "token",
    }
    desk = [
        {"configMap": {"name": names.DESK}},
        {"configMap": {"name": names.GATEWAY_CA}},
        {"configMap": {"name": names.FEED_CA, "optional": True, "items": [_FEED_CA]}},
        {"serviceAccountToken": token},
    ]
    secrets = {"secretName": names.RUNNER_SECRETS, "optional": True}
    return [
        {"name": "revision", "configMap": {"name": revision}},
        {"name": "desk", "projected": {"sources": desk}},
        {"name": "secrets", "secret": secrets},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]


def _scheduling(template: PodTemplate) -> Mapping[str, Any]:
    """Where pods may run and how they are pulled, as written."""
    written = template.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"labels", "annotations"}
    )
    return {**written, "tolerations": [*written.get("tolerations", ()), *_tolerations(template)]}


def _tolerations(template: PodTemplate) -> list[Mapping[str, Any]]:
    """Of a node that is away, where the user wrote none for it, nor one for any taint."""
    evicting = (None, TaintEffect.NO_EXECUTE)
    written = {each.key for each in template.tolerations or () if each.effect in evicting}
    return [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _NODE_AWAY_S,
        }
        for key in _NODE_TAINTS
        if not written & {key, None}
    ]
