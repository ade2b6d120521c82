"""Operators as processes: one leads, another follows, and all end in time."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_driver import rendered
from cluster_driver import wait_for
from crd_driver import SMALLEST, Api
from dev_cluster.cluster import Cluster
from operator_driver import OperatorProcess, account, environment_of, uninstall
from strategy_operator import lease, names
from strategy_operator.access import from_kubeconfig
from strategy_operator.actions import Event
from strategy_operator.cluster import LEASE
from strategy_operator.cluster import Cluster as ApiServer
from strategy_operator.events import Events
from strategy_operator.lease import UNINSTALLER, Leadership, Record, taken
from strategy_operator.metrics import Counts

pytestmark = pytest.mark.cluster

Start = Callable[..., OperatorProcess]
SLOW = 4  # a loaded machine


def condition(resources: Api, type_: str, name: str = "probe") -> dict[str, Any]:
    status = resources.get("Strategy", name).get("status", {})
    found = (each for each in status["conditions"] if each["type"] == type_)
    return next(found, {})


def is_said(resources: Api, reason: str, name: str = "probe") -> bool:
    return bool(condition(resources, "Ready", name)["reason"] == reason)


def test_a_strategy_without_a_desk_is_told_so(resources: Api, operators: Start) -> None:
    resources.create(SMALLEST)
    operators().until_ready()
    wait_for(lambda: is_said(resources, "NoDesk"))
    assert condition(resources, "Stalled")["status"] == "True"
    events = ("get", "events", "-n", resources.namespace)  # told after the status
    wait_for(lambda: "NoDesk" in resources.cluster.kubectl(*events))


def test_nothing_is_written_at_rest(resources: Api, operators: Start) -> None:
    resources.create(SMALLEST)
    operator = operators()
    wait_for(lambda: is_said(resources, "NoDesk"))
    wait_for(lambda: operator.writes() >= 2)  # its status, and the event
    before = operator.writes(), resources.get("Strategy", "probe")
    time.sleep(10)
    assert (operator.writes(), resources.get("Strategy", "probe")) == before


def test_an_operator_that_starts_again_writes_nothing(resources: Api, operators: Start) -> None:
    resources.create(SMALLEST)
    operator = operators()
    wait_for(lambda: is_said(resources, "NoDesk"))
    operator.end()
    before = resources.get("Strategy", "probe")
    operator.start()
    operator.until_leading()
    decided = "stratops_operator_decision_cpu_seconds_count"
    wait_for(lambda: operator.metrics().get(decided, 0) >= 1)
    assert resources.get("Strategy", "probe") == before
    assert operator.writes() == 0


def test_what_a_strategy_says_of_itself_goes_with_it(resources: Api, operators: Start) -> None:
    resources.create(SMALLEST)
    operator = operators()

    def shown() -> bool:
        return any("stratops_strategy_info" in name for name in operator.metrics())

    wait_for(shown)
    resources.delete("Strategy", "probe")
    wait_for(lambda: operator.metrics() and not shown())


def test_one_of_two_leads_and_the_other_is_ready_to(resources: Api, operators: Start) -> None:
    first, second = operators("one"), operators("two")
    first.until_ready()
    second.until_ready()
    wait_for(lambda: first.leads or second.leads)
    time.sleep(5)
    assert not (first.leads and second.leads)
    wait_for(lambda: first.leads is not second.leads)  # a page that came late says nothing


def test_a_killed_leader_is_replaced(resources: Api, operators: Start) -> None:
    leader = operators("one")
    leader.until_leading()
    follower = operators("two")
    follower.until_ready()
    killed_at = time.monotonic()
    leader.end(signal.SIGKILL)
    follower.until_leading(within_s=20 * SLOW)
    assert time.monotonic() - killed_at > 10  # not before it can know that nobody acts
    resources.create(SMALLEST)
    wait_for(lambda: is_said(resources, "NoDesk"))


def test_a_leader_that_ends_in_order_is_replaced_at_once(resources: Api, operators: Start) -> None:
    leader = operators("one")
    leader.until_leading()
    follower = operators("two")
    follower.until_ready()
    took_s = leader.end()
    assert leader.process.returncode == 0
    assert took_s < 1.0 * SLOW
    follower.until_leading(within_s=3 * SLOW)


def test_a_leader_that_was_held_up_finds_that_it_leads_no_more(
    resources: Api, operators: Start
) -> None:
    leader = operators("one")
    leader.until_leading()
    follower = operators("two")
    leader.send(signal.SIGSTOP)
    follower.until_leading(within_s=20 * SLOW + 60)
    leader.send(signal.SIGCONT)
    wait_for(lambda: leader.page("/ready")[0] == 200 and not leader.leads)
    assert follower.leads


def test_an_operator_ends_at_once_while_it_starts(operators: Start) -> None:
    operator = operators()
    time.sleep(0.3)
    assert operator.end() < 1.0 * SLOW


def test_the_charts_role_is_enough(
    resources: Api, defined: Cluster, tmp_path: Path, operators: Start
) -> None:
    rules = _rules_of_the_chart()
    kubeconfig = account(defined, resources.namespace, tmp_path, rules)
    resources.create(SMALLEST)
    operator = operators(kubeconfig=str(kubeconfig))
    operator.until_ready()
    wait_for(lambda: is_said(resources, "NoDesk"))
    wait_for(lambda: "NoDesk" in defined.kubectl("get", "events", "-n", resources.namespace))
    assert "403" not in operator.log.read_text()


async def test_with_the_chart_s_rights_what_is_said_again_counts_up(
    resources: Api, defined: Cluster, tmp_path: Path
) -> None:
    kubeconfig = account(defined, resources.namespace, tmp_path, _rules_of_the_chart())
    resources.create(SMALLEST)
    metadata = resources.get("Strategy", "probe")["metadata"]
    times = iter((0.0, 31.0))  # of the two that are said; once in 30 s it is written
    async with ApiServer(from_kubeconfig(kubeconfig)) as server, asyncio.timeout(120):
        events = Events(server, Counts(), "one", monotonic=lambda: next(times))
        writing = asyncio.create_task(events.run())
        for _ in range(2):
            events.say(metadata, Event("NoDesk", "there is none"))
        while _counted(resources) != "2":
            await asyncio.sleep(0.1)
        writing.cancel()


def _counted(resources: Api) -> str:
    where = ("-n", resources.namespace, "-o", "jsonpath={.items[*].count}")
    return resources.cluster.kubectl("get", "events", *where)


def _rules_of_the_chart() -> list[dict[str, Any]]:
    """All of them, whichever Role has them."""
    roles = rendered("demo").of_kind("Role")
    ours = [role for role in roles if role["metadata"]["name"].startswith("stratops-operator")]
    return [rule for role in ours for rule in role["rules"]]


def test_a_right_that_is_missing_stops_nobody_else(
    resources: Api, defined: Cluster, tmp_path: Path, operators: Start
) -> None:
    rules = _rules_of_the_chart()
    without = [rule for rule in rules if "strategies/status" not in rule["resources"]]
    kubeconfig = account(defined, resources.namespace, tmp_path, without)
    resources.create(SMALLEST)
    operator = operators(kubeconfig=str(kubeconfig))
    wait_for(lambda: 'cannot patch resource \\"strategies/status\\"' in operator.log.read_text())
    assert operator.page("/health")[0] == 200
    account(defined, resources.namespace, tmp_path, rules)
    wait_for(lambda: is_said(resources, "NoDesk"))


def test_uninstalling_lets_strategies_go_and_stops_the_operator(
    resources: Api, defined: Cluster, operators: Start
) -> None:
    resources.create(SMALLEST)
    operator = operators()
    operator.until_leading()
    finalizers = json.dumps({"metadata": {"finalizers": [names.FINALIZER, "example.com/theirs"]}})
    where = ("strategy", "probe", "-n", resources.namespace)
    defined.kubectl("patch", *where, "--type=merge", "-p", finalizers)
    _pod(defined, resources.namespace)
    said = uninstall(defined.kubeconfig, environment_of(defined), resources.namespace)
    assert "1 strategies: 0 withdrawn, 1 runner pods deleted, 1 finalizers dropped" in said
    left = resources.get("Strategy", "probe")["metadata"]["finalizers"]
    assert left == ["example.com/theirs"]
    wait_for(lambda: not operator.leads)
    defined.kubectl(
        "patch", *where, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": []}})
    )
    later = operators("later")
    later.until_leading()


def test_a_pod_that_an_operator_makes_after_that_is_deleted_too(
    resources: Api, defined: Cluster, operators: Start
) -> None:
    """A leader may act until it gives up, 10 s after it last had the Lease."""
    resources.create(SMALLEST)
    operators().until_leading()
    where = defined.kubeconfig, environment_of(defined), resources.namespace
    with ThreadPoolExecutor(1) as beside:
        said = beside.submit(uninstall, *where)
        wait_for(lambda: _holder(defined, resources.namespace) == UNINSTALLER)
        time.sleep(2)  # what it does at once is done; it is there for 10 s
        _pod(defined, resources.namespace)
    assert "1 runner pods deleted" in said.result()
    assert not defined.kubectl("get", "pods", "-o", "name", "-n", resources.namespace)


async def test_a_leader_that_meets_another_holder_acts_no_more(
    resources: Api, server: ApiServer
) -> None:
    """At its next look, not at the one after it."""
    leader = Leadership(server, resources.namespace, "leader")
    await leader.attempt()
    assert leader.leading
    held = Record.of(await server.get(LEASE, resources.namespace, lease.NAME))
    theirs = taken(held, UNINSTALLER, datetime.now(UTC))
    await server.put(LEASE, theirs.manifest(resources.namespace))
    await leader.attempt()
    assert not leader.leading


def _holder(cluster: Cluster, namespace: str) -> str:
    holder = "jsonpath={.spec.holderIdentity}"
    return cluster.kubectl("get", "lease", lease.NAME, "-n", namespace, "-o", holder)


def _pod(cluster: Cluster, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "probe-0123456789-1",
            "labels": {"app.kubernetes.io/managed-by": "stratops-operator"},
        },
        "spec": {
            "nodeName": "nowhere",
            "terminationGracePeriodSeconds": 0,  # else it waits for a node to say that it ended
            "containers": [{"name": "runner", "image": "none"}],
        },
    }
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(pod))
