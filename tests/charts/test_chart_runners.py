"""Chart and operator agree: what runner pods mount, who they are, how they are found."""

import pytest

from chart_driver import NAMESPACE, Object, rendered
from strategy_operator import children, names
from strategy_operator.names import Owner
from stratops_wire.audience import audience_of

OWNER = Owner(NAMESPACE, "probe", "7f0c")
REVISION = "0123456789"


def runner() -> Object:
    plan = children.pod_plan(
        OWNER, REVISION, "runner:1", None, pull_policy="IfNotPresent", restart=""
    )
    return children.pod(plan, 1)


def tokens(pod: Object) -> list[Object]:
    sources = [
        source
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
    ]
    return [each["serviceAccountToken"] for each in sources if "serviceAccountToken" in each]


def test_its_account_is_there() -> None:
    account = rendered("demo").one("ServiceAccount", runner()["spec"]["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False


def test_what_it_mounts_of_the_desk_is_there() -> None:
    """The CA's ConfigMap comes from the hook, or from the values."""
    rendering = rendered("cert-manager")
    for name in (names.DESK, names.GATEWAY_CA):
        assert rendering.one("ConfigMap", name)


def test_its_token_is_for_the_gateway_s_audience() -> None:
    """It knows its own by the namespace that it is told."""
    (token,) = tokens(runner())
    assert token["audience"] == audience_of(NAMESPACE)
    assert rendered("demo").env("stratops-gateway")["STRATOPS_NAMESPACE"] == "metadata.namespace"


@pytest.mark.parametrize("pod", ["stratops-operator", "stratops-uninstall"])
def test_so_is_that_of_the_operator_of_one_desk(pod: str) -> None:
    (token,) = (each for each in tokens(rendered("demo").pods()[pod]) if "audience" in each)
    assert token["audience"] == audience_of(NAMESPACE)


def test_the_pod_monitor_finds_it_and_its_port() -> None:
    spec = rendered("monitoring").one("PodMonitor", "stratops-runner")["spec"]
    assert spec["selector"]["matchLabels"].items() <= runner()["metadata"]["labels"].items()
    (container,) = runner()["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {each["port"] for each in spec["podMetricsEndpoints"]} <= ports
    assert set(spec["podTargetLabels"]) <= set(runner()["metadata"]["labels"])


def test_the_service_monitor_finds_a_port_of_each_service_that_has_pages() -> None:
    rendering = rendered("monitoring")
    (endpoint,) = rendering.one("ServiceMonitor", "stratops")["spec"]["endpoints"]
    with_pages = {
        each["metadata"]["name"]
        for each in rendering.of_kind("Service")
        if endpoint["port"] in [port["name"] for port in each["spec"]["ports"]]
    }
    parts = ("operator", "gateway", "venue", "feed")
    assert with_pages == {f"stratops-{part}" for part in parts}
