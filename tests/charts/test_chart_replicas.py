"""Two gateways on one journal: who is called, what they keep, and what goes away at once."""

import pytest
import yaml

from chart_driver import HelmFailed, Object, rendered
from flows import OUTSIDE, flows

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
    with pytest.raises(HelmFailed, match=r"/gateway/(replicas|postgres/secret)"):
        rendered("external", sets, version=version)


def test_one_with_its_journal_in_a_database_is_called_by_the_service() -> None:
    desk = rendered("external", [SECRET]).one("ConfigMap", "stratops-desk")
    assert desk["data"]["gateway"] == "stratops-gateway.trading.svc:9090"
