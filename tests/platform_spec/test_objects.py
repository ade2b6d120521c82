"""Objects of an API server become models, or problems that name field, value and expectation."""

from dataclasses import replace
from typing import Any

import pytest

from platform_spec import stored
from platform_spec.code import text
from platform_spec.objects import policy_of, revision_of, strategy_of
from platform_spec.problems import InvalidManifest
from platform_spec.revision import revise
from platform_spec.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    Quarantined,
    StrategyStatus,
    Trading,
    status_of,
)

OBJECT: dict[str, Any] = {
    "apiVersion": "stratops.dev/v1alpha1",
    "kind": "Strategy",
    "metadata": {
        "name": "probe",
        "namespace": "desk",
        "uid": "u",
        "generation": 3,
        "annotations": {"Example.com/upper": "its prefix is not for us to judge"},
        "somethingNew": {},
    },
    "spec": {"strategy": {"builtin": "momentum"}, "symbols": ["BTCUSDT"]},
    "status": {"phase": "Running"},
}
READY = Condition(
    type=ConditionType.READY,
    status=ConditionStatus.TRUE,
    reason="Armed",
    last_transition_time="2026-11-21T00:00:00Z",
    observed_generation=3,
)
STATUS = StrategyStatus(
    observed_generation=3,
    phase=Phase.RUNNING,
    revision="0123456789",
    quarantined=(Quarantined(revision="9876543210", reason="CrashLoop"),),
    trading=Trading(signals=3, positions={"BTCUSDT": "0.5"}, position="0.5 BTCUSDT"),
    conditions=(READY,),
)


def problems(resource: dict[str, Any]) -> str:
    with pytest.raises(InvalidManifest) as caught:
        strategy_of(resource)
    return str(caught.value)


def test_what_the_api_server_adds_is_its_own() -> None:
    assert strategy_of(OBJECT).ref == "desk/probe"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"mode": "x"}, "spec.mode: 'x', expected 'observation', 'simulation' or 'live'"),
        ({"parameters": {"a-b": 1}}, "spec.parameters.a-b: 'a-b', expected a Python name"),
        ({"capital": {"amount": True}}, "spec.capital.amount: true, expected a number above 0"),
        ({"feeds": {}}, "spec.feeds: unknown field; did you mean feed?"),
        ({"symbols": None}, "spec.symbols: null, expected a list"),
        (
            {"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "500m"}}},
            "spec.resources.requests.cpu: 1, expected at most limits.cpu, 500m",
        ),
        (
            {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}},
            "spec.resources.requests.memory: '1Gi', expected at most limits.memory, 1G",
        ),
        ({"deletion": {"deadlineSeconds": 0}}, "0, expected a whole number from 1 to 3600"),
        ({"deletion": {"deadlineSeconds": "5"}}, "'5', expected a whole number from 1 to 3600"),
        ({"rollout": {"supersede": "Never"}}, "'Never', expected 'Finish' or 'Replace'"),
        ({"podTemplate": {"labels": {"a b": "c"}}}, "expected a key, as in app or example.com/app"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], problem: str) -> None:
    assert problem in problems({**OBJECT, "spec": {**OBJECT["spec"], **fields}})


@pytest.mark.parametrize("without", ["spec", "metadata", "kind"])
def test_a_missing_part_is_named(without: str) -> None:
    found = problems({name: each for name, each in OBJECT.items() if name != without})
    assert f"{without}" in found


def test_a_policy_is_read_likewise() -> None:
    resource = {**OBJECT, "kind": "RiskPolicy", "spec": {"halted": True, "reason": "storm"}}
    assert policy_of(resource).spec.reason == "storm"


def test_a_revision_is_stored_as_it_was_made() -> None:
    made = revise("desk/probe", strategy_of(OBJECT).spec, text("x = 1", "probe.py"))
    spec = stored.written(made)
    read = revision_of({**OBJECT, "kind": "StrategyRevision", "spec": spec}).spec
    assert (read.strategy, read.revision, read.hash) == ("probe", made.name, made.hash)
    assert (read.content, read.runner, read.image) == (made.content, made.runner, None)


def test_a_status_is_read_as_it_was_written() -> None:
    assert status_of({"status": STATUS.written()}) == STATUS
    assert STATUS.written()["trading"]["realizedPnl"] == ""
    assert "mode" in STATUS.written()
    assert "trading" not in replace(STATUS, trading=None).written()


def test_what_a_newer_operator_added_to_a_status_is_ignored() -> None:
    written = {**STATUS.written(), "weather": "fine"}
    assert status_of({"status": written}) == STATUS


@pytest.mark.parametrize("status", [None, {}, {"epoch": "many"}, {"conditions": [{}]}])
def test_a_status_that_says_nothing_is_one_that_nobody_wrote(status: Any) -> None:
    assert status_of({"status": status}) == StrategyStatus()


def test_a_condition_is_found_by_its_type() -> None:
    assert STATUS.condition(ConditionType.READY) == READY
    assert STATUS.condition(ConditionType.STALLED) is None
