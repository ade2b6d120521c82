"""Several venues: the gateway gets them in one file, which its own reader takes."""

import json
import re
from pathlib import Path

import pytest

from chart_driver import HelmFailed, rendered
from risk_gateway.venue_file import VenueKind, VenueTerms, read

TWO = {
    "spot": {
        "address": "spot.example:7001", "kind": "real", "accounts": ["default"],
        "symbols": ["BTCUSDT"], "tlsSecret": "spot-tls",
    },
    "paper": {"address": "paper.example:7002", "kind": "paper", "symbols": ["ETHUSDT"]},
}  # fmt: skip
SETS = ['venue.address=""', 'venue.kind=""', f"gateway.venues={json.dumps(TWO)}"]


@pytest.mark.parametrize("version", [3, 4])
def test_the_gateway_reads_what_the_chart_writes(version: int) -> None:
    chart = rendered("external", SETS, version=version)
    env = chart.env("stratops-gateway")
    assert not {"STRATOPS_VENUE", "STRATOPS_VENUE_KIND", "STRATOPS_VENUE_TLS_DIR"} & set(env)
    spec = chart.pods()["stratops-gateway"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    file = chart.one("ConfigMap", "stratops-venues")["data"]["venues.toml"]
    assert env["STRATOPS_VENUES"] == f"{mounts['venues']}/venues.toml"
    assert volumes["venues"]["configMap"]["name"] == "stratops-venues"

    tls = Path(mounts["venue-tls-spot"])
    assert volumes["venue-tls-spot"]["secret"]["secretName"] == "spot-tls"  # its name
    paper, spot = read(file.encode())
    btc, eth = frozenset({"BTCUSDT"}), frozenset({"ETHUSDT"})
    real = VenueKind.REAL
    assert paper == VenueTerms("paper.example:7002", "paper", symbols=eth)
    assert spot == VenueTerms("spot.example:7001", "spot", real, frozenset({"default"}), btc, tls)


def test_another_file_is_another_pod_and_every_address_is_let_through() -> None:
    one = rendered("external", SETS)
    other = rendered("external", [*SETS, 'gateway.venues.paper.address="paper.example:7003"'])

    def said(chart: object) -> str:
        found = chart.one("StatefulSet", "stratops-gateway")  # type: ignore[attr-defined]  # a chart
        return str(found["spec"]["template"]["metadata"]["annotations"]["stratops.dev/venues"])

    assert said(one) != said(other)
    egress = one.one("NetworkPolicy", "stratops-gateway")["spec"]["egress"]
    ports = {port["port"] for rule in egress for port in rule["ports"]}
    assert {7001, 7002} <= ports


def test_venues_of_their_own_need_no_paper_venue() -> None:
    paper = {"paper": TWO["paper"]}
    names = set(rendered("demo", [f"gateway.venues={json.dumps(paper)}"]).pods())
    assert "stratops-venue" not in names


@pytest.mark.parametrize(
    ("values", "sets", "why"),
    [
        ("external", SETS[2:], "venue.address: venue.example:7001, expected it empty"),
        ("demo", SETS, "gateway.venues.spot.kind: real, but feed.url is empty"),
        ("demo", ['gateway.venues={"a":{"address":"h:1"}}'], "kind"),
        ("demo", ['gateway.venues={"a":{"address":"h","kind":"paper"}}'], "address"),
        ("demo", ['gateway.venues={"A":{"address":"h:1","kind":"paper"}}'], "A"),
    ],
)
def test_what_contradicts_itself_is_refused(values: str, sets: list[str], why: str) -> None:
    with pytest.raises(HelmFailed, match=re.escape(why)):
        rendered(values, sets)
