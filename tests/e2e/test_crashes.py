"""`kill -9` of the operator right before and right after everything that it does: same end."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster_desk import (
    EVERY_TICK,
    ClusterDesk,
    check_each_tick_once,
    decided,
    every_tick,
    strategy,
    until,
)

pytestmark = pytest.mark.cluster

PROGRAM = Path(__file__).parents[1] / "support" / "mortal_operator.py"
OPERATOR = "deployment/stratops-operator"
LOG = "/tmp/effects"
HISTORY = 1

# What the operator does, each thing with its number among those that look alike.
FIRST_DEPLOYMENT = (
    "1 PATCH strategies",  # the finalizer
    "1 PATCH strategies/status",  # what is wanted
    "1 POST strategyrevisions",
    "1 POST configmaps",
    "1 deploy",  # without pods
    "2 PATCH strategies/status",  # the pod's number
    "1 POST pods",
    "2 deploy",  # with the pod
    "3 PATCH strategies/status",
)
HAND_OVER = (
    *FIRST_DEPLOYMENT[1:],
    "1 DELETE pods",
    "1 DELETE configmaps",
    "1 DELETE strategyrevisions",
)
DELETION = (
    "1 PATCH strategies/status",
    "1 withdraw",
    "2 PATCH strategies/status",
    "1 DELETE pods",
    "1 PATCH strategies",  # the finalizer
)


class MortalOperator:
    """Of a desk; dies as it is told, and lives again at once."""

    def __init__(self, desk: ClusterDesk) -> None:
        self.desk = desk
        self._pod = ""

    def install(self) -> None:
        self.desk.kubectl("create", "configmap", "mortal", f"--from-file={PROGRAM}")
        container = {
            "name": "operator",
            "command": ["python", "-P", f"/mortal/{PROGRAM.name}"],
            "volumeMounts": [{"name": "mortal", "mountPath": "/mortal"}],
        }
        volume = {"name": "mortal", "configMap": {"name": "mortal"}}
        spec = {"template": {"spec": {"containers": [container], "volumes": [volume]}}}
        self.desk.kubectl("patch", OPERATOR, "-p", json.dumps({"spec": spec}))
        self.desk.kubectl("rollout", "status", OPERATOR, "--timeout=100s")
        (pod,) = until(self._only_pod, "the one before is gone")
        self._pod = pod["metadata"]["name"]

    def _only_pod(self) -> list[dict[str, Any]] | None:
        pods = self.desk.listed("pods", "app.kubernetes.io/name=stratops-operator")
        return pods if len(pods) == 1 else None

    def order(self, strategy: str, *deaths: str) -> None:
        """One after the other; what was done before is forgotten."""
        orders = "".join(f"{strategy} {death}\n" for death in deaths)
        self._sh(f"rm -f {LOG}; cat > /tmp/orders", orders)

    def log(self) -> list[str]:
        """What it did since the last order, its deaths among it."""
        return self._sh(f"cat {LOG} || true").splitlines()

    def until_dead(self, *deaths: str) -> None:
        """Until it died just so."""
        expected = [f"SIGKILL {_without_number(death)}" for death in deaths]
        until(
            lambda: [line for line in self.log() if line.startswith("SIGKILL")] == expected,
            f"it died {', '.join(deaths)}",
        )

    def did(self, effect: str) -> int:
        """How often since the last order: what it died before is not done."""
        log = self.log()
        return log.count(effect) - log.count(f"SIGKILL before {effect}")

    def _sh(self, script: str, stdin: str = "") -> str:
        return self.desk.kubectl("exec", "-i", self._pod, "--", "sh", "-c", script, stdin=stdin)


def _without_number(death: str) -> str:
    moment, _, effect = death.split(maxsplit=2)
    return f"{moment} {effect}"


def around(effect: str) -> tuple[str, str]:
    """Dead before it; what is then still to be done is the next life's first of its kind."""
    return f"before {effect}", f"after 1 {effect.split(maxsplit=1)[1]}"


@pytest.fixture(scope="module")
def operator(_own: ClusterDesk) -> MortalOperator:
    mortal = MortalOperator(_own)
    mortal.install()
    return mortal


