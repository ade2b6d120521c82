"""What is killed beside a strategy comes back: nobody trades twice, the ledger is the venue's."""

import signal

import pytest

from cluster_desk import (
    ClusterDesk,
    decided,
    every_tick,
    runner_process,
    strategy,
    until,
)

pytestmark = pytest.mark.cluster


def test_an_old_pod_that_wakes_after_the_switch_is_refused_and_counted(desk: ClusterDesk) -> None:
    desk.apply(every_tick("sleeper"))
    before = desk.until_ready("sleeper")
    (old,) = desk.pods("sleeper")
    process = runner_process(old["metadata"]["name"])
    process.suspend()
    try:
        desk.patch("sleeper", {"parameters": {"shade": 1}})
        until(lambda: desk.status("sleeper").get("epoch", 0) > before["epoch"], "it switched")
        new = desk.status("sleeper")["epoch"]
    finally:
        process.resume()
    until(lambda: _fenced(desk, "sleeper"), "what it said on waking was refused")
    until(lambda: old["metadata"]["uid"] not in _uids(desk, "sleeper"), "the old pod is gone")
    late = [each for each in decided(desk, "sleeper") if each[1] < new]
    switched_ns = min(each[3] for each in decided(desk, "sleeper") if each[1] >= new)
    assert all(each[3] <= switched_ns for each in late)


def test_a_killed_runner_container_is_armed_again(desk: ClusterDesk) -> None:
    desk.apply(strategy("restarted"))
    before = desk.until_ready("restarted")
    (pod,) = desk.pods("restarted")
    runner_process(pod["metadata"]["name"]).send_signal(signal.SIGKILL)
    until(lambda: desk.status("restarted").get("epoch", 0) > before["epoch"], "it is armed again")
    desk.until_ready("restarted")
    (again,) = desk.pods("restarted")
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    desk.until_ledger_equals_venue()


def test_trading_goes_on_over_a_deleted_gateway_pod(desk: ClusterDesk) -> None:
    desk.apply(every_tick("steady"))
    desk.until_ready("steady")
    desk.kubectl("delete", "pod", "stratops-gateway-0")
    desk.kubectl("rollout", "status", "statefulset/stratops-gateway", "--timeout=180s")
    count = until(lambda: len(decided(desk, "steady")), "the journal is there again")
    until(lambda: len(decided(desk, "steady")) > count, "it decides again")
    sequences = [each[0] for each in decided(desk, "steady")]
    assert len(sequences) == len(set(sequences))
    desk.until_ready("steady")
    desk.until_ledger_equals_venue()


def test_trading_goes_on_without_an_operator(desk: ClusterDesk) -> None:
    desk.apply(every_tick("alone"))
    desk.until_ready("alone")
    desk.kubectl("scale", "deployment/stratops-operator", "--replicas=0")
    try:
        until(lambda: not _operators(desk), "the operator is gone")
        (pod,) = desk.pods("alone")
        runner_process(pod["metadata"]["name"]).send_signal(signal.SIGKILL)
        count = len(decided(desk, "alone"))
        until(lambda: len(decided(desk, "alone")) > count + 100, "it decides on")
    finally:
        desk.kubectl("scale", "deployment/stratops-operator", "--replicas=1")
    desk.until_ready("alone")


def test_a_halted_policy_stops_every_order_without_an_operator(desk: ClusterDesk) -> None:
    desk.apply(_policy(halted=False))
    desk.apply(every_tick("halted"))
    desk.until_ready("halted")
    desk.kubectl("scale", "deployment/stratops-operator", "--replicas=0")
    try:
        until(lambda: not _operators(desk), "the operator is gone")
        desk.apply(_policy(halted=True))
        until(lambda: _newest_reason(desk, "halted") == "halted", "its signals are refused")
    finally:
        desk.apply(_policy(halted=False))
        desk.kubectl("scale", "deployment/stratops-operator", "--replicas=1")
    until(lambda: _newest_reason(desk, "halted") != "halted", "it may again")


def _policy(*, halted: bool) -> dict[str, object]:
    return {
        "apiVersion": "stratops.dev/v1alpha1",
        "kind": "RiskPolicy",
        "metadata": {"name": "desk-default"},
        "spec": {"halted": halted, "reason": "a test", "limits": {}},
    }


def _operators(desk: ClusterDesk) -> int:
    return len(desk.listed("pods", "app.kubernetes.io/name=stratops-operator"))


def _fenced(desk: ClusterDesk, name: str) -> float:
    """Signals of an old epoch that the gateway's page has counted."""
    labels = {"strategy": f"{desk.namespace}/{name}", "reason": "fenced"}
    return desk.metric("stratops-gateway-0", "strategy_engine_orders_rejected_total", **labels)


def _uids(desk: ClusterDesk, name: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in desk.pods(name)}


def _newest_reason(desk: ClusterDesk, name: str) -> str | None:
    ((reason,),) = desk.journal(
        "SELECT json_extract(body, '$.reason') FROM log WHERE kind = 'decided'"
        f" AND strategy = '{desk.namespace}/{name}' ORDER BY number DESC LIMIT 1"
    )
    return str(reason) if reason else None
