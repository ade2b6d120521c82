"""At rest the operator writes nothing, and it fights with nobody about what it does not own."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster_desk import ClusterDesk, strategy, until
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster
from rights import whole_lines

pytestmark = pytest.mark.cluster

QUIET_S = 60.0
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@pytest.fixture
def audited(cluster: Cluster) -> BuiltCluster:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("another cluster's audit log cannot be read from here")
    return cluster


def silent(name: str) -> dict[str, Any]:
    """It never has a reason to trade: nothing about it changes."""
    never = {"lookback_period": 20, "threshold": 0.9}
    return strategy(name, strategy={"builtin": "momentum"}, parameters=never)


def test_nothing_is_written_at_rest(own_desk: ClusterDesk, audited: BuiltCluster) -> None:
    own_desk.apply(*(silent(f"rest-{each}") for each in "abc"))
    for each in "abc":
        own_desk.until_ready(f"rest-{each}", within_s=120)
    _settled(own_desk, audited)
    began = datetime.now(UTC)
    time.sleep(QUIET_S)  # the fact that is waited for is that nothing happens
    assert _writes(own_desk, audited, began) == {}


def test_an_apply_every_second_by_somebody_else_is_no_fight(
    own_desk: ClusterDesk, audited: BuiltCluster
) -> None:
    synced = json.dumps(silent("synced"))
    own_desk.apply(silent("synced"))
    epoch = own_desk.until_ready("synced", within_s=120)["epoch"]
    _settled(own_desk, audited)
    began = datetime.now(UTC)
    for _ in range(15):
        own_desk.kubectl(
            "apply", "--server-side", "--field-manager=argocd", "--force-conflicts", "-f", "-",
            stdin=synced,
        )  # fmt: skip
        time.sleep(1)
    assert _writes(own_desk, audited, began) == {}
    assert own_desk.status("synced")["epoch"] == epoch


def _settled(desk: ClusterDesk, cluster: BuiltCluster) -> None:
    """Position and P&L are told at most once a minute: until that was so."""

    def still() -> bool:
        return not _writes(desk, cluster, datetime.now(UTC) - timedelta(seconds=15))

    until(still, "15 s without a write", within_s=180, every_s=2)


def _writes(desk: ClusterDesk, cluster: BuiltCluster, since: datetime) -> dict[str, int]:
    """What the operator wrote, leases aside, by verb and kind."""
    user = f"system:serviceaccount:{desk.namespace}:stratops-operator"
    found = Counter(
        f"{event['verb']} {event['objectRef']['resource']}"
        for event in _events(cluster, since)
        if event["user"]["username"] == user
        and event["verb"] in WRITES
        and event["objectRef"]["resource"] != "leases"
    )
    return dict(found)


def _events(cluster: BuiltCluster, since: datetime) -> Iterator[dict[str, Any]]:
    for line in whole_lines(cluster.audit_log):
        event: dict[str, Any] = json.loads(line)
        if datetime.fromisoformat(event["requestReceivedTimestamp"]) >= since:
            yield event
