"""A RiskPolicy bounds what strategies that name it may write."""

from typing import Any

import pytest

from platform_spec.manifest import parse
from platform_spec.policy import RiskPolicy, excesses
from platform_spec.problems import InvalidManifest, path_text
from platform_spec.strategy import Spec

POLICY = """\
apiVersion: stratops.dev/v1alpha1
kind: RiskPolicy
metadata: {name: desk-default}
spec:
  limits: {max_order_value: "50000", max_drawdown: 0.1, min_confidence: 0.5}
  allowLive: false
  halted: false
"""
LIVE = {"mode": "live", "capital": {"amount": 1}}


def policy(**limits: Any) -> RiskPolicy:
    return RiskPolicy.model_validate(
        {
            "apiVersion": "stratops.dev/v1alpha1",
            "kind": "RiskPolicy",
            "metadata": {"name": "p"},
            "spec": {"limits": limits},
        }
    )


def spec(fields: dict[str, Any] | None = None, **limits: Any) -> Spec:
    written = {"strategy": {"builtin": "momentum"}, "symbols": ["BTCUSDT"], **(fields or {})}
    return Spec.model_validate({**written, "risk": {"policy": "p", "limits": limits}})


def test_a_policy_stands_in_a_manifest_beside_its_strategies() -> None:
    (written,) = parse(POLICY.encode(), "desk.yaml").policies
    assert written.policy.ref == "desk-default"
    assert written.policy.spec.halted is False


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("0.1", "2", "5: spec.limits.max_drawdown: 2, expected a number above 0, at most 1"),
        ("allowLive", "allowLiv", "6: spec.allowLiv: unknown field; did you mean allowLive?"),
        ("halted: false", "halted: no", "7: spec.halted: 'no', expected true or false"),
    ],
)
def test_a_wrong_field_of_a_policy_is_named(before: str, after: str, problem: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse(POLICY.replace(before, after).encode(), "desk.yaml")
    assert f"desk.yaml:{problem}" in str(caught.value)


def test_a_policy_is_written_once() -> None:
    with pytest.raises(InvalidManifest, match="'desk-default' again, expected each policy once"):
        parse(f"{POLICY}---\n{POLICY}".encode(), "desk.yaml")


@pytest.mark.parametrize(
    ("own", "most", "problem"),
    [
        ({"max_drawdown": 0.2}, {"max_drawdown": "0.1"}, "max_drawdown: 0.2, expected at most 0.1"),
        ({"min_confidence": 0.4}, {"min_confidence": 0.5}, "0.4, expected at least 0.5"),
        (
            {"max_order_value": "0.0000002"},
            {"max_order_value": 1e-7},
            "0.0000002, expected at most 0.0000001",
        ),
        ({"allowed_symbols": ["A"]}, {"allowed_symbols": ["B"]}, "[0]: 'A', expected an allowed"),
        ({"allowed_symbols": ["A"]}, {"blocked_symbols": ["A"]}, "[0]: 'A', expected an allowed"),
    ],
)
def test_what_is_beyond_the_policy_is_named(
    own: dict[str, Any], most: dict[str, Any], problem: str
) -> None:
    (excess,) = excesses(spec(**own), policy(**most))
    assert problem in f"{path_text(excess.path)}: {excess.value}, expected {excess.expected}"
    assert excess.expected.endswith("of RiskPolicy p")


@pytest.mark.parametrize(
    ("own", "most"),
    [
        ({}, {"max_drawdown": 0.05}),
        ({"max_drawdown": 0.5}, {}),
        ({"max_drawdown": "0.10"}, {"max_drawdown": 0.1}),
        ({"min_confidence": 1}, {"min_confidence": 0.5}),
        ({"allowed_symbols": ["A"]}, {"allowed_symbols": ["A", "B"]}),
        ({"allowed_symbols": []}, {"allowed_symbols": ["A"]}),
    ],
    ids=["not written", "not bounded", "spelled otherwise", "tighter", "fewer", "those of both"],
)
def test_what_is_within_the_policy_is_no_excess(own: dict[str, Any], most: dict[str, Any]) -> None:
    assert list(excesses(spec(**own), policy(**most))) == []


def test_live_must_be_allowed() -> None:
    (excess,) = excesses(spec(LIVE), policy())
    assert path_text(excess.path) == "spec.mode"
    allowing = policy().model_copy(
        update={"spec": policy().spec.model_copy(update={"allow_live": True})}
    )
    assert list(excesses(spec(LIVE), allowing)) == []
