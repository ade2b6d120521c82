"""Suspension and deletion: disarmed first, and no end that hangs."""

from dataclasses import replace
from decimal import Decimal

import pytest

from operator_world import World, spec
from strategy_operator.actions import Withdraw
from strategy_operator.reconcile import reconcile


@pytest.fixture
def world() -> World:
    """Armed, at rest, and holding half a bitcoin."""
    world = World()
    world.gateway.positions["BTCUSDT"] = Decimal("0.5")
    world.settle()
    return world


def turns(world: World, count: int) -> None:
    for _ in range(count):
        world.turn()
        world.step()


def reasons(world: World) -> list[str]:
    return [event.reason for event in world.events]


def kinds(world: World) -> list[str]:
    return [type(action).__name__ for action in world.decide().actions]


# ---- Suspended


def test_a_suspended_strategy_is_disarmed_before_its_pods_go(world: World) -> None:
    world.apply(spec(suspend=True))
    assert kinds(world) == ["Withdraw"]
    world.settle()
    assert world.gateway.armed is None
    assert not world.ours


def test_it_is_suspending_while_orders_are_at_work(world: World) -> None:
    world.gateway.at_work = "orders at work: 1"
    world.apply(spec(suspend=True))
    for _ in range(20):
        world.turn()
    assert world.condition("Reconciling")["reason"] == "Suspending"
    world.gateway.at_work = ""
    world.settle()
    assert world.condition("Reconciling")["status"] == "False"


def test_it_says_that_it_is_paused(world: World) -> None:
    world.apply(spec(suspend=True))
    world.settle()
    assert (world.condition("Paused")["status"], world.status["phase"]) == ("True", "Paused")
    assert world.condition("Ready")["reason"] == "Suspended"
    assert world.condition("Reconciling")["status"] == "False"


def test_its_position_is_kept(world: World) -> None:
    world.apply(spec(suspend=True))
    world.settle()
    assert world.status["trading"]["position"] == "0.5 BTCUSDT"


def test_it_goes_on_with_a_new_pod(world: World) -> None:
    world.apply(spec(suspend=True))
    world.settle()
    world.apply(spec(suspend=False))
    world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert (world.status["attempt"], world.gateway.epoch) == (2, 2)
    assert reasons(world)[-3:] == ["PodStarted", "Resumed", "ArmedAnew"]


def test_what_is_suspended_from_the_start_is_not_started() -> None:
    world = World(suspend=True)
    world.settle()
    assert not world.cluster.revisions
    assert not world.gateway.known


def test_a_spec_that_is_wrong_elsewhere_is_suspended_all_the_same(world: World) -> None:
    world.apply(spec(suspend=True, mode="live"))
    world.settle()
    assert world.gateway.armed is None
    assert not world.ours
    assert world.condition("Stalled")["reason"] == "InvalidSpec"


def test_pods_wait_for_the_gateways_word_when_it_is_away(world: World) -> None:
    world.gateway.up = False
    world.apply(spec(suspend=True))
    turns(world, 10)
    assert len(world.ours) == 1
    turns(world, 30)
    assert not world.ours


def test_without_a_desk_pods_wait_no_longer_than_that(world: World) -> None:
    world.cluster.desk = None
    world.apply(spec(suspend=True))
    turns(world, 10)
    assert len(world.ours) == 1
    turns(world, 30)
    assert not world.ours


# ---- Deleted


def test_a_deleted_strategy_is_disarmed_and_leaves_nothing_behind(world: World) -> None:
    world.delete()
    world.settle()
    assert world.cluster.strategy is None
    assert not world.cluster.pods
    assert not world.cluster.revisions
    assert not world.cluster.config_maps
    assert world.gateway.armed is None


def test_by_default_its_position_is_kept(world: World) -> None:
    world.delete()
    world.settle()
    assert world.gateway.positions == {"BTCUSDT": Decimal("0.5")}


