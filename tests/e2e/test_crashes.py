"""`kill -9` of the operator right before and right after everything that it does: same end."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
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
from operator_deaths import MortalOperator, around

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]  # many hand-overs, one by one

HISTORY = 1  # revisions kept beside the one that trades and the one before

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
    desk.until_ready("control")
    status = desk.until_ready("edited")
    control = [pod["metadata"]["uid"] for pod in desk.pods("control")]
    deaths: list[Sequence[str]] = [around(effect) for effect in HAND_OVER]
    deaths.append(("before 1 deploy", *around("1 begin_term")))  # of each life that leads
    for shade, ordered in enumerate(deaths, 1):
        operator.order("edited", *ordered)
        desk.patch("edited", {"parameters": {"shade": shade}})
        operator.until_dead(*ordered)
        until_at_rest(desk, "edited")
        status = until(partial(counted, desk, status), "the hand-over is counted")
        check_done(operator, HAND_OVER)
    assert [pod["metadata"]["uid"] for pod in desk.pods("control")] == control
    check_each_tick_once(decided(desk, "edited"), decided(desk, "control"))
    check_never_two_armed(desk, "edited")
    check_books(desk, "edited")


def test_a_first_deployment_and_a_deletion_survive_a_kill_around_all_that_they_do(
    operator: MortalOperator, own_desk: ClusterDesk
) -> None:
    desk = own_desk
    for first, last in itertools.zip_longest(FIRST_DEPLOYMENT, DELETION):
        operator.order("passing", *around(first))
        desk.apply(trading("passing"))
        operator.until_dead(*around(first))
        until_at_rest(desk, "passing")
        check_done(operator, FIRST_DEPLOYMENT)
        ordered = around(last) if last else ()
        operator.order("passing", *ordered)
        desk.kubectl("delete", "strategy", "passing", "--timeout=180s")
        operator.until_dead(*ordered)
        until(lambda: not all_of(desk, "passing"), "nothing of it is left")
    check_never_two_armed(desk, "passing")
    check_books(desk, "passing")


def counted(desk: ClusterDesk, before: dict[str, Any]) -> dict[str, Any] | None:
    """The status, once it knows of one hand-over more."""
    status = desk.status("edited")
    return status if status["handovers"] == before["handovers"] + 1 else None


def check_done(operator: MortalOperator, known: Sequence[str]) -> None:
    """One pod was made, and nothing was done that nobody kills it around."""
    done = operator.done()
    assert done["POST pods"] == 1
    assert done.keys() <= {"begin_term", *(effect.split(maxsplit=1)[1] for effect in known)}


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
    pod = until(lambda: _only_pod(desk, name), f"of {name} is there what it needs")
    claimed = f"{name}-{status['revision']}-{status['attempt']}"
    assert pod["metadata"]["name"] == claimed, "a pod of a number that the status does not claim"
    return status


def _only_pod(desk: ClusterDesk, name: str) -> dict[str, Any] | None:
    """None: there is more of it than it needs, or less."""
    there = all_of(desk, name)
    kinds = Counter(each["kind"] for each in there)
    revisions = kinds.pop("StrategyRevision", 0)
    if kinds != {"Strategy": 1, "Pod": 1, "ConfigMap": 1} or revisions > 2 + HISTORY:
        return None
    return next(each for each in there if each["kind"] == "Pod")


def all_of(desk: ClusterDesk, name: str) -> list[dict[str, Any]]:
    """Every object of it, itself among them."""
    found = desk.listed("strategies,pods,configmaps,strategyrevisions")
    return [each for each in found if f"{each['metadata']['name']}-".startswith(f"{name}-")]


def check_never_two_armed(desk: ClusterDesk, name: str) -> None:
    armed, last = 0, 0
    for kind, change in map(json.loads, journalled(desk, name, "grant")):
        if kind == "armed":
            assert not armed, f"epoch {change['epoch']} was armed beside epoch {armed}"
            assert change["epoch"] > last
            armed = last = change["epoch"]
        elif kind == "ended":
            armed = 0


def check_books(desk: ClusterDesk, name: str) -> None:
    """It traded, and the ledger is the venue's."""
    assert journalled(desk, name, "fill")
    desk.until_ledger_equals_venue()


def journalled(desk: ClusterDesk, name: str, kind: str) -> list[str]:
    """Bodies of the gateway's records, in their order."""
    which = f"kind = '{kind}' AND strategy = '{desk.namespace}/{name}'"
    rows = desk.journal(f"SELECT body FROM log WHERE {which} ORDER BY number")
    return [body for (body,) in rows]
