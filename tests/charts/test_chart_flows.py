"""The network policies, judged as Kubernetes defines them: who may open which port of whom.

The test cluster's network enforces none, so their meaning is computed here from the objects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from chart_driver import NAMESPACE, Object, Rendering, rendered
from strategy_operator import names

RUNNER = names.labels("probe", "0123456789")
PORTS = (53, 443, 4222, 6379, 6380, 6443, 7001, 8222, 9090, 9091, 9092)
OUTSIDE = "outside"  # an address that is no pod's
STRANGER = "stranger"  # a pod of another namespace


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a connection."""

    name: str
    labels: Mapping[str, str]
    namespace: str  # empty: no pod


def places(rendering: Rendering) -> list[Place]:
    ours = [
        Place(name.removeprefix("stratops-"), pod["metadata"]["labels"], NAMESPACE)
        for name, pod in rendering.pods().items()
    ]
    others = [Place(STRANGER, {}, "elsewhere"), Place(OUTSIDE, {}, "")]
    return [*ours, Place("runner", RUNNER, NAMESPACE), *others]


def flows(rendering: Rendering) -> set[tuple[str, str, int]]:
    policies = rendering.of_kind("NetworkPolicy")
    return {
        (source.name, target.name, port)
        for source in places(rendering)
        for target in places(rendering)
        for port in PORTS
        if NAMESPACE in (source.namespace, target.namespace) and source != target
        if _lets(policies, source, target, port, "egress")
        and _lets(policies, target, source, port, "ingress")
    }


def _lets(policies: tuple[Object, ...], pod: Place, peer: Place, port: int, way: str) -> bool:
    """A pod that no policy selects for this way may do everything."""
    selecting = [
        each["spec"]
        for each in policies
        if pod.namespace == NAMESPACE
        and _matches(each["spec"]["podSelector"], pod.labels)
        and way.capitalize() in each["spec"]["policyTypes"]
    ]
    side = "to" if way == "egress" else "from"
    return not selecting or any(
        _port(rule, port) and _peer(rule.get(side), peer)
        for spec in selecting
        for rule in spec.get(way) or ()
    )


def _port(rule: Mapping[str, Any], port: int) -> bool:
    return "ports" not in rule or port in [each["port"] for each in rule["ports"]]


def _peer(peers: list[dict[str, Any]] | None, other: Place) -> bool:
    return peers is None or any(_is(each, other) for each in peers)


def _is(peer: Mapping[str, Any], other: Place) -> bool:
    if "ipBlock" in peer:
        return not other.namespace
    namespaces = peer.get("namespaceSelector")
    if namespaces is None:
        in_namespace = other.namespace == NAMESPACE
    else:
        labels = {"kubernetes.io/metadata.name": other.namespace}
        in_namespace = bool(other.namespace) and _matches(namespaces, labels)
    return in_namespace and _matches(peer.get("podSelector", {}), other.labels)


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def between(found: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Of the desk's own parts, without the pages that everybody in the cluster may read."""
    return {
        (source, target, port)
        for source, target, port in found
        if not {OUTSIDE, STRANGER} & {source, target} and port not in (53, 443, 6443)
    }


TRADING = {
    ("runner", "gateway", 9090),
    ("operator", "gateway", 9090),
    ("uninstall", "gateway", 9090),
    ("gateway", "redis", 6379),
    ("gateway", "nats", 4222),
    ("gateway", "venue", 9091),
    ("venue", "redis", 6379),
    ("venue", "nats", 4222),
    ("feed", "redis", 6379),
    ("runner", "redis", 6379),
}


def test_the_demo_s_parts_reach_each_other_exactly_where_they_must() -> None:
    found = between(flows(rendered("demo")))
    asked = {("test", other, 9092) for other in _parts("demo") - {"test"}}
    assert found == TRADING | asked


def test_what_is_outside_is_reached_by_its_port_only() -> None:
    found = {flow for flow in flows(rendered("external")) if flow[1] == OUTSIDE}
    assert {flow for flow in found if flow[2] not in (53, 443, 6443)} == {
        ("gateway", OUTSIDE, 6380),
        ("gateway", OUTSIDE, 4222),
        ("gateway", OUTSIDE, 7001),
        ("runner", OUTSIDE, 6380),
    }


def test_only_who_speaks_to_the_api_server_may_reach_it() -> None:
    found = {flow for flow in flows(rendered("demo")) if flow[1:] == (OUTSIDE, 6443)}
    assert {source for source, _, _ in found} == {
        "operator",
        "gateway",
        "certificates",
        "uninstall",
    }


@pytest.mark.parametrize("values", ["demo", "external", "everything-set"])
def test_nobody_outside_may_open_anything_but_metrics(values: str) -> None:
    found = {flow for flow in flows(rendered(values)) if flow[0] in (OUTSIDE, STRANGER)}
    assert {port for _, _, port in found} <= {9092}


def test_metrics_are_read_from_where_the_values_say() -> None:
    everybody = {flow for flow in flows(rendered("demo")) if flow[0] == STRANGER}
    assert (STRANGER, "gateway", 9092) in everybody
    assert not [flow for flow in flows(rendered("everything-set")) if flow[0] == STRANGER]


def test_an_operator_elsewhere_reaches_the_desk_s_gateway() -> None:
    policies = rendered("desk-only").of_kind("NetworkPolicy")
    labels = {"app.kubernetes.io/name": "stratops-operator"}
    gateway = Place("gateway", {"app.kubernetes.io/name": "stratops-gateway"}, NAMESPACE)
    there, other = (Place("operator", labels, name) for name in ("stratops-system", "elsewhere"))
    assert _lets(policies, gateway, there, 9090, "ingress")
    assert not _lets(policies, gateway, other, 9090, "ingress")


def test_a_cluster_wide_operator_reaches_gateways_everywhere() -> None:
    policies = rendered("operator-only").of_kind("NetworkPolicy")
    (labels,) = (
        pod["metadata"]["labels"]
        for name, pod in rendered("operator-only").pods().items()
        if name == "stratops-operator"
    )
    gateway = Place("gateway", {"app.kubernetes.io/name": "stratops-gateway"}, "desk-b")
    assert _lets(policies, Place("operator", labels, NAMESPACE), gateway, 9090, "egress")


def test_without_network_policies_there_is_none() -> None:
    assert rendered("demo", ["networkPolicy.enabled=false"]).of_kind("NetworkPolicy") == ()


def _parts(values: str) -> set[str]:
    return set(_pod_names(rendered(values)))


def _pod_names(rendering: Rendering) -> Iterator[str]:
    return (each.name for each in places(rendering) if each.namespace == NAMESPACE)
