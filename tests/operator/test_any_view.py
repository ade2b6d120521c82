"""Whatever is seen, a decision comes of it; and of the same view, the same one."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operator_world import DESK, spec, text_of
from platform_spec.status import ConditionStatus, ConditionType, StrategyStatus, status_of
from strategy_operator.actions import CreatePod, Decision, DeletePod, Withdraw
from strategy_operator.names import ADOPT, FINALIZER, RESTART
from strategy_operator.observed import (
    GatewayView,
    Observed,
    Obstacle,
    Pod,
    PodPhase,
    Policy,
    RunnerSeen,
    StoredRevision,
    Trouble,
)
from strategy_operator.reconcile import reconcile

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from((
    "strategy", "parameters", "symbols", "suspend", "deletion", "rollout", "risk", "mode", "feed",
    "podTemplate", "resources", "progressDeadlineSeconds", "image", "capital",
))  # fmt: skip
SPECS = (
    st.just(spec())
    | st.builds(lambda field, value: {**spec(), field: value}, FIELDS, JSON)
    | st.dictionaries(FIELDS, JSON, max_size=4)
    | JSON
)
REVISIONS = st.sampled_from(("", "be35d06a68", "cbfc15b9a5", "0123456789"))
TIMES = st.sampled_from(("", "yesterday", text_of(0), text_of(990), text_of(2_000)))
UIDS = st.sampled_from(("mine", "theirs"))
TEXT = st.text(max_size=10)
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from([each.value for each in ConditionType]),
            "status": st.sampled_from([each.value for each in ConditionStatus]),
            "reason": TEXT,
            "message": TEXT,
            "lastTransitionTime": TIMES,
        }
    ),
    max_size=8,
)
STATUSES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "conditions": CONDITIONS,
        "wantedRevision": REVISIONS,
        "revision": REVISIONS,
        "goodRevision": REVISIONS,
        "attempt": st.integers(-1, 5),
        "restart": TEXT,
        "epoch": st.integers(0, 9),
        "quarantined": st.lists(
            st.builds(dict, revision=REVISIONS, reason=TEXT, message=TEXT), max_size=3
        ),
        "trading": st.none() | st.fixed_dictionaries({"at": TIMES}),
    },
)
METADATA = st.fixed_dictionaries(
    {"name": st.just("btc"), "namespace": st.just("desk-a"), "uid": st.just("mine")},
    optional={
        "generation": st.integers(1, 9),
        "creationTimestamp": TIMES,
        "deletionTimestamp": TIMES,
        "finalizers": st.lists(st.sampled_from((FINALIZER, "theirs")), max_size=2),
        "annotations": st.dictionaries(st.sampled_from((RESTART, ADOPT)), TEXT),
    },
)
NOW = st.floats(0, 2_000)
PODS = st.builds(
    Pod,
    name=st.sampled_from(("btc-be35d06a68-1", "btc-cbfc15b9a5-2", "odd")),
    uid=st.sampled_from("abc"),
    owner_uid=UIDS,
    revision=REVISIONS,
    attempt=st.integers(0, 5),
    phase=st.sampled_from(PodPhase),
    image=TEXT,
    created_at=NOW,
    started=st.booleans(),
    deleting=st.booleans(),
    restarts=st.integers(0, 9),
    trouble=st.none() | st.builds(Trouble, st.sampled_from(("Unschedulable", "Odd")), TEXT),
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
    as_made=st.booleans(),
)
KEPT = st.builds(
    StoredRevision, REVISIONS, UIDS, NOW, TEXT, TEXT, image=TEXT, code_digest=TEXT, state_key=TEXT
)
RUNNERS = st.builds(
    RunnerSeen,
    pod=st.sampled_from(("btc-be35d06a68-1", "btc-cbfc15b9a5-2", "")),
    revision=REVISIONS,
    armed=st.booleans(),
    connected=st.booleans(),
    ready=st.booleans(),
    feed_age_s=st.none() | NOW,
)
VIEWS = st.builds(
    GatewayView,
    known=st.booleans(),
    wanted=REVISIONS,
    runner_pods=st.frozensets(st.sampled_from("abc")),
    armed=REVISIONS,
    epoch=st.integers(0, 9),
    given_up=REVISIONS,
    policy=st.none() | TEXT,
    flattening=TEXT,
    at_work=st.frozensets(REVISIONS),
    runners=st.lists(RUNNERS, max_size=3).map(tuple),
    positions=st.dictionaries(TEXT, st.decimals(allow_nan=False, allow_infinity=False), max_size=2),
    realized_pnl=st.just(Decimal("1E+3")),
    halted=TEXT,
)
OBSTACLES = st.builds(
    Obstacle,
    action=st.sampled_from(("CreatePod", "DeletePod", "Deploy", "Withdraw", "AddFinalizer")),
    target=st.sampled_from(("", "btc-be35d06a68-1", "be35d06a68")),
    reason=st.sampled_from(("Foreign", "Forbidden", "Conflict", "Invalid", "Unreachable", "?")),
    message=TEXT,
    at=NOW,
)


def resource(metadata: Any, written: Any, status: Any) -> dict[str, Any]:
    kind = {"apiVersion": "stratops.dev/v1alpha1", "kind": "Strategy"}
    return {**kind, "metadata": metadata, "spec": written, "status": status}


OBSERVED = st.builds(
    Observed,
    strategy=st.builds(resource, METADATA, SPECS, STATUSES),
    now=NOW,
    now_text=st.just(text_of(1_000)),
    runner_image=st.just("stratops/runner:1"),
    pull_policy=st.just("IfNotPresent"),
    desk=st.none() | st.just(DESK),
    sources=st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=2), max_size=2),
    policies=st.builds(lambda one: {one.name: one}, st.builds(Policy, TEXT, st.booleans())),
    revisions=st.lists(KEPT, max_size=3).map(tuple),
    config_maps=st.dictionaries(st.sampled_from(("btc-be35d06a68", "odd")), UIDS),
    pods=st.lists(PODS, max_size=4).map(tuple),
    gateway=st.none() | VIEWS,
    gateway_lost_at=st.none() | NOW,
    obstacles=st.lists(OBSTACLES, max_size=3).map(tuple),
    complete=st.booleans(),
    may_start=st.booleans(),
    may_hand_over=st.booleans(),
)


def is_sound(observed: Observed, decision: Decision) -> bool:
    """Whatever else: nothing of somebody else's is touched, and no pod comes without a claim."""
    theirs = {pod.uid for pod in observed.pods} - {
        pod.uid for pod in observed.pods if pod.owner_uid == "mine"
    }
    deleted = {each.uid for each in decision.actions if isinstance(each, DeletePod)}
    created = [each for each in decision.actions if isinstance(each, CreatePod)]
    claimed = decision.status is not None or bool(observed.obstacles)
    again = decision.again_s is None or decision.again_s > 0
    return not deleted & theirs and len(created) <= 1 and (claimed or not created) and again


@given(OBSERVED)
def test_any_view_ends_in_a_decision(observed: Observed) -> None:
    decision = reconcile(observed)
    assert is_sound(observed, decision)
    assert reconcile(observed) == decision
    assert decision.status is None or reads_back(decision.status)


@pytest.mark.long
@settings(max_examples=5_000)
@given(OBSERVED)
def test_any_of_many_views_ends_in_a_decision(observed: Observed) -> None:
    decision = reconcile(observed)
    assert is_sound(observed, decision)
    assert decision.status is None or reads_back(decision.status)


def reads_back(status: StrategyStatus) -> bool:
    """Else it would be written again and again."""
    return status_of({"status": json.loads(json.dumps(status.written()))}) == status


def test_half_a_view_does_nothing_that_is_not_safer() -> None:
    observed = Observed(
        resource({"name": "btc", "namespace": "d", "uid": "mine"}, spec(), {}),
        0.0,
        text_of(0),
        "image",
        "Never",
        desk=DESK,
        gateway=GatewayView(known=True, wanted="x"),
        complete=False,
    )
    assert not any(not isinstance(each, Withdraw) for each in reconcile(observed).actions)
