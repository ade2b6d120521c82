"""What is kept of objects: what counts for a decision, whatever else is written in them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from strategy_operator.cluster import CONFIG_MAP, POD, POLICY, STRATEGY, Resource
from strategy_operator.metrics import Counts, Levels, OperatorCollector, exposition
from strategy_operator.objects import Clocks, PodObject, StrategyObject, brought, pod, strategy
from strategy_operator.observed import PodPhase, Policy, Trouble
from strategy_operator.series import series

CREATED = 1_795_262_400.0  # on the wall
CLOCKS = Clocks(lambda: CREATED + 30.0, lambda: 500.0)
OWNER = {"kind": "Strategy", "name": "btc", "uid": "s1", "controller": True}
METADATA = {
    "name": "btc-0123456789-2",
    "namespace": "desk",
    "uid": "p1",
    "resourceVersion": "17",
    "creationTimestamp": "2026-11-21T12:00:00Z",
    "ownerReferences": [OWNER],
    "managedFields": [{"manager": "kubelet"}],
}


def runner_pod(**status: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "runner", "image": "runner:1"}]}
    return {"metadata": METADATA, "spec": spec, "status": {"phase": "Pending", **status}}


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "runner", "restartCount": 3, **state}]}


def trouble(**status: Any) -> Trouble | None:
    return pod(runner_pod(**status), CLOCKS).pod.trouble


def test_a_pod_is_known_by_its_name_and_its_owner() -> None:
    found = pod(runner_pod(), CLOCKS)
    assert (found.strategy, found.pod.owner_uid) == ("btc", "s1")
    assert (found.pod.revision, found.pod.attempt) == ("0123456789", 2)
    assert (found.pod.phase, found.pod.image) == (PodPhase.PENDING, "runner:1")


@pytest.mark.parametrize("started", [True, False])
def test_a_pod_has_started_when_its_runner_has(started: bool) -> None:
    assert pod(runner_pod(**container(started=started)), CLOCKS).pod.started is started
    assert not pod(runner_pod(), CLOCKS).pod.started


def test_a_pod_is_deleting_as_its_metadata_say() -> None:
    leaving = runner_pod()
    leaving["metadata"] = METADATA | {"deletionTimestamp": "2026-11-21T12:01:00Z"}
    assert pod(leaving, CLOCKS).pod.deleting


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        (container(state={"waiting": {"reason": "ContainerCreating"}}), None),
        (container(state={"running": {}}), None),
        (container(state={"terminated": {"exitCode": 0, "reason": "Completed"}}), None),
        (
            container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such"}}),
            Trouble("ImagePullBackOff", "no such"),
        ),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                lastState={"terminated": {"exitCode": 3, "message": "a\nno parameter 'n'\n"}},
            ),
            Trouble("CrashLoopBackOff", "no parameter 'n'"),
        ),
        (
            container(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            Trouble("OOMKilled", "OOMKilled, exit code 137"),
        ),
        (
            {"reason": "Evicted", "message": "low on memory", **container(state={})},
            Trouble("Evicted", "low on memory"),
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ]
            },
            Trouble("Unschedulable"),
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_why_a_pod_does_not_come_up(status: dict[str, Any], expected: Trouble | None) -> None:
    assert trouble(**status) == expected


@pytest.mark.parametrize(
    ("metadata", "as_made"),
    [
        ({"generation": 1}, True),
        ({"generation": 2}, False),
        ({"generation": 2, "deletionTimestamp": "2026-11-21T12:01:00Z"}, True),
        ({"generation": 3, "deletionTimestamp": "2026-11-21T12:01:00Z"}, False),
        ({}, False),  # of a Kubernetes that does not count
    ],
)
def test_whether_anybody_changed_a_pod_since_it_was_made(
    metadata: dict[str, Any], as_made: bool
) -> None:
    raw = runner_pod()
    raw["metadata"] = METADATA | metadata
    assert pod(raw, CLOCKS).pod.as_made is as_made


def test_a_pod_of_somebody_else_with_our_labels_is_not_ours() -> None:
    labels = {"stratops.dev/strategy": "btc"}
    owner = {"kind": "Job", "name": "other", "uid": "j1", "controller": True}
    raw = runner_pod() | {"metadata": METADATA | {"ownerReferences": [owner], "labels": labels}}
    found = pod(raw, CLOCKS)
    assert (found.strategy, found.pod.owner_uid) == ("btc", "j1")


def at(wall: float, monotonic: float) -> Clocks:
    return Clocks(lambda: wall, lambda: monotonic)


@pytest.mark.parametrize(
    ("clocks", "created_at"),
    [
        (CLOCKS, 470.0),
        (at(CREATED + 3_630.0, 500.0), 500.0 - 3_630.0),
        (at(CREATED - 60.0, 500.0), 500.0),
    ],
    ids=["half a minute ago", "after an hour's sleep", "the API server's clock is ahead"],
)
def test_a_pod_was_created_as_long_ago_as_both_clocks_say_now(
    clocks: Clocks, created_at: float
) -> None:
    assert pod(runner_pod(), clocks).pod.created_at == pytest.approx(created_at)


@pytest.mark.parametrize("resource", [POD, CONFIG_MAP], ids=lambda each: each.kind)
def test_the_same_object_read_a_moment_later_is_no_news(resource: Resource) -> None:
    later = at(CREATED + 31.000_1, 501.0)
    assert brought(resource, runner_pod(), CLOCKS) == brought(resource, runner_pod(), later)


def an_object(**parts: Any) -> dict[str, Any]:
    metadata = {name: METADATA[name] for name in ("namespace", "uid", "resourceVersion")}
    return {"metadata": {**metadata, "name": "btc"}, **parts}


def test_a_strategy_is_kept_without_what_only_tools_read() -> None:
    raw = an_object(spec={"symbols": ["BTCUSDT"]})
    raw["metadata"] |= {
        "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "x"},
    }
    kept = strategy(raw).manifest()
    assert kept["metadata"]["annotations"] == {"mine": "x"}
    assert "managedFields" not in kept["metadata"]
    assert kept["spec"] == raw["spec"]


def test_a_strategy_says_where_its_code_is() -> None:
    source = {"strategy": {"source": {"configMap": {"name": "code", "key": "a.py"}}}}
    assert strategy(an_object(spec=source)).source == "code"


@pytest.mark.parametrize("spec", [{}, {"strategy": 7}, {"strategy": {"source": []}}], ids=repr)
def test_whatever_a_spec_says_it_is_kept(spec: dict[str, Any]) -> None:
    assert strategy(an_object(spec=spec)).source == ""


def test_a_policy_halts_only_where_it_says_so() -> None:
    halted = brought(POLICY, an_object(spec={"halted": True}), CLOCKS).value
    assert halted == Policy("btc", halted=True)
    assert brought(POLICY, an_object(), CLOCKS).value == Policy("btc")


def test_what_was_brought_names_its_version() -> None:
    item = brought(STRATEGY, an_object(spec={}), CLOCKS, deleted=True)
    assert (item.key, item.uid, item.version, item.deleted) == (("desk", "btc"), "p1", 17, True)
    assert isinstance(item.value, StrategyObject)
    assert isinstance(brought(POD, runner_pod(), CLOCKS).value, PodObject)


def test_a_config_map_nobody_owns_is_of_no_strategy() -> None:
    raw = {"metadata": METADATA | {"ownerReferences": []}}
    assert brought(CONFIG_MAP, raw, CLOCKS).value.strategy == ""


def ready(status: str, reason: str) -> list[dict[str, str]]:
    return [
        {"type": "Armed", "status": "True"},
        {"type": "Ready", "status": status, "reason": reason},
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "NotYetObserved"),
        ({"conditions": [{"type": "Armed", "status": "True"}]}, "NotYetObserved"),
        ({"conditions": ready("False", "Suspended")}, "Suspended"),
        ({"conditions": ready("Unknown", "GatewayUnreachable")}, "GatewayUnreachable"),
        ({"conditions": ready("True", "Armed")}, ""),
    ],
)
def test_why_a_strategy_is_not_ready_is_kept(status: dict[str, Any], reason: str) -> None:
    written = {"metadata": METADATA, "spec": {}, "status": status}
    assert strategy(written).not_ready == reason


def test_a_scrape_names_each_strategy_that_is_not_ready_and_why() -> None:
    shown = Levels(not_ready=[("desk", "desk/btc", "NoDesk")])
    text = exposition(OperatorCollector(Counts(), lambda: shown)).decode()
    named = 'stratops_strategy_not_ready{namespace="desk",strategy="desk/btc",reason="NoDesk"} 1.0'
    assert named in text


@given(st.lists(st.tuples(st.text(), st.text()), unique=True))
def test_series_are_read_as_they_were_meant(values: list[tuple[str, str]]) -> None:
    page = series("strategies", "Of each", ("name", "why"), values).decode()
    (family,) = text_string_to_metric_families(page)
    assert (family.name, family.type, family.documentation) == ("strategies", "gauge", "Of each")
    read = [(each.labels["name"], each.labels["why"], each.value) for each in family.samples]
    assert read == [(*each, 1.0) for each in values]