def test_a_hand_over_survives_a_kill_around_all_that_it_does(
    operator: MortalOperator, own_desk: ClusterDesk
) -> None:
    desk = own_desk
    desk.apply(trading("edited"), every_tick("control"))
    for name in ("edited", "control"):
        desk.until_ready(name)
    control = [pod["metadata"]["uid"] for pod in desk.pods("control")]
    deaths: list[Sequence[str]] = [around(effect) for effect in HAND_OVER]
    deaths.append(("before 1 deploy", *around("1 begin_term")))  # of each life that leads
    for shade, ordered in enumerate(deaths, 1):
        before = desk.status("edited")
        operator.order("edited", *ordered)
        desk.patch("edited", {"parameters": {"shade": shade}})
        operator.until_dead(*ordered)
        after = until_at_rest(desk, "edited")
        assert after["handovers"] == before["handovers"] + 1
        assert operator.did("POST pods") == 1
    assert [pod["metadata"]["uid"] for pod in desk.pods("control")] == control
    check_each_tick_once(decided(desk, "edited"), decided(desk, "control"))
    check_never_two_armed(desk, "edited")
    desk.until_ledger_equals_venue()


def test_a_first_deployment_and_a_deletion_survive_a_kill_around_all_that_they_do(
    operator: MortalOperator, own_desk: ClusterDesk
) -> None:
    desk = own_desk
    for first, last in itertools.zip_longest(FIRST_DEPLOYMENT, DELETION):
        operator.order("passing", *around(first))
        desk.apply(trading("passing"))
        operator.until_dead(*around(first))
        until_at_rest(desk, "passing")
        assert operator.did("POST pods") == 1
        ordered = around(last) if last else ()
        operator.order("passing", *ordered)
        desk.kubectl("delete", "strategy", "passing", "--timeout=60s")
        operator.until_dead(*ordered)
        until(lambda: not all_of(desk, "passing"), "nothing of it is left")
    check_never_two_armed(desk, "passing")
    desk.until_ledger_equals_venue()


def trading(name: str) -> dict[str, Any]:
    """Says something at every tick, some of which leaves as an order."""
    return strategy(
        name,
        strategy={"source": {"inline": EVERY_TICK}},
        parameters={"shade": 0},
        risk={"limits": {"max_orders_per_second": 5, "max_orders_per_minute": 1000}},
        revisionHistoryLimit=HISTORY,
    )


def until_at_rest(desk: ClusterDesk, name: str) -> dict[str, Any]:
    """Its status, once what it asks for trades in one pod, and nothing is left of what it was."""
    status = desk.until_ready(name)
    until(lambda: _is_tidy(desk, name), f"of {name} is there what it needs")
    (pod,) = desk.pods(name)
    claimed = f"{name}-{status['revision']}-{status['attempt']}"
    assert pod["metadata"]["name"] == claimed, "a pod of a number that the status does not claim"
    return status


def _is_tidy(desk: ClusterDesk, name: str) -> bool:
    kinds = Counter(each["kind"] for each in all_of(desk, name))
    revisions = kinds.pop("StrategyRevision")  # the one that trades, the one before, and its limit
    return kinds == {"Strategy": 1, "Pod": 1, "ConfigMap": 1} and revisions <= 2 + HISTORY


def all_of(desk: ClusterDesk, name: str) -> list[dict[str, Any]]:
    """Every object of it, itself among them."""
    found = desk.listed("strategies,pods,configmaps,strategyrevisions")
    return [each for each in found if f"{each['metadata']['name']}-".startswith(f"{name}-")]


def check_never_two_armed(desk: ClusterDesk, name: str) -> None:
    rows = desk.journal(
        "SELECT body FROM log WHERE kind = 'grant'"
        f" AND strategy = '{desk.namespace}/{name}' ORDER BY number"
    )
    armed, last = 0, 0
    for kind, change in (json.loads(body) for (body,) in rows):
        if kind == "armed":
            assert not armed, f"epoch {change['epoch']} was armed beside epoch {armed}"
            assert change["epoch"] > last
            armed = last = change["epoch"]
        elif kind == "ended":
            armed = 0
