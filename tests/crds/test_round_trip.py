"""What the laptop takes, the API server takes and keeps: the same content, the same revision."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from crd_driver import Api, Refused, strategy
from platform_spec.code import Code
from platform_spec.manifest import parse
from platform_spec.objects import strategy_of
from platform_spec.problems import InvalidManifest
from platform_spec.revision import Revision, normalised, revise
from platform_spec.strategy import Spec
from spec_strategies import RIGHT, damaged

pytestmark = pytest.mark.cluster

CODE = Code("c0de", {"builtin": "momentum"})
one_cluster = settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
ODD_NUMBERS = {
    "strategy": {"builtin": "momentum"},
    "symbols": ["ETHUSDT", "BTCUSDT"],
    "parameters": {"a": 1e-7, "b": 1.0, "c": "0.10", "d": 2**53 + 1, "e": -0.0, "f": [1e21, {}]},
    "capital": {"amount": "0.10"},
    "risk": {"limits": {"max_drawdown": 1e-7, "max_order_value": 1.0}},
}


def revision(spec: Spec) -> Revision:
    return revise("desk/probe", spec, CODE)


def written(spec: Spec) -> Any:
    """All of it, also what is no content, with numbers as a revision has them."""
    return normalised(spec.model_dump())


def on_a_laptop(spec: dict[str, Any]) -> Spec:
    """As read from a manifest file. Raises InvalidManifest."""
    text = json.dumps(strategy(spec), ensure_ascii=False)
    (written,) = parse(text.encode(), "desk.yaml").strategies
    return written.strategy.spec


@given(spec=RIGHT)
@example(spec=ODD_NUMBERS)
@one_cluster
def test_a_spec_that_is_right_is_taken_and_keeps_its_revision(
    api: Api, spec: dict[str, Any]
) -> None:
    kept = api.create(spec)
    api.delete("Strategy", "probe")
    assert revision(strategy_of(kept).spec) == revision(on_a_laptop(spec))
    assert written(strategy_of(kept).spec) == written(on_a_laptop(spec))


@given(spec=RIGHT)
@example(spec=ODD_NUMBERS)
@settings(one_cluster, max_examples=15)
def test_kubectl_sends_what_the_file_says(api: Api, spec: dict[str, Any]) -> None:
    text = json.dumps(spec, ensure_ascii=False)
    head = "apiVersion: stratops.dev/v1alpha1\nkind: Strategy\nmetadata: {name: probe}\n"
    file = f"{head}spec: {text}\n"
    asked = ("create", "--dry-run=server", "-o", "json", "-n", api.namespace, "-f", "-")
    kept = json.loads(api.cluster.kubectl(*asked, stdin=file))
    (written,) = parse(file.encode(), "desk.yaml").strategies
    assert revision(strategy_of(kept).spec) == revision(written.strategy.spec)


@given(spec=damaged())
@settings(one_cluster, max_examples=400)
def test_a_damaged_spec_is_refused_by_name_or_means_the_same(
    api: Api, spec: dict[str, Any]
) -> None:
    here, there = laptop(spec), cluster(api, spec)
    if isinstance(here, Spec) and isinstance(there, Spec):
        assert revision(here) == revision(there)
    elif isinstance(here, Spec):
        assert "a cluster has no files beside the manifest" in str(there)
    elif not isinstance(there, Spec):
        assert "spec." in here
        assert "spec." in there


def laptop(spec: dict[str, Any]) -> Spec | str:
    try:
        return on_a_laptop(spec)
    except InvalidManifest as invalid:
        return str(invalid)


def cluster(api: Api, spec: dict[str, Any]) -> Spec | str:
    """What the API server keeps and the operator reads, else what one of them says."""
    try:
        return strategy_of(api.tried(spec)).spec
    except (Refused, InvalidManifest) as no:
        return str(no)
