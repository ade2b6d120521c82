"""Two gateways on one journal: who is called, what they keep, and what goes away at once."""

import pytest
import yaml

from chart_driver import NAMESPACE, HelmFailed, Object, rendered
from flows import OUTSIDE, Place, flows, lets

SECRET = 'gateway.postgres.secret="journal"'
BOTH = [
    f"stratops-gateway-{number}.stratops-gateway-headless.trading.svc:9090" for number in (0, 1)
]


def gateways() -> Object:
    spec: Object = rendered("replicas").one("StatefulSet", "stratops-gateway")["spec"]
    return spec


def test_callers_know_both_by_the_addresses_that_each_says_of_itself() -> None:
    desk = rendered("replicas").one("ConfigMap", "stratops-desk")
    assert desk["data"]["gateway"].split(",") == BOTH
    said = rendered("replicas").env("stratops-gateway")["STRATOPS_ADDRESS"]
    assert [said.replace("$(STRATOPS_POD)", f"stratops-gateway-{n}") for n in (0, 1)] == BOTH


def test_the_certificate_is_for_each_of_them() -> None:
    names = rendered("replicas").env("stratops-certificates")["STRATOPS_TLS_NAMES"].split(",")
    for address in BOTH:
        host = address.removesuffix(":9090")
        assert f"*.{host.partition('.')[2]}" in names


def test_the_url_of_the_journal_is_in_a_secret_and_nowhere_else() -> None:
    env = rendered("replicas").env("stratops-gateway")
    assert env["STRATOPS_POSTGRES_URL"] == "journal/url"
    assert "postgresql://" not in yaml.safe_dump_all(rendered("replicas").objects)


def test_nothing_is_kept_on_a_claim() -> None:
    assert "volumeClaimTemplates" not in gateways()
    (journal,) = (v for v in gateways()["template"]["spec"]["volumes"] if v["name"] == "journal")
    assert journal["emptyDir"] == {"sizeLimit": "16Mi"}


def test_both_start_at_once_and_one_may_be_away() -> None:
    assert (gateways()["replicas"], gateways()["podManagementPolicy"]) == (2, "Parallel")
    budget = rendered("replicas").one("PodDisruptionBudget", "stratops-gateway")
    assert budget["spec"]["maxUnavailable"] == 1


def test_they_keep_apart_unless_the_values_say_otherwise() -> None:
    apart = gateways()["template"]["spec"]["affinity"]["podAntiAffinity"]
    (preferred,) = apart["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    mine = rendered("replicas", ['gateway.affinity={"nodeAffinity": {}}'])
    assert mine.pods()["stratops-gateway"]["spec"]["affinity"] == {"nodeAffinity": {}}


def test_either_is_behind_the_service_and_found_by_name_before_it_is_ready() -> None:
    for name in ("stratops-gateway", "stratops-gateway-headless"):
        spec = rendered("replicas").one("Service", name)["spec"]
        assert spec["publishNotReadyAddresses"] is True
        assert "statefulset.kubernetes.io/pod-name" not in spec["selector"]


def test_the_database_is_reached_by_its_port() -> None:
    assert ("gateway", OUTSIDE, 6432) in flows(rendered("replicas"))
    assert not [flow for flow in flows(rendered("external")) if flow[2] == 6432]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    "sets",
    [
        pytest.param(["gateway.replicas=2"], id="two on a claim"),
        pytest.param([SECRET, "gateway.replicas=3"], id="three"),
        pytest.param([SECRET, "gateway.replicas=0"], id="none"),
    ],
)
def test_another_number_is_refused_with_the_field_named(sets: list[str], version: int) -> None:
    with pytest.raises(HelmFailed, match=r"gateway[./](replicas|postgres[./]secret)"):
        rendered("external", sets, version=version)


def test_one_with_its_journal_in_a_database_is_called_by_the_service() -> None:
    desk = rendered("external", [SECRET]).one("ConfigMap", "stratops-desk")
    assert desk["data"]["gateway"] == "stratops-gateway.trading.svc:9090"


# ---- certificates of callers


def test_callers_with_a_certificate_have_a_port_of_their_own() -> None:
    env = rendered("replicas").env("stratops-gateway")
    (mounted,) = (
        mount["mountPath"]
        for mount in gateways()["template"]["spec"]["containers"][0]["volumeMounts"]
        if mount["name"] == "clients"
    )
    assert env["STRATOPS_TLS_CLIENT_CA"] == f"{mounted}/ca.crt"
    assert env["STRATOPS_TLS_CLIENT_LISTEN"].endswith(":9094")
    for name in ("stratops-gateway", "stratops-gateway-headless"):
        ports = rendered("replicas").one("Service", name)["spec"]["ports"]
        assert 9094 in {port["port"] for port in ports}


def test_only_who_is_named_may_open_that_port() -> None:
    policies = rendered("replicas").of_kind("NetworkPolicy")
    gateway = Place("gateway", {"app.kubernetes.io/name": "stratops-gateway"}, NAMESPACE)
    for namespace, may in (("people", True), ("elsewhere", False), (NAMESPACE, False)):
        caller = Place("caller", {}, namespace)
        assert lets(policies, gateway, caller, 9094, "ingress") is may
        assert not lets(policies, gateway, caller, 9090, "ingress")


def test_without_a_ca_there_is_no_such_port() -> None:
    spec = rendered("external").one("Service", "stratops-gateway")["spec"]
    assert 9094 not in {port["port"] for port in spec["ports"]}
    assert "STRATOPS_TLS_CLIENT_CA" not in rendered("external").env("stratops-gateway")


# ---- many desks


def test_desks_of_one_operator_share_nothing_but_it() -> None:
    desks = {name: rendered("desk-only", namespace=name) for name in ("desk-a", "desk-b")}
    for name, desk in desks.items():
        assert {each["metadata"].get("namespace") for each in desk.objects} == {name}
        env = desk.env("stratops-gateway")
        operator = "system:serviceaccount:stratops-system:stratops-operator"
        assert env["STRATOPS_OPERATORS"] == operator
        address = desk.one("ConfigMap", "stratops-desk")["data"]["gateway"]
        assert address == f"stratops-gateway.{name}.svc:9090"
