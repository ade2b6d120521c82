"""Who may open which port of whom, in each way to install."""

from collections.abc import Iterator

import pytest

from chart_driver import NAMESPACE, Rendering, rendered
from flows import OUTSIDE, STRANGER, Place, between, flows, lets, places

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
    everybody = {flow for flow in flows(rendered("monitoring")) if flow[0] == STRANGER}
    assert (STRANGER, "gateway", 9092) in everybody
    for values in ("demo", "everything-set"):
        assert not [flow for flow in flows(rendered(values)) if flow[0] == STRANGER]


def test_an_operator_elsewhere_reaches_the_desk_s_gateway() -> None:
    policies = rendered("desk-only").of_kind("NetworkPolicy")
    labels = {"app.kubernetes.io/name": "stratops-operator"}
    gateway = Place("gateway", {"app.kubernetes.io/name": "stratops-gateway"}, NAMESPACE)
    there, other = (Place("operator", labels, name) for name in ("stratops-system", "elsewhere"))
    assert lets(policies, gateway, there, 9090, "ingress")
    assert not lets(policies, gateway, other, 9090, "ingress")


def test_the_hook_of_a_desk_without_an_operator_reaches_the_api_server() -> None:
    found = flows(rendered("desk-only"))
    assert ("strategies-gone", OUTSIDE, 6443) in found
    assert ("strategies-gone", "gateway", 9090) not in found


def test_a_cluster_wide_operator_reaches_gateways_everywhere() -> None:
    policies = rendered("operator-only").of_kind("NetworkPolicy")
    (labels,) = (
        pod["metadata"]["labels"]
        for name, pod in rendered("operator-only").pods().items()
        if name == "stratops-operator"
    )
    gateway = Place("gateway", {"app.kubernetes.io/name": "stratops-gateway"}, "desk-b")
    assert lets(policies, Place("operator", labels, NAMESPACE), gateway, 9090, "egress")


def test_without_network_policies_there_is_none() -> None:
    assert rendered("demo", ["networkPolicy.enabled=false"]).of_kind("NetworkPolicy") == ()


def _parts(values: str) -> set[str]:
    return set(_pod_names(rendered(values)))


def _pod_names(rendering: Rendering) -> Iterator[str]:
    return (each.name for each in places(rendering) if each.namespace == NAMESPACE)
