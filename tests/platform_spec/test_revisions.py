"""A revision is its content, however that is spelled."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from platform_spec import revision
from platform_spec.decimals import number, spelling
from platform_spec.manifest import parse
from platform_spec.strategy import Spec, Strategy

DIGEST = "c0de"
MANIFEST: dict[str, Any] = {
    "apiVersion": "stratops.dev/v1alpha1",
    "kind": "Strategy",
    "metadata": {"name": "probe"},
    "spec": {
        "strategy": {"builtin": "momentum"},
        "version": "1.0.0",
        "parameters": {"lookback_period": 200, "threshold": 0.0001, "allow_short": False},
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "mode": "simulation",
        "capital": {"amount": 1000},
        "risk": {"limits": {"max_order_value": "50000", "max_drawdown": 0.1}},
    },
}


def spec_of(text: str) -> Spec:
    return parse(text.encode(), "desk.yaml").strategies[0].strategy.spec


def name_of(manifest: Mapping[str, Any]) -> str:
    return revision.revision_name(Strategy.model_validate(manifest).spec, DIGEST)


def changed(**fields: Any) -> dict[str, Any]:
    return {**MANIFEST, "spec": {**MANIFEST["spec"], **fields}}


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, dict):
        names = random.sample(list(value), len(value))
        return {name: shuffled(value[name], random) for name in names}
    return value


NAME = name_of(MANIFEST)


def test_a_name_is_ten_hex_digits() -> None:
    assert len(NAME) == 10
    int(NAME, 16)


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(random: Any) -> None:
    assert name_of(shuffled(MANIFEST, random)) == NAME


@given(st.sampled_from(["\n", "# a comment\n", "\n  # ünd\n\n"]), st.booleans())
def test_comments_and_style_change_nothing(between: str, flow: bool) -> None:
    text = yaml.safe_dump(MANIFEST, default_flow_style=flow, allow_unicode=True)
    assert revision.revision_name(spec_of(f"{between}{text}{between}"), DIGEST) == NAME


@pytest.mark.parametrize(
    "fields",
    [
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"rollout": {"type": "Canary", "workingOrders": "Keep"}},
        {"suspend": True},
        {"account": None, "feed": None},
        {"risk": {**MANIFEST["spec"]["risk"], "policy": "desk"}},
    ],
    ids=["resources", "rollout", "suspend", "nulls", "policy"],
)
def test_what_is_no_content_changes_nothing(fields: dict[str, Any]) -> None:
    assert name_of(changed(**fields)) == NAME


def test_metadata_changes_nothing() -> None:
    metadata = {"name": "other", "namespace": "desk", "labels": {"a": "b"}, "annotations": {}}
    assert name_of({**MANIFEST, "metadata": metadata}) == NAME


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "1.0.1"},
        {"version": None},
        {"strategy": {"builtin": "sma_crossover"}},
        {"symbols": ["BTCUSDT"]},
        {"mode": "observation"},
        {"mode": None},
        {"account": "other"},
        {"capital": {"amount": 1001}},
        {"risk": None},
        {"feed": {"redis": {"url": "redis://other:6379"}}},
        {"parameters": {}},
        {"parameters": {**MANIFEST["spec"]["parameters"], "lookback_period": 201}},
        {"parameters": {**MANIFEST["spec"]["parameters"], "allow_short": True}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_change_of_content_is_another_revision(fields: dict[str, Any]) -> None:
    assert name_of(changed(**fields)) != NAME


def test_other_code_is_another_revision() -> None:
    spec = Strategy.model_validate(MANIFEST).spec
    assert revision.revision_name(spec, "other") != NAME
    assert revision.state_key(spec, "other") != revision.state_key(spec, DIGEST)


@pytest.mark.parametrize("one", ["1", "1.0", "1e0", "1.00", "10e-1", '"1"'])
def test_numbers_that_mean_the_same_are_the_same(one: str) -> None:
    text = json.dumps(changed(parameters={"a": "ONE"}, capital={"amount": "ONE"}))
    spec = spec_of(text.replace('"ONE"', one))
    assert revision.revision_name(spec, DIGEST) == name_of(
        changed(parameters={"a": 1}, capital={"amount": 1})
    )


def test_a_small_number_needs_no_point() -> None:
    assert spec_of(json.dumps(MANIFEST).replace("0.0001", "1e-4")) == spec_of(json.dumps(MANIFEST))
    assert number(1e-7) == Decimal("0.0000001")


def test_text_that_looks_like_a_number_stays_as_it_is() -> None:
    assert revision.normalised({"label": "1.10", "n": 1.10}) == {"label": "1.10", "n": "1.1"}


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, width=64)))
def test_a_number_survives_the_api_server(value: float) -> None:
    """It keeps a float's shortest digits, and whole ones come back without point and exponent."""
    whole = float(value).is_integer() and abs(value) < 1e21
    kept = int(Decimal(repr(value))) if whole else json.loads(json.dumps(value))
    assert number(kept) == number(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**12)))
def test_a_spelling_is_read_as_the_same_number(exact: Decimal) -> None:
    text = spelling(exact)
    assert number(text) in (exact, None)
    assert "E" not in text
    assert text == spelling(Decimal(text))


@pytest.mark.parametrize(
    "value", [True, None, "", "1_000", "010", "+1", " 1", "1e9999", "nan", "٣", 10**50, "1" * 99]
)
def test_what_is_no_bounded_number_is_none(value: object) -> None:
    assert number(value) is None


def test_state_moves_between_versions_and_modes() -> None:
    spec = Strategy.model_validate(MANIFEST).spec
    other = Strategy.model_validate(
        changed(version="2.0.0", mode="live", risk={"policy": "p"}, rollout={"type": "Direct"})
    ).spec
    assert revision.state_key(spec, DIGEST) == revision.state_key(other, DIGEST)


@pytest.mark.parametrize(
    "fields",
    [{"symbols": ["BTCUSDT"]}, {"parameters": {}}, {"strategy": {"builtin": "sma_crossover"}}],
    ids=lambda fields: next(iter(fields)),
)
def test_state_does_not_move_where_it_means_something_else(fields: dict[str, Any]) -> None:
    before, after = (Strategy.model_validate(each).spec for each in (MANIFEST, changed(**fields)))
    assert revision.state_key(before, DIGEST) != revision.state_key(after, DIGEST)


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    with pytest.raises(TypeError):
        revision.canonical({"a": object()})
