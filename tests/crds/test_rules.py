"""What the API server refuses of a Strategy, and how it says so; each rule has its counterpart."""

from typing import Any

import pytest

from crd_driver import LIVE, SMALLEST, Api, Refused, policy, strategy
from platform_spec import stored
from platform_spec.code import text
from platform_spec.metadata import API_VERSION
from platform_spec.objects import strategy_of
from platform_spec.revision import revise
from platform_spec.status import status_of

pytestmark = pytest.mark.cluster

DIGEST = "a/b@sha256:" + "0" * 64


def refusal(api: Api, spec: dict[str, Any], name: str = "probe") -> str:
    with pytest.raises(Refused) as caught:
        api.tried(SMALLEST | spec, name=name)
    return str(caught.value).replace('\\"', '"')


@pytest.mark.parametrize(
    ("spec", "field", "expected"),
    [
        ({"strategy": {}}, "spec.strategy", "expected exactly one of builtin, class, source"),
        ({"strategy": {"builtin": "a", "image": "b"}}, "spec.strategy", "expected exactly one"),
        ({"strategy": {"source": {}}}, "spec.strategy.source", "expected exactly one of configMap"),
        (
            {"strategy": {"source": {"file": "a.py"}}},
            "spec.strategy.source.file",
            "expected configMap or inline: a cluster has no files beside the manifest",
        ),
        ({"feed": {}}, "spec.feed", "expected exactly one of redis, nats"),
        (
            {"feed": {"redis": {"url": "redis://me:secret@feed"}}},
            "spec.feed.redis.url",
            "expected an address without user and password",
        ),
        (
            {"feed": {"nats": {"url": "nats://me@feed"}}},
            "spec.feed.nats.url",
            "expected an address without user and password",
        ),
        (
            {"feed": {"redis": {"url": "redis://f", "channels": ["a", "a"]}}},
            "spec.feed.redis.channels",
            "expected each only once",
        ),
        ({"symbols": ["A", "A"]}, "spec.symbols", "expected each only once"),
        (
            {"risk": {"limits": {"blocked_symbols": ["A", "A"]}}},
            "spec.risk.limits.blocked_symbols",
            "expected each only once",
        ),
        (
            {**LIVE, "risk": {}},
            "spec.risk",
            "expected the name of a RiskPolicy, which mode live needs",
        ),
        (
            {"mode": "live", "risk": {"policy": "p"}},
            "spec.capital",
            "expected an amount, which mode live needs",
        ),
        (
            {**LIVE, "capital": {"currency": "USDT"}},
            "spec.capital.amount",
            "missing, expected an amount, which mode live needs",
        ),
        (
            {**LIVE, "image": "a/b:1"},
            "spec.image",
            "expected an image with @sha256:, which mode live needs",
        ),
        (
            {**LIVE, "strategy": {"image": "a/b:1"}},
            "spec.strategy.image",
            "expected an image with @sha256:, which mode live needs",
        ),
        ({"parameters": {"a-b": 1}}, "spec.parameters", "expected Python names"),
        ({"parameters": {"a": None}}, "spec.parameters", "each with a value"),
        (
            {"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "500m"}}},
            "spec.resources.requests.cpu",
            "expected at most limits.cpu",
        ),
        (
            {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000Mi"}}},
            "spec.resources.requests.memory",
            "expected at most limits.memory",
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_with_field_and_expectation(
    api: Api, spec: dict[str, Any], field: str, expected: str
) -> None:
    said = refusal(api, spec)
    assert field in said
    assert expected in said


@pytest.mark.parametrize(
    "spec",
    [
        {"strategy": {"class": "my_package.momentum:Momentum"}, "image": "a/b:1"},
        {"strategy": {"source": {"inline": "x = 1"}}},
        {"strategy": {"source": {"configMap": {"name": "code", "key": "strategy.py"}}}},
        {"strategy": {"image": "a/b:1"}},
        {"feed": {"redis": {"url": "redis://feed:6379/1", "channels": ["market:{symbol}", "b*"]}}},
        {"feed": {"nats": {"url": "nats://[::1]:4222", "subjects": ["market.{symbol}.>"]}}},
        {"symbols": ["A", "B"]},
        {"risk": {"limits": {"blocked_symbols": [], "allowed_symbols": ["A"]}}},
        LIVE,
        {**LIVE, "image": DIGEST},
        {**LIVE, "strategy": {"image": DIGEST}},
        {"mode": "observation", "capital": {"currency": "EUR"}},
        {"parameters": {"a": 1, "b": "x", "c": [1.5, {"d": True}]}},
        {"resources": {"requests": {"cpu": 0.5}, "limits": {"cpu": "500m", "memory": 1_000_000}}},
        {"resources": {"requests": {"memory": "1000Mi"}, "limits": {"memory": "1Gi"}}},
        {"rollout": {"type": "Canary", "workingOrders": "Cancel", "supersede": "Finish"}},
        {"deletion": {"positionPolicy": "Flatten", "deadlineSeconds": 5}, "suspend": True},
        {"revisionHistoryLimit": 0, "progressDeadlineSeconds": 3600, "account": "main"},
        {
            "podTemplate": {
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 0}],
                "priorityClassName": "high",
                "imagePullSecrets": [{"name": "registry"}],
                "labels": {"example.com/team": "a"},
                "annotations": {"a": "any text\nat all"},
            }
        },
    ],
)
def test_what_keeps_the_rules_is_taken_and_read_as_written(api: Api, spec: dict[str, Any]) -> None:
    written = SMALLEST | spec
    kept = strategy_of(api.tried(written))
    assert kept.spec == strategy_of(strategy(written)).spec


NUMBER = 'a number above 0, as in "50000"'
SHARE = "a number above 0, at most 1"


@pytest.mark.parametrize(
    ("limits", "field", "expected"),
    [
        ({"max_order_value": 0}, "max_order_value", "should be greater than 0"),
        ({"max_order_value": "0.0"}, "max_order_value: 0.0", NUMBER),
        ({"max_order_value": "many"}, "max_order_value", "should match"),
        ({"max_order_value": True}, "max_order_value: true", NUMBER),
        ({"max_order_value": {}}, "max_order_value", NUMBER),
        ({"max_order_value": []}, "max_order_value", NUMBER),
        ({"max_order_value": "1e41"}, "max_order_value: 1e41", NUMBER),
        ({"max_order_value": "1e999"}, "max_order_value", "should match"),
        ({"max_position_size": "-1"}, "max_position_size: -1", NUMBER),
        ({"max_daily_loss": -1}, "max_daily_loss", "should be greater than 0"),
        ({"max_drawdown": "1.01"}, "max_drawdown: 1.01", SHARE),
        ({"max_drawdown": 1.01}, "max_drawdown", "should be less than or equal to 1"),
        ({"min_account_balance": "-0.1"}, "min_account_balance: -0.1", "a number, 0 or more"),
        ({"min_confidence": "2"}, "min_confidence: 2", "a number from 0 to 1"),
        ({"max_orders_per_second": "1.5"}, "max_orders_per_second: 1.5", "a whole number from 1"),
        ({"max_orders_per_second": 1.5}, "max_orders_per_second", "multiple of 1"),
        ({"max_orders_per_minute": "0"}, "max_orders_per_minute: 0", "a whole number from 1"),
        ({"max_gross_exposure": "0"}, "max_gross_exposure: 0", "a number above 0"),
        ({"max_net_exposure": "-1"}, "max_net_exposure: -1", "a number above 0"),
        ({"max_concentration": "0"}, "max_concentration: 0", "a number above 0"),
        ({"max_open_orders": "2.5"}, "max_open_orders: 2.5", "a whole number from 1"),
        ({"max_price_deviation": "1.01"}, "max_price_deviation: 1.01", SHARE),
    ],
)
def test_a_limit_out_of_bounds_is_refused_by_name(
    api: Api, limits: dict[str, Any], field: str, expected: str
) -> None:
    said = refusal(api, {"risk": {"limits": limits}})
    assert f"spec.risk.limits.{field}" in said
    assert expected in said


@pytest.mark.parametrize("amount", ["0", 0, True, "lots", "-1"])
def test_capital_out_of_bounds_is_refused_by_name(api: Api, amount: Any) -> None:
    assert "spec.capital.amount" in refusal(api, {"capital": {"amount": amount}})


@pytest.mark.parametrize("limits", [{"max_drawdown": 2}, {"max_drawdown": "2"}])
def test_a_policy_keeps_the_same_bounds(api: Api, limits: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"spec\.limits\.max_drawdown"):
        api.create_object(policy("p", {"limits": limits}), dry=True)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"symbols": []}, "spec.symbols"),
        ({"symbols": ["btcusdt"]}, "spec.symbols[0]"),
        ({"mode": "simulate"}, "spec.mode"),
        ({"version": 1.4}, "spec.version"),
        ({"account": "Main"}, "spec.account"),
        ({"suspend": "yes"}, "spec.suspend"),
        ({"deletion": {"deadlineSeconds": 0}}, "spec.deletion.deadlineSeconds"),
        ({"progressDeadlineSeconds": 1.5}, "spec.progressDeadlineSeconds"),
        ({"revisionHistoryLimit": "5"}, "spec.revisionHistoryLimit"),
        ({"strategy": {"class": "nothing"}}, "spec.strategy.class"),
        ({"symbol": ["BTCUSDT"]}, "spec.symbol"),
        ({"resources": {"limits": {"memory": "lots"}}}, "spec.resources.limits.memory"),
    ],
)
def test_what_is_of_another_form_is_refused_by_name(
    api: Api, spec: dict[str, Any], field: str
) -> None:
    assert field in refusal(api, spec)


