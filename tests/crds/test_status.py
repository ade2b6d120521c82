"""What the operator writes to a status is kept, and is what people see."""

import json

import pytest

from crd_driver import SMALLEST, Api, strategy
from platform_spec.objects import strategy_of
from platform_spec.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    Quarantined,
    StrategyStatus,
    Trading,
    status_of,
)

pytestmark = pytest.mark.cluster

NOW = "2026-11-21T10:00:00Z"
STATUS = StrategyStatus(
    observed_generation=1,
    phase=Phase.RUNNING,
    mode="simulation",
    revision="0123456789",
    wanted_revision="9876543210",
    attempt=2,
    restart="again",
    epoch=7,
    good_revision="0123456789",
    handovers=3,
    quarantined=(Quarantined(revision="aaaaaaaaaa", reason="CrashLoop"),),
    trading=Trading(
        signals=5,
        accepted=4,
        orders=4,
        fills=4,
        positions={"BTCUSDT": "0.5", "BRK.B": "-1"},
        position="0.5 BTCUSDT",
        realized_pnl="-12.5",
        at=NOW,
    ),
    conditions=tuple(
        Condition(
            type=each,
            status=ConditionStatus.TRUE,
            reason="Tried",
            message=f"about {each}",
            last_transition_time=NOW,
            observed_generation=1,
        )
        for each in ConditionType
    ),
)


def applied(api: Api, status: StrategyStatus) -> None:
    """As the operator writes it: by server-side apply, to the status alone."""
    body = {**strategy({}), "status": status.written()}
    del body["spec"]
    how = ["--server-side", "--subresource=status", "--field-manager=stratops-operator"]
    api.cluster.kubectl(
        "apply", *how, "--force-conflicts", "-n", api.namespace, "-f", "-", stdin=json.dumps(body)
    )


def test_a_status_is_kept_as_it_was_written(desk: Api) -> None:
    made = desk.create(SMALLEST)
    applied(desk, STATUS)
    kept = desk.get("Strategy", "probe")
    assert status_of(kept) == STATUS
    assert kept["metadata"]["generation"] == made["metadata"]["generation"]


def test_a_status_that_is_written_again_changes_nothing(desk: Api) -> None:
    desk.create(SMALLEST)
    applied(desk, STATUS)
    before = desk.get("Strategy", "probe")["metadata"]["resourceVersion"]
    applied(desk, STATUS)
    assert desk.get("Strategy", "probe")["metadata"]["resourceVersion"] == before


def test_a_status_sent_along_with_a_spec_is_not_taken(desk: Api) -> None:
    made = desk.create_object(strategy(SMALLEST) | {"status": STATUS.written()})
    assert status_of(made).observed_generation == -1
    assert strategy_of(made).ref.endswith("/probe")


def test_people_see_what_runs_and_what_it_holds(desk: Api) -> None:
    desk.create(SMALLEST)
    applied(desk, STATUS)
    head, row = desk.cluster.kubectl(
        "get", "strat", "-o", "wide", "-n", desk.namespace
    ).splitlines()
    assert head.split() == [
        "NAME", "READY", "PHASE", "MODE", "REVISION", "EPOCH", "POSITION", "P&L", "AGE",
        "WANTED", "REASON",
    ]  # fmt: skip
    seen = ["probe", "True", "Running", "simulation", "0123456789", "7", "0.5", "BTCUSDT", "-12.5"]
    assert row.split()[:9] == seen
    assert row.split()[-3:] == ["9876543210", "about", "Ready"]


@pytest.mark.parametrize("name", ["strat", "stratrev", "rp", "stratops", "strategies"])
def test_resources_have_short_names_and_a_category(api: Api, name: str) -> None:
    api.cluster.kubectl("get", name, "-n", api.namespace)
