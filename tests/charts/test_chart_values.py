"""Values: refused with the field named, or explained in docs/install.md."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart_driver import CHART, ROOT, HelmFailed, rendered

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Where a value is of its own: what a user sets."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path


LEAVES = sorted(leaves(DEFAULTS))


def test_every_wrong_type_is_refused_with_the_field_named() -> None:
    wrong = [f"{path}={_wrong(path)}" for path in LEAVES]
    with pytest.raises(HelmFailed) as failed:
        rendered("demo", wrong)
    said = str(failed.value)
    assert [path for path in LEAVES if f"/{path.replace('.', '/')}'" not in said] == []


@pytest.mark.parametrize("version", [3, 4])
def test_an_unknown_value_is_refused_with_its_name(version: int) -> None:
    for path in ("storag", "gateway.storag", "operator.resources.limit", "tls.issuer.nam"):
        with pytest.raises(HelmFailed, match=path.rpartition(".")[2]):
            rendered("demo", [f"{path}=1"], version=version)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("feed.url", "redis://user:secret@redis:6379"),
        ("feed.url", "http://redis:6379"),
        ("nats.url", "nats://token@nats:4222"),
        ("venue.address", "venue"),
        ("venue.kind", "live"),
        ("tls.mode", "none"),
        ("tls.ca", "not a certificate"),
        ("image.tag", "1 2"),
        ("image.digests.gateway", "sha256:12"),
        ("image.digests.proxy", "sha256:" + "0" * 64),
        ("demo.speed", 0),
        ("symbols", []),
        ("symbols", ["BTCUSDT,ETHUSDT"]),
        ("operator.replicas", 0),
        ("gateway.people", [{"group": "desk-risk", "role": "king"}]),
        ("gateway.people", [{"group": "system:authenticated", "role": "reader"}]),
        ("gateway.people", [{"role": "reader"}]),
        ("gateway.storage.size", ""),
        ("networkPolicy.apiServer.ports", [70_000]),
        ("networkPolicy.apiServer.cidr", "everywhere"),
        ("monitoring.interval", "15"),
        ("monitoring.alerts.feedStaleSeconds", 1),
        ("monitoring.alerts.journalFreeBytes", 67_108_863),
        ("monitoring.alerts.handOverFor", "ten minutes"),
        ("monitoring.alerts.notReadyFor", "0s"),
        ("monitoring.alerts.callersRefused", -1),
        ("logLevel", "verbose"),
        ("image.pullPolicy", "Sometimes"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_field_named(path: str, value: object) -> None:
    # a property that must not be is named beside its object, not in its path
    named = path.replace(".", "/") if not path.endswith("proxy") else "proxy"
    with pytest.raises(HelmFailed, match=named):
        rendered("demo", [f"{path}={json.dumps(value)}"])


def test_a_desk_without_addresses_names_all_that_are_missing() -> None:
    with pytest.raises(HelmFailed) as failed:
        rendered("demo", ["demo.enabled=false"])
    for name in ("feed.url", "nats.url", "venue.address", "demo.enabled=true"):
        assert name in str(failed.value)


@pytest.mark.parametrize("path", ["feed.url", "nats.url", "venue.address"])
def test_one_missing_address_is_named_alone(path: str) -> None:
    others = {"feed.url", "nats.url", "venue.address"} - {path}
    with pytest.raises(HelmFailed) as failed:
        rendered("external", [f'{path}=""'])
    assert path in str(failed.value)
    assert not any(other in str(failed.value) for other in others)


def test_an_address_replaces_the_demo_s_part() -> None:
    names = set(rendered("demo", ['nats.url="nats://nats.example:4333"']).pods())
    assert "stratops-nats" not in names
    assert {"stratops-redis", "stratops-feed", "stratops-venue"} <= names


@pytest.mark.parametrize(
    ("values", "sets", "why"),
    [
        ("external", ['venue.kind=""'], "venue.kind: empty, expected paper or real"),
        ("demo", ['venue.kind="real"'], "venue.kind: real, but venue.address is empty"),
        ("external", ['feed.url=""', "demo.enabled=true"], "venue.kind: real, but feed.url"),
    ],
    ids=["an address without a kind", "the demo's venue", "recorded prices"],
)
def test_a_venue_is_real_only_where_that_is_said_and_can_be(
    values: str, sets: list[str], why: str
) -> None:
    with pytest.raises(HelmFailed, match=re.escape(why)):
        rendered(values, sets)


@pytest.mark.parametrize(
    ("values", "sets", "kind"),
    [
        ("demo", [], "paper"),
        ("external", [], "real"),
        ("external", ['venue.kind="paper"'], "paper"),
        ("external", ['venue.kind="paper"', 'feed.url=""', "demo.enabled=true"], "paper"),
    ],
)
def test_the_gateway_is_told_what_its_venue_is(values: str, sets: list[str], kind: str) -> None:
    assert rendered(values, sets).env("stratops-gateway")["STRATOPS_VENUE_KIND"] == kind


def test_a_cert_manager_desk_needs_its_issuer() -> None:
    with pytest.raises(HelmFailed, match=re.escape("tls.issuer.name")):
        rendered("cert-manager", ['tls.issuer.name=""'])


def test_the_schema_lets_no_object_have_other_properties() -> None:
    open_ones = [
        path
        for path, each in _objects(SCHEMA, "")
        if "properties" in each and each.get("additionalProperties") is not False
    ]
    assert open_ones == []


def test_the_documented_values_are_the_chart_s_with_their_defaults() -> None:
    text = (ROOT / "docs" / "install.md").read_text()
    text = text[text.index("## Values") : text.index("## TLS")]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.+) \|$", text, re.MULTILINE)
    documented = {path: default.strip("`") for path, default, meaning in rows}
    scheduling = re.compile(r"(demo|operator|gateway)\.(podA|nodeS|toler|aff|topol|prio|resources)")
    expected = {path: _shown(_at(path)) for path in LEAVES if not scheduling.match(path)}
    assert documented == expected


def _wrong(path: str) -> str:
    """JSON that the value may not be."""
    if path.endswith("maxUnavailable"):
        return '"few"'
    if path.endswith("className"):
        return "7"
    quantity = ".resources." in path
    return "true" if quantity else "5" if isinstance(_at(path), str) else '"no"'


def _at(path: str) -> Any:
    value = DEFAULTS
    for name in path.split("."):
        value = value[name]
    return value


def _shown(value: Any) -> str:
    if value is None or value in ("", {}, []):
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _objects(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield path, schema
        for name, inner in schema.items():
            yield from _objects(inner, f"{path}/{name}")