def test_with_flatten_its_position_is_closed_first(world: World) -> None:
    world.apply(spec(deletion={"positionPolicy": "Flatten"}))
    world.delete()
    assert world.decide().actions == (Withdraw("deleted", flatten=True),)
    world.turn()
    assert world.cluster.strategy
    world.settle()
    assert not world.gateway.positions
    assert world.cluster.strategy is None


def test_a_position_that_cannot_be_closed_does_not_hold_it_for_ever(world: World) -> None:
    world.apply(spec(deletion={"positionPolicy": "Flatten", "deadlineSeconds": 5}))
    world.gateway.closes = False
    world.delete()
    turns(world, 20)
    assert world.cluster.strategy is None
    (event,) = (event for event in world.events if event.reason == "DeletedUnconfirmed")
    assert event.warning
    assert event.message == "not flat within 5 s; position: 0.5 BTCUSDT"


def test_without_the_gateway_the_deadline_decides(world: World) -> None:
    world.gateway.up = False
    world.delete()
    turns(world, 25)
    assert len(world.live) == 1
    turns(world, 15)
    assert world.cluster.strategy is None
    assert "DeletedUnconfirmed" in reasons(world)


def test_a_pod_that_cannot_be_deleted_does_not_hold_it_for_ever(world: World) -> None:
    world.cluster.forbidden.add("DeletePod")
    world.delete()
    turns(world, 60)
    assert world.cluster.strategy is None


def test_what_was_never_started_goes_at_once() -> None:
    world = World(mode="live")
    turns(world, 3)
    assert world.metadata["finalizers"] == []


def test_another_ones_finalizer_is_left_to_it(world: World) -> None:
    world.metadata["finalizers"].append("somebody/else")
    world.delete()
    turns(world, 10)
    assert world.metadata["finalizers"] == ["somebody/else"]
    assert not world.ours


def test_flatten_is_obeyed_when_the_spec_is_wrong_elsewhere(world: World) -> None:
    world.apply(spec(mode="live", deletion={"positionPolicy": "Flatten"}))
    world.delete()
    assert world.decide().actions == (Withdraw("deleted", flatten=True),)


# ---- Half a view


@pytest.mark.parametrize("change", ["edited", "suspended", "deleted"])
def test_half_a_view_is_enough_only_for_what_makes_it_safer(world: World, change: str) -> None:
    world.apply(spec("0.2", suspend=change == "suspended"))
    if change == "deleted":
        world.delete()
    decision = reconcile(replace(world.look(), complete=False))
    assert decision.status is None
    kinds = [type(action) for action in decision.actions]
    assert kinds == ([] if change == "edited" else [Withdraw])


# ---- The gateway is away


def test_without_the_gateway_pods_are_left_alone(world: World) -> None:
    world.gateway.up = False
    pods = world.ours
    world.apply(spec("0.2"))
    turns(world, 20)
    assert world.ours == pods
    assert world.wanted == world.revision_of("0.1")


def test_a_short_silence_of_the_gateway_changes_nothing(world: World) -> None:
    writes = world.writes
    world.gateway.up = False
    turns(world, 3)
    world.gateway.up = True
    turns(world, 3)
    assert world.writes == writes


def test_a_long_silence_is_told(world: World) -> None:
    world.gateway.up = False
    world.settle()
    told = [world.condition(each)["status"] for each in ("GatewayConnected", "Ready", "Armed")]
    assert told == ["False", "Unknown", "Unknown"]
    assert "GatewayUnreachable" in reasons(world)


def test_an_edit_during_a_short_silence_is_not_called_ready(world: World) -> None:
    world.gateway.up = False
    world.apply(spec("0.2"))
    world.turn()
    assert world.condition("Ready")["status"] == "False"
    assert world.status["observedGeneration"] == 2


def test_all_is_well_again_when_it_answers(world: World) -> None:
    world.gateway.up = False
    world.settle()
    world.gateway.up = True
    world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert world.gateway.epoch == 1
