"""Fifty strategies on one node: all started at once, all edited at once."""

import time
from datetime import datetime

import pytest

from cluster_desk import ClusterDesk, Measured, strategy, until

pytestmark = [pytest.mark.cluster, pytest.mark.scale, pytest.mark.timeout(900)]
FIFTY = [f"many-{number:02d}" for number in range(50)]


def test_fifty_start_and_are_edited_at_once(own_desk: ClusterDesk, measured: Measured) -> None:
    desk = own_desk
    desk.apply(strategy("before"))
    desk.until_ready("before")  # what an installation makes an API server do is over
    began = time.time()
    desk.apply(*(strategy(name) for name in FIFTY))
    _wait_for_ready(desk)
    measured("fifty applied at once, all Ready", _last_ready_at(desk) - began)
    assert _restarts(desk) == 0
    before = _revisions(desk)
    began = time.monotonic()
    desk.apply(*(strategy(name, version="1.0.1") for name in FIFTY))
    until(lambda: _moved(desk, before), "all fifty handed over", within_s=300, every_s=1)
    measured("fifty edited at once, all handed over", time.monotonic() - began)
    _wait_for_ready(desk)
    assert _restarts(desk) == 0


def _last_ready_at(desk: ClusterDesk) -> float:
    """Unix seconds, by their conditions; `kubectl wait` takes another 0.15 s for each it names."""
    found = [
        condition["lastTransitionTime"]
        for each in desk.listed("strategies")
        for condition in each["status"]["conditions"]
        if each["metadata"]["name"] in FIFTY and condition["type"] == "Ready"
    ]
    assert len(found) == len(FIFTY)
    return datetime.fromisoformat(max(found)).timestamp() + 1  # of a second they tell the begin


def _wait_for_ready(desk: ClusterDesk) -> None:
    """As a user would: one watch. To list fifty each second would take a sixth of the machine."""
    desk.kubectl("wait", "strategies", *FIFTY, "--for=condition=Ready", "--timeout=110s")


def _revisions(desk: ClusterDesk) -> dict[str, str]:
    found = desk.listed("strategies")
    return {
        each["metadata"]["name"]: each.get("status", {}).get("revision", "")
        for each in found
        if each["metadata"]["name"] in FIFTY
    }


def _moved(desk: ClusterDesk, before: dict[str, str]) -> bool:
    now = _revisions(desk)
    return all(now.get(name) not in ("", revision) for name, revision in before.items())


def _restarts(desk: ClusterDesk) -> int:
    pods = desk.listed("pods", "app.kubernetes.io/name=stratops-runner")
    return sum(
        status["restartCount"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
    )
