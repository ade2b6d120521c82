"""From `helm install` and `kubectl apply` to orders, and to nothing left behind."""

import time

import pytest

from cluster_desk import EVERY_TICK, ClusterDesk, Measured, strategy, until

pytestmark = pytest.mark.cluster


def test_an_applied_strategy_is_ready_and_trades(desk: ClusterDesk, measured: Measured) -> None:
    began = time.monotonic()
    desk.apply(strategy("life"))
    status = desk.until_ready("life", within_s=120)
    measured("from apply to Ready", time.monotonic() - began)
    assert status["revision"] == status["wantedRevision"]
    assert status["epoch"] >= 1
    until(lambda: _counted(desk, "life", "fills"), "a fill in the status", within_s=240)
    trading = desk.status("life")["trading"]
    assert trading["signals"] >= trading["orders"] >= 1
    assert trading["position"]


def test_kubectl_get_shows_a_desk_at_a_glance(desk: ClusterDesk) -> None:
    desk.apply(strategy("glance"))
    desk.until_ready("glance")
    head, *rows = desk.kubectl("get", "strategies").splitlines()
    assert head.split() == [
        "NAME", "READY", "PHASE", "MODE", "REVISION", "EPOCH", "POSITION", "P&L", "AGE",
    ]  # fmt: skip
    (row,) = (each.split() for each in rows if each.startswith("glance "))
    assert row[1:4] == ["True", "Running", "simulation"]


def test_kubectl_wait_knows_when_it_is_ready(desk: ClusterDesk) -> None:
    desk.apply(strategy("waited"))
    desk.kubectl("wait", "--for=condition=Ready", "strategy/waited", "--timeout=180s")
    assert desk.is_so("waited", "Armed")
    assert desk.is_so("waited", "FeedHealthy")
    assert desk.is_so("waited", "GatewayConnected")


def test_a_deleted_strategy_is_disarmed_and_leaves_nothing(desk: ClusterDesk) -> None:
    desk.apply(strategy("gone"))
    desk.until_ready("gone")
    desk.kubectl("delete", "strategy", "gone", "--timeout=180s")
    until(lambda: not desk.pods("gone"), "its pods are gone")
    label = "stratops.dev/strategy=gone"
    until(lambda: not desk.listed("configmaps", label), "its ConfigMaps are gone")
    until(lambda: not _named(desk, "strategyrevisions", "gone-"), "its revisions are gone")
    ((wanted,),) = desk.journal(
        "SELECT body FROM log WHERE kind = 'grant' AND strategy LIKE '%/gone'"
        " ORDER BY number DESC LIMIT 1"
    )
    assert "armed" not in wanted.lower() or "ended" in wanted.lower()


def test_a_strategy_that_is_to_own_nothing_is_closed_when_it_is_deleted(desk: ClusterDesk) -> None:
    buys = {"strategy": {"source": {"inline": EVERY_TICK}}, "parameters": {"shade": 0}}
    desk.apply(strategy("closed", **buys, deletion={"positionPolicy": "Flatten"}))
    desk.until_ready("closed")
    until(lambda: _owned(desk, "closed"), "it owns something")
    desk.kubectl("delete", "strategy", "closed", "--timeout=180s")
    assert not _owned(desk, "closed")
    until(lambda: not desk.pods("closed"), "its pods are gone")
    desk.until_ledger_equals_venue()


def test_a_suspended_strategy_does_not_run_and_comes_back(desk: ClusterDesk) -> None:
    desk.apply(strategy("paused"))
    first = desk.until_ready("paused")
    desk.patch("paused", {"suspend": True})
    until(lambda: desk.is_so("paused", "Paused"), "it says that it is paused")
    until(lambda: not desk.pods("paused"), "its pods are gone")
    desk.patch("paused", {"suspend": False})
    again = desk.until_ready("paused")
    assert again["revision"] == first["revision"]
    assert again["epoch"] > first["epoch"]


def _counted(desk: ClusterDesk, name: str, what: str) -> int:
    return int(desk.status(name).get("trading", {}).get(what, 0))


def _owned(desk: ClusterDesk, name: str) -> dict[str, str]:
    """By the gateway's ledger, quantities by symbol."""
    (found,) = (
        each for each in desk.reconciled()["strategies"] if each["strategy"].endswith(f"/{name}")
    )
    return {symbol: each for symbol, each in found.get("positions", {}).items() if float(each)}


def _named(desk: ClusterDesk, kind: str, start: str) -> list[str]:
    names = (each["metadata"]["name"] for each in desk.listed(kind))
    return [name for name in names if name.startswith(start)]