@pytest.mark.parametrize("name", ["a" * 41, "a.b"])
def test_a_name_leaves_room_for_those_of_its_pods(api: Api, name: str) -> None:
    assert "metadata.name: expected lower-case letters" in refusal(api, {}, name)


def test_the_longest_name_is_taken(api: Api) -> None:
    assert api.tried(SMALLEST, name="a" * 40)["metadata"]["name"] == "a" * 40


@pytest.mark.parametrize(("before", "after"), [("main", "other"), ("main", None), (None, "main")])
def test_an_account_stays(desk: Api, before: str | None, after: str | None) -> None:
    kept = desk.create(SMALLEST | ({"account": before} if before else {}))
    kept["spec"] = SMALLEST | ({"account": after} if after else {})
    with pytest.raises(Refused, match=r"spec\.account.*expected as it was"):
        desk.replace(kept)


def test_what_is_no_account_may_change(desk: Api) -> None:
    kept = desk.create({**SMALLEST, "account": "main"})
    kept["spec"] = {**SMALLEST, "account": "main", "symbols": ["ETHUSDT"]}
    assert desk.replace(kept)["metadata"]["generation"] == 2


def stored_revision() -> dict[str, Any]:
    made = revise("d/probe", strategy_of(strategy(SMALLEST)).spec, text("x = 1", "probe.py"))
    return {
        "apiVersion": API_VERSION,
        "kind": "StrategyRevision",
        "metadata": {"name": f"probe-{made.name}"},
        "spec": stored.written(made),
    }


def test_a_stored_revision_never_changes(desk: Api) -> None:
    kept = desk.create_object(stored_revision())
    kept["metadata"]["labels"] = {"a": "b"}
    kept = desk.replace(kept)
    kept["spec"]["runner"] = "{}"
    with pytest.raises(Refused, match="expected as it was: a revision never changes"):
        desk.replace(kept)


def test_a_stored_revision_is_whole(api: Api) -> None:
    body = stored_revision()
    del body["spec"]["content"]
    with pytest.raises(Refused, match=r"spec\.content.*Required value"):
        api.create_object(body, dry=True)


def test_a_strategy_that_nobody_saw_is_not_ready(desk: Api) -> None:
    status = status_of(desk.create(SMALLEST))
    (ready,) = status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "Unknown", "NotYetObserved")
    assert status.observed_generation == -1
