"""A desk with two gateways, as the chart installs it: either may go, trading goes on.

Their journal is a PostgreSQL on the host, where pods reach it.
"""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from chart_driver import CHART
from cluster_desk import ClusterDesk, every_tick, strategy, until
from cluster_driver import new_namespace
from dev_cluster.cluster import Cluster
from postgres_driver import PostgresMissing, PostgresServer, running

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

WITHIN_S = 10.0  # from the last decision before to the first one after
_DECIDED = """SELECT body::json #>> '{signal,cause,sequence}', at_ns FROM log
WHERE kind = 'decided' AND strategy = %s ORDER BY number"""


@dataclass
class Replicas:
    desk: ClusterDesk
    url: str

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, values).fetchall()

    def leader(self) -> str:
        """Its pod."""
        ((address,),) = self.rows("SELECT address FROM leader")
        return str(address).partition(".")[0]

    def generation(self) -> int:
        ((generation,),) = self.rows("SELECT generation FROM leader")
        return int(generation)

    def decided(self, name: str) -> list[tuple[int, int]]:
        """Sequence and time of each tick that it decided."""
        found = self.rows(_DECIDED, f"{self.desk.namespace}/{name}")
        return [(int(sequence), at_ns) for sequence, at_ns in found]

    def longest_pause_s(self, name: str) -> float:
        times = [at_ns for _, at_ns in self.decided(name)]
        return max(after - before for before, after in pairwise(times)) / 1e9

    def goes_on(self, name: str) -> None:
        count = len(self.decided(name))
        until(lambda: len(self.decided(name)) > count + 20, f"{name} decides again")
        sequences = [sequence for sequence, _ in self.decided(name)]
        assert len(sequences) == len(set(sequences)), "a tick was decided twice"


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[PostgresServer]:
    try:
        with running(_host_as_seen_by(cluster)) as server:
            yield server
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"PostgreSQL: {missing}")


def _host_as_seen_by(cluster: Cluster) -> str:
    """Of this machine, the address on the way to the node."""
    path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    node = cluster.kubectl("get", "nodes", "-o", path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((node, 9))
        return str(way.getsockname()[0])


@pytest.fixture(scope="module")
def replicas(
    cluster: Cluster, database: PostgresServer, image: dict[str, Any]
) -> Iterator[Replicas]:
    here = database.database().url
    there = here.replace("127.0.0.1", _host_as_seen_by(cluster))
    desk = ClusterDesk(cluster, new_namespace(cluster, "replicas"))
    desk.kubectl("create", "secret", "generic", "journal", f"--from-literal=url={there}")
    desk.install(
        CHART,
        image=image,
        crds={"install": not _has_crds(cluster)},
        gateway={"replicas": 2, "postgres": {"secret": "journal", "port": database.port}},
    )
    desk.apply(every_tick("steady"), strategy("trader"))
    yield Replicas(desk, here)
    desk.clear()
    desk.remove()


def _has_crds(cluster: Cluster) -> bool:
    found = cluster.kubectl("get", "crd", "strategies.stratops.dev", "--ignore-not-found")
    return bool(found.strip())


def test_both_are_ready_and_one_leads(replicas: Replicas) -> None:
    replicas.desk.until_ready("steady", within_s=120)
    replicas.desk.until_ready("trader", within_s=120)
    status = (replicas.desk.get("statefulset", "stratops-gateway") or {})["status"]
    assert status["readyReplicas"] == 2
    assert replicas.leader() in ("stratops-gateway-0", "stratops-gateway-1")
    replicas.goes_on("steady")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(("--grace-period=0", "--force"), id="killed"),
        pytest.param((), id="ended in order"),
    ],
)
def test_trading_goes_on_over_the_loss_of_the_leader(
    replicas: Replicas, how: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    desk, before = replicas.desk, replicas.generation()
    replicas.goes_on("steady")
    desk.kubectl("delete", "pod", replicas.leader(), *how)
    until(lambda: replicas.generation() > before, "another one leads")
    replicas.goes_on("steady")
    pause_s = replicas.longest_pause_s("steady")
    record_property("longest pause so far, in seconds", round(pause_s, 2))
    print(f"longest pause so far: {pause_s:.2f} s")  # noqa: T201  # for the report of the run
    assert pause_s < WITHIN_S
    desk.kubectl("rollout", "status", "statefulset/stratops-gateway", "--timeout=120s")
    desk.until_ready("steady")
    desk.until_ledger_equals_venue()


def test_an_upgrade_of_both_pauses_trading_and_no_more(replicas: Replicas) -> None:
    desk, before = replicas.desk, replicas.generation()
    desk.kubectl("rollout", "restart", "statefulset/stratops-gateway")
    desk.kubectl("rollout", "status", "statefulset/stratops-gateway", "--timeout=240s")
    assert replicas.generation() > before
    replicas.goes_on("steady")
    assert replicas.longest_pause_s("steady") < WITHIN_S
    desk.until_ledger_equals_venue()


def test_a_halt_reaches_the_one_that_leads(replicas: Replicas) -> None:
    """By a file at the leader; the other one, without it, does not lift it."""
    desk, leader = replicas.desk, replicas.leader()
    desk.kubectl("exec", leader, "--", "touch", "/var/lib/stratops/halt")
    until(lambda: _halts(desk).get("file"), "the desk is halted")
    desk.kubectl("delete", "pod", leader)
    until(lambda: replicas.leader() != leader, "the other one leads")
    assert "file" in until(lambda: _halts(desk), "it is halted still")
    for command in ("touch", "rm"):
        desk.kubectl("exec", replicas.leader(), "--", command, "/var/lib/stratops/halt")
        until(lambda c=command: bool(_halts(desk)) == (c == "touch"), f"after {command}")  # type: ignore[misc]  # of the loop


def _halts(desk: ClusterDesk) -> dict[str, str]:
    found = desk.reconciled().get("haltSources", {})
    return dict(found)
