"""What the worker makes of decisions, on a real API server; what decides is in the test's hand."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from crd_driver import SMALLEST, Api, strategy
from platform_spec.status import Condition, ConditionStatus, StrategyStatus, status_of
from strategy_operator import names
from strategy_operator.access import Access
from strategy_operator.actions import (
    Action,
    AddFinalizer,
    CreateConfigMap,
    CreatePod,
    CreateRevision,
    Decision,
    DeleteConfigMap,
    DeletePod,
    Event,
    RemoveFinalizer,
)
from strategy_operator.cluster import Cluster as ApiServer
from strategy_operator.names import Owner
from strategy_operator.observed import Observed
from strategy_operator.operation import Operator
from strategy_operator.settings import Settings
from strategy_operator.throttle import Throttle

pytestmark = pytest.mark.cluster

REVISION = "0123456789"


@dataclass
class Mind:
    """Decides as it is told, and remembers what it was shown."""

    decide: Callable[[Observed], Decision]
    seen: list[Observed] = field(default_factory=list)

    def __call__(self, observed: Observed) -> Decision:
        self.seen.append(observed)
        return self.decide(observed)


@asynccontextmanager
async def at_work(
    access: Access, namespace: str, decide: Callable[[Observed], Decision], **settings: Any
) -> AsyncIterator[tuple[Operator, Mind]]:
    stop, mind = asyncio.Event(), Mind(decide)
    usual = Settings(namespace, "test", "localhost/pause:1", pull_policy="Never")
    async with ApiServer(access) as server, ApiServer(access, Throttle(1_000, 1_000)) as apart:
        operator = Operator(replace(usual, **settings), server, apart, mind)
        running = asyncio.create_task(operator.run(stop))
        try:
            yield operator, mind
        finally:
            stop.set()
            await asyncio.to_thread(operator._watching.stop, 20.0)
            await running
            await asyncio.sleep(0.2)  # for TLS to take its leave
    assert operator._counts.slow_callbacks == 0


async def until(fact: Callable[[], object], within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(fact):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def owner(observed: Observed) -> Owner:
    metadata = observed.strategy["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])


def child(observed: Observed, kind: str, **parts: Any) -> dict[str, Any]:
    its = owner(observed)
    number = "-1" if kind == "Pod" else ""
    metadata = {
        "name": f"{its.name}-{REVISION}{number}",
        "namespace": its.namespace,
        "labels": dict(names.labels(its.name, REVISION)),
        "ownerReferences": [its.reference()],
    }
    api = "stratops.dev/v1alpha1" if kind == "StrategyRevision" else "v1"
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}


def pod(observed: Observed) -> CreatePod:
    """That nobody will ever start."""
    spec = {"nodeName": "nowhere", "containers": [{"name": "runner", "image": "none"}]}
    return CreatePod(child(observed, "Pod", spec=spec))


def once(*actions: Action, **more: Any) -> Callable[[Observed], Decision]:
    """Does these, each time that it is asked; nothing for a strategy that is being deleted."""

    def decide(observed: Observed) -> Decision:
        if "deletionTimestamp" in observed.strategy["metadata"]:
            return Decision(None)
        return Decision(None, actions, **more)

    return decide


def said(text: str) -> StrategyStatus:
    condition = Condition(
        type="Ready",
        status=ConditionStatus.FALSE,
        reason="Tried",
        message=text,
        last_transition_time="2026-11-21T12:00:00Z",
    )
    return StrategyStatus(observed_generation=1, conditions=(condition,))


async def test_a_status_is_written_once(resources: Api, access: Access) -> None:
    def decide(observed: Observed) -> Decision:
        wanted = said("hello")
        return Decision(wanted if status_of(observed.strategy) != wanted else None)

    resources.create(SMALLEST)
    async with at_work(access, resources.namespace, decide) as (operator, _):
        await until(lambda: _ready(resources) == "hello")
        await asyncio.sleep(2)
        assert operator._counts.writes == {("Strategy", "patch"): 1}


def _ready(resources: Api, name: str = "probe") -> str:
    conditions = resources.get("Strategy", name)["status"]["conditions"]
    return next(str(each["message"]) for each in conditions if each["type"] == "Ready")


async def test_what_was_done_is_seen_by_the_next_decision(resources: Api, access: Access) -> None:
    def decide(observed: Observed) -> Decision:
        if not observed.pods:
            return Decision(None, (AddFinalizer(), pod(observed)))
        if not observed.pods[0].deleting and observed.config_maps:
            gone = DeletePod(observed.pods[0].name, observed.pods[0].uid, "tried")
            return Decision(None, (gone,))
        if not observed.config_maps:
            return Decision(None, (CreateConfigMap(child(observed, "ConfigMap", data={})),))
        return Decision(None)

    resources.create(SMALLEST)
    async with at_work(access, resources.namespace, decide) as (operator, mind):
        await until(lambda: operator._counts.actions["DeletePod", "done"])
        assert operator._counts.actions["CreatePod", "done"] == 1
        assert operator._counts.actions["CreateConfigMap", "done"] == 1
        assert names.FINALIZER in mind.seen[-1].strategy["metadata"]["finalizers"]
    resources.cluster.kubectl(
        "patch", "strategy", "probe", "-n", resources.namespace, "--type=merge",
        "-p", json.dumps({"metadata": {"finalizers": []}}),
    )  # fmt: skip


async def test_our_finalizer_goes_and_that_of_others_stays(resources: Api, access: Access) -> None:
    metadata = {"finalizers": ["example.com/theirs", names.FINALIZER]}
    body = strategy(SMALLEST)
    body["metadata"] |= metadata
    resources.create_object(body)
    async with at_work(access, resources.namespace, once(RemoveFinalizer())):

        def left() -> bool:
            there = resources.get("Strategy", "probe")["metadata"]["finalizers"]
            return bool(there == ["example.com/theirs"])

        await until(left)
    resources.cluster.kubectl(
        "patch", "strategy", "probe", "-n", resources.namespace, "--type=merge",
        "-p", json.dumps({"metadata": {"finalizers": []}}),
    )  # fmt: skip


async def test_a_name_that_is_taken_becomes_an_obstacle_and_is_left_alone(
    resources: Api, access: Access
) -> None:
    taken = f"probe-{REVISION}"
    where = ("-n", resources.namespace)
    resources.cluster.kubectl("create", "configmap", taken, "--from-literal=a=theirs", *where)
    resources.create(SMALLEST)

    def decide(observed: Observed) -> Decision:
        if observed.obstacles:
            return Decision(None, again_s=60)
        return Decision(None, (CreateConfigMap(child(observed, "ConfigMap", data={})),))

    async with at_work(access, resources.namespace, decide) as (_, mind):
        await until(lambda: any(each.obstacles for each in mind.seen))
        obstacle = mind.seen[-1].obstacles[0]
        assert (obstacle.action, obstacle.target, obstacle.reason) == (
            "CreateConfigMap",
            taken,
            "Foreign",
        )
        assert obstacle.at == pytest.approx(time.monotonic(), abs=30)
    data = resources.cluster.kubectl("get", "configmap", taken, *where, "-o", "jsonpath={.data}")
    assert json.loads(data) == {"a": "theirs"}


async def test_after_a_failure_nothing_more_of_that_decision_is_done(
    resources: Api, access: Access
) -> None:
    resources.create(SMALLEST)

    def decide(observed: Observed) -> Decision:
        invalid = child(observed, "Pod", spec={"containers": []})
        return Decision(None, (CreatePod(invalid), AddFinalizer()))

    async with at_work(access, resources.namespace, decide) as (operator, mind):
        await until(lambda: operator._counts.actions["CreatePod", "Invalid"] >= 2)
        assert operator._counts.actions["AddFinalizer", "done"] == 0
        assert mind.seen[-1].obstacles[0].reason == "Invalid"


async def test_a_fault_is_shown_on_its_strategy_and_holds_up_no_other(
    resources: Api, access: Access
) -> None:
    def decide(observed: Observed) -> Decision:
        if owner(observed).name == "probe":
            raise ZeroDivisionError("by a test")
        wanted = said("well")
        return Decision(wanted if status_of(observed.strategy) != wanted else None)

    resources.create(SMALLEST)
    resources.create(SMALLEST, name="other")
    async with at_work(access, resources.namespace, decide) as (operator, _):
        await until(lambda: _ready(resources, "other") == "well")

        def shown() -> bool:
            conditions = resources.get("Strategy", "probe")["status"]["conditions"]
            return any("ZeroDivisionError: by a test" in each["message"] for each in conditions)

        await until(shown)
        version = resources.get("Strategy", "probe")["metadata"]["resourceVersion"]
        await until(lambda: operator._counts.faults >= 4)
        assert resources.get("Strategy", "probe")["metadata"]["resourceVersion"] == version


async def test_what_is_in_a_revision_is_read_when_it_is_asked_for(
    resources: Api, access: Access
) -> None:
    spec = {
        "strategy": "probe", "revision": REVISION, "hash": "0" * 64, "codeDigest": "1" * 64,
        "stateKey": "2" * 64, "content": '{"a":1}', "runner": '{"b":2}',
    }  # fmt: skip
    found: list[tuple[str, str]] = []

    def decide(observed: Observed) -> Decision:
        if not observed.revisions:
            kept = child(observed, "StrategyRevision", spec=spec)
            return Decision(None, (CreateRevision(kept),))
        found.append((observed.revisions[0].content, observed.revisions[0].runner))
        return Decision(None)

    resources.create(SMALLEST)
    async with at_work(access, resources.namespace, decide):
        await until(lambda: found)
    assert found[0] == ('{"a":1}', '{"b":2}')


async def test_code_in_a_config_map_is_seen_as_it_changes(resources: Api, access: Access) -> None:
    kubectl, where = resources.cluster.kubectl, ("-n", resources.namespace)
    source = {"source": {"configMap": {"name": "code", "key": "a.py"}}}
    resources.create(SMALLEST | {"strategy": source})
    async with at_work(access, resources.namespace, once()) as (_, mind):
        await until(lambda: mind.seen)
        assert mind.seen[-1].sources == {}
        kubectl("create", "configmap", "code", "--from-literal=a.py=one", *where)
        await until(lambda: mind.seen[-1].sources == {"code": {"a.py": "one"}})
        patch = json.dumps({"data": {"a.py": "two"}})
        kubectl("patch", "configmap", "code", "--type=merge", "-p", patch, *where)
        await until(lambda: mind.seen[-1].sources == {"code": {"a.py": "two"}})
        kubectl("delete", "configmap", "code", *where)
        await until(lambda: mind.seen[-1].sources == {})


async def test_no_more_runners_start_than_may(resources: Api, access: Access) -> None:
    for number in range(5):
        resources.create(SMALLEST, name=f"s{number}")

    def decide(observed: Observed) -> Decision:
        if observed.pods or not observed.may_start:
            return Decision(None)
        return Decision(None, (pod(observed),))

    async with at_work(access, resources.namespace, decide, max_starting=2) as (operator, _):
        await until(lambda: operator._counts.actions["CreatePod", "done"] == 2)
        await asyncio.sleep(2)
        assert operator._counts.actions["CreatePod", "done"] == 2
        assert operator._slots.waiting == 3
        _delete_pods(resources)
        await until(lambda: operator._counts.actions["CreatePod", "done"] >= 4)


def _delete_pods(resources: Api) -> None:
    where = ("-n", resources.namespace)
    resources.cluster.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", *where)


async def test_what_is_said_again_is_one_event(resources: Api, access: Access) -> None:
    resources.create(SMALLEST)
    told = iter(range(5))

    def decide(_: Observed) -> Decision:
        word = next(told, None)
        return Decision(None, (), (Event("Tried", "the same"),) if word is not None else (), 0.1)

    async with at_work(access, resources.namespace, decide) as (_, mind):
        await until(lambda: len(mind.seen) > 8 and _events(resources))
    assert [(each["message"], each["count"]) for each in _events(resources)] == [("the same", 1)]


def _events(resources: Api) -> list[Mapping[str, Any]]:
    where = ("-n", resources.namespace)
    events = json.loads(resources.cluster.kubectl("get", "events", "-o", "json", *where))
    return [each for each in events["items"] if each["involvedObject"]["kind"] == "Strategy"]


async def test_a_config_map_that_is_not_ours_is_not_deleted(resources: Api, access: Access) -> None:
    where = ("-n", resources.namespace)
    resources.cluster.kubectl("create", "configmap", "theirs", *where)
    resources.create(SMALLEST)
    async with at_work(access, resources.namespace, once(DeleteConfigMap("theirs"))) as (op, _):
        await until(lambda: op._counts.actions["DeleteConfigMap", "done"] >= 1)
    resources.cluster.kubectl("get", "configmap", "theirs", *where)
