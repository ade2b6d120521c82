"""Who may do what at the API server by the chart, and who has done what by its audit log."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from chart_driver import Rendering
from dev_cluster.built import BuiltCluster


class Right(NamedTuple):
    account: str
    verb: str
    resource: str  # with its part and group: strategies/status.stratops.dev


def granted(rendering: Rendering) -> set[Right]:
    roles = rendering.of_kind("Role", "ClusterRole")
    rules = {role["metadata"]["name"]: role["rules"] for role in roles}
    return {
        Right(subject["name"], verb, _named(resource, group))
        for binding in rendering.of_kind("RoleBinding", "ClusterRoleBinding")
        for rule in rules[binding["roleRef"]["name"]]
        for subject, verb, resource, group in product(
            binding["subjects"], rule["verbs"], rule["resources"], rule["apiGroups"]
        )
    }


def asked(cluster: BuiltCluster, namespace: str, decision: str) -> set[Right]:
    """What accounts of that namespace asked for; `decision` is allow or forbid."""
    prefix = f"system:serviceaccount:{namespace}:"
    return {
        Right(event["user"]["username"].removeprefix(prefix), event["verb"], _resource(event))
        for event in _events(cluster)
        if event["user"]["username"].startswith(prefix)
        and "objectRef" in event
        and event["annotations"]["authorization.k8s.io/decision"] == decision
    }


def _resource(event: dict[str, Any]) -> str:
    thing = event["objectRef"]
    part = f"/{thing['subresource']}" if "subresource" in thing else ""
    return _named(thing["resource"] + part, thing.get("apiGroup", ""))


def _named(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _events(cluster: BuiltCluster) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, whole_lines(cluster.audit_log))


def whole_lines(log: Path) -> list[str]:
    """Without the last one, where it is being written."""
    return log.read_text().rpartition("\n")[0].splitlines()
