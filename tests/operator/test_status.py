"""What the status says, when it is written, and which events follow."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from handover.effects import Why
from operator_world import World, spec, text_of
from platform_spec.status import ConditionStatus, ConditionType, Phase, StrategyStatus
from strategy_operator.conditions import NOBODY
from strategy_operator.news import news
from strategy_operator.observed import FEED_LOST, Observed, Policy
from strategy_operator.performance import performance
from strategy_operator.phases import phase
from strategy_operator.reconcile import reconcile
from strategy_operator.scene import look

READY, ARMED = ConditionType.READY, ConditionType.ARMED


@pytest.fixture
def world() -> World:
    world = World()
    world.settle()
    return world


def with_runner(world: World, **changes: Any) -> Observed:
    """The armed runner, told otherwise."""
    observed = world.look()
    assert observed.gateway
    runners = tuple(replace(each, **changes) for each in observed.gateway.runners)
    return replace(observed, gateway=replace(observed.gateway, runners=runners))


def status(observed: Observed) -> StrategyStatus:
    found = reconcile(observed).status
    assert found
    return found


def said(found: StrategyStatus, type_: ConditionType) -> tuple[str, str]:
    condition = found.condition(type_)
    assert condition
    return condition.status, condition.reason


# ---- Ready


def test_a_lost_session_is_not_ready(world: World) -> None:
    found = status(with_runner(world, connected=False))
    assert said(found, READY) == ("False", "RunnerDisconnected")
    assert said(found, ARMED) == ("True", "Armed")


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (5.0, ("False", "FeedStale")),
        (FEED_LOST, ("False", "FeedStale")),
        (None, ("False", "FeedUnknown")),
    ],
)
def test_a_feed_that_stands_still_is_not_ready(
    world: World, age_s: float | None, expected: tuple[str, str]
) -> None:
    assert said(status(with_runner(world, feed_age_s=age_s)), READY) == expected


def test_a_feed_that_is_alive_writes_nothing(world: World) -> None:
    assert reconcile(with_runner(world, feed_age_s=4.9)).status is None


def test_what_its_probes_say_does_not_count(world: World) -> None:
    world.edit_pod(world.ours[0].name, started=False)
    assert world.decide().status is None


# ---- Halted


def test_a_halted_desk_pauses_and_leaves_armed(world: World) -> None:
    world.cluster.policies = {"p": Policy("p", halted=True)}
    world.settle()
    assert (world.condition("Paused")["status"], world.condition("Paused")["reason"]) == (
        "True", "Halted",
    )  # fmt: skip
    assert world.condition("Armed")["status"] == "True"
    assert world.status["phase"] == "Paused"


def test_a_halt_at_the_gateway_is_told(world: World) -> None:
    world.gateway.halted = "operator: enough"
    world.settle()
    assert "enough" in world.condition("Paused")["message"]


# ---- Conditions


def test_a_condition_changes_its_time_only_with_its_status(world: World) -> None:
    before = world.condition("Armed")["lastTransitionTime"]
    world.apply(spec("0.2"))
    world.settle()
    assert world.condition("Armed")["lastTransitionTime"] == before
    assert world.condition("Ready")["lastTransitionTime"] > before


def test_all_conditions_are_of_the_generation_that_was_seen(world: World) -> None:
    world.apply(spec("0.2"))
    world.settle()
    generations = {each["observedGeneration"] for each in world.status["conditions"]}
    assert generations == {2} == {world.status["observedGeneration"]}


def test_the_epoch_never_goes_back(world: World) -> None:
    """Nobody is armed, or the gateway lost its journal."""
    world.gateway.epoch = 7
    world.settle()
    world.gateway.epoch = 1
    world.settle()
    assert world.status["epoch"] == 7


def test_the_fallback_is_the_last_other_one_that_was_armed(world: World) -> None:
    for quantity in ("0.2", "0.3"):
        world.apply(spec(quantity))
        world.settle()
    assert world.status["goodRevision"] == world.revision_of("0.2")


# ---- Trading, once a minute


def fills(world: World, count: int) -> None:
    world.gateway.positions["BTCUSDT"] = Decimal(count)


def test_trading_is_told_at_once_when_it_begins(world: World) -> None:
    assert world.status["trading"]["position"] == "flat"


def test_a_change_is_told_a_minute_later(world: World) -> None:
    fills(world, 1)
    decision = world.decide()
    assert decision.status is None
    assert decision.again_s
    world.now += decision.again_s
    assert status(world.look()).trading.position == "1 BTCUSDT"  # type: ignore[union-attr]


def test_many_changes_are_one_write_a_minute(world: World) -> None:
    writes = world.writes
    for count in range(600):
        fills(world, count)
        world.turn()
        world.step()
    assert 8 <= world.writes - writes <= 10


def test_a_new_revision_tells_it_at_once(world: World) -> None:
    fills(world, 1)
    world.apply(spec("0.2"))
    world.settle(rounds=40)
    assert world.status["trading"]["position"] == "1 BTCUSDT"


def test_strategies_take_turns(world: World) -> None:
    fills(world, 1)
    scene = look(world.look())
    owners = [replace(scene.owner, uid=f"uid-{number}") for number in range(20)]
    waits = {performance(replace(scene, owner=owner), world.wanted)[1] for owner in owners}
    assert len(waits) > 5


# ---- Phases

CASES = {
    Phase.RUNNING: ({ARMED, ConditionType.STALLED}, False),
    Phase.PAUSED: ({ARMED, ConditionType.PAUSED}, False),
    Phase.ERROR: ({ConditionType.STALLED}, False),
    Phase.DEPLOYED: ({ConditionType.RECONCILING}, False),
    Phase.STOPPED: ({ARMED}, True),
}


@pytest.mark.parametrize(("expected", "case"), CASES.items(), ids=list(CASES))
def test_the_phase_is_derived_from_conditions(
    expected: Phase, case: tuple[set[ConditionType], bool], world: World
) -> None:
    true, deleted = case
    found = status(replace(world.look(), now_text=text_of(0), desk=None)).conditions
    conditions = [
        replace(each, status=ConditionStatus.TRUE if each.type in true else ConditionStatus.FALSE)
        for each in found
    ]
    assert phase(conditions, deleted=deleted) is expected


# ---- Events


def test_a_hand_over_is_told_in_events(world: World) -> None:
    first = world.wanted
    world.events.clear()
    world.apply(spec("0.2"))
    world.settle()
    told = [(event.reason, event.message) for event in world.events]
    assert told == [
        ("RevisionWanted", f"revision {world.wanted} is wanted, after {first}"),
        ("PodStarted", f"pod 2 of revision {world.wanted} is created"),
        ("HandedOver", f"{first} -> {world.wanted} is armed, epoch 2"),
    ]


def test_a_stall_is_told_once(world: World) -> None:
    world.cluster.bad[world.revision_of("0.2")] = "ImagePullBackOff"
    world.apply(spec("0.2"))
    world.settle()
    stalls = [event for event in world.events if event.reason == "ImagePullBackOff"]
    assert [event.warning for event in stalls] == [True]


def test_why_nobody_is_armed_is_said_in_words(world: World) -> None:
    assert NOBODY.keys() <= set(Why)
    world.may_start = False
    world.gateway.lose(*(pod.name for pod in world.ours))
    world.delete_pod(world.ours[0].name)
    world.turn()
    said = world.condition("Armed")["message"]
    assert said == "none_connected: no runner is connected that could be armed"


def test_nobody_armed_is_a_warning(world: World) -> None:
    world.cluster.bad[world.wanted] = "ImagePullBackOff"
    world.delete_pod(world.ours[0].name)
    world.settle()
    (event,) = (event for event in world.events if event.reason == "NotArmed")
    assert event.warning


def test_the_same_status_again_is_no_news(world: World) -> None:
    found = status(with_runner(world, connected=False))
    assert news(found, found) == ()


def test_events_wait_for_the_status_that_they_tell_of(world: World) -> None:
    world.apply(spec("0.2"))
    decision = world.decide()
    world.events.clear()
    world.carry_out(decision, until=0)
    assert not world.events


def test_ready_does_not_say_that_a_halted_revision_trades() -> None:
    world = World()
    world.settle()
    assert world.condition("Ready")["message"].endswith("trades")
    world.gateway.halted = "operator: lunch"
    world.settle()
    said = world.condition("Ready")["message"]
    assert said.endswith("is armed and halted: the desk is halted: operator: lunch")
