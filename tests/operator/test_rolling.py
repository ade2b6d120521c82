"""From one revision to the next, and from one pod to another of the same."""

from itertools import pairwise

import pytest

from operator_world import NAME, Session, World, spec
from strategy_operator.actions import AddFinalizer, CreatePod, DeletePod, Deploy
from strategy_operator.names import RESTART
from strategy_operator.observed import PodPhase
from strategy_operator.reconcile import reconcile


@pytest.fixture
def world() -> World:
    """With revision 0.1 armed, and at rest."""
    world = World()
    world.settle()
    return world


def turns(world: World, count: int) -> None:
    for _ in range(count):
        world.turn()
        world.step()


def names(world: World) -> list[str]:
    return sorted(pod.name for pod in world.ours)


def actions(world: World) -> list[str]:
    return [type(action).__name__ for action in world.decide().actions]


def hand_over_begins(world: World, quantity: str = "0.2") -> str:
    """Its pod is there, and not ready yet."""
    world.apply(spec(quantity))
    world.turn()
    world.turn()
    return world.revision_of(quantity)


# ---- The first one


def test_the_finalizer_comes_before_anything_else() -> None:
    world = World()
    decision = world.decide()
    assert (decision.status, decision.actions) == (None, (AddFinalizer(),))


def test_what_is_wanted_is_written_before_anything_is_made() -> None:
    world = World()
    world.turn()
    decision = world.decide()
    assert decision.status
    assert decision.status.wanted_revision == world.revision_of("0.1")
    assert actions(world) == ["CreateRevision", "CreateConfigMap", "Deploy"]


def test_a_pod_waits_until_its_objects_are_ours() -> None:
    world = World()
    world.turn()
    world.cluster.config_maps[f"{NAME}-{world.revision_of('0.1')}"] = "somebody-else"
    turns(world, 3)
    assert not world.ours


def test_a_pod_is_created_with_the_status_that_claims_its_number() -> None:
    world = World()
    world.turn()
    world.turn()
    decision = world.decide()
    assert decision.status
    assert decision.status.attempt == 1
    assert [type(each) for each in decision.actions] == [CreatePod]


def test_the_gateway_is_told_of_each_new_pod() -> None:
    world = World()
    turns(world, 3)
    (pod,) = world.ours
    (deploy,) = (each for each in world.decide().actions if isinstance(each, Deploy))
    assert deploy.pods == (pod.uid,)


def test_at_rest_nothing_is_done_or_written(world: World) -> None:
    decision = world.decide()
    assert (decision.status, decision.actions, decision.events) == (None, (), ())
    assert decision.again_s is None


def test_it_is_ready_when_the_wanted_revision_is_armed(world: World) -> None:
    assert world.condition("Ready")["status"] == "True"
    assert world.status["revision"] == world.wanted
    assert world.status["phase"] == "Running"


# ---- The next one


def test_the_old_one_trades_on_until_the_new_one_is_armed(world: World) -> None:
    (old,) = names(world)
    new = hand_over_begins(world)
    assert world.gateway.armed
    assert world.gateway.armed.pod == old
    assert world.condition("Ready")["reason"] == "HandingOver"
    world.settle()
    assert world.gateway.revision == new


def test_the_old_pod_is_deleted_when_it_was_released(world: World) -> None:
    (old,) = names(world)
    new = hand_over_begins(world)
    world.settle()
    assert names(world) == [f"{NAME}-{new}-2"]
    assert old not in world.cluster.pods


def test_an_old_pod_that_outstays_is_deleted(world: World) -> None:
    world.apply(spec("0.2"))
    world.settle()
    stayed = world.bring_back(world.revision_of("0.1"))
    world.gateway.sessions[stayed.name] = Session(stayed.name, stayed.uid, stayed.revision)
    world.now += 11
    (deletion,) = (each for each in world.decide().actions if isinstance(each, DeletePod))
    assert deletion.name == stayed.name


def test_what_is_no_content_makes_no_revision(world: World) -> None:
    before = names(world)
    number = {"quantity": 0.1}  # was text
    world.apply(spec(parameters=number, resources={}, rollout={"type": "Rolling"}))
    world.settle()
    assert (names(world), world.gateway.epoch) == (before, 1)


def test_back_to_an_earlier_content_makes_no_new_object(world: World) -> None:
    kept = dict(world.cluster.revisions)
    hand_over_begins(world)
    world.settle()
    world.apply(spec("0.1"))
    world.settle()
    first, _ = world.cluster.revisions.values()
    assert [first] == list(kept.values())
    assert (world.gateway.revision, world.gateway.epoch) == (world.revision_of("0.1"), 3)


# ---- Changes on the way


def test_a_newer_revision_replaces_one_on_its_way(world: World) -> None:
    second = hand_over_begins(world, "0.2")
    world.apply(spec("0.3"))
    turns(world, 3)
    assert second not in {pod.revision for pod in world.live}
    world.settle()
    assert world.gateway.revision == world.revision_of("0.3")
    assert second not in world.gateway.ever_armed


def test_the_next_pod_waits_until_a_superseded_one_has_left(world: World) -> None:
    second = hand_over_begins(world, "0.2")
    world.cluster.forbidden.add("DeletePod")
    world.apply(spec("0.3"))
    world.cluster.bad[second] = "ImagePullBackOff"  # so that it does not leave by itself
    turns(world, 5)
    assert {pod.revision for pod in world.live} == {world.revision_of("0.1"), second}


def test_a_newer_revision_waits_for_one_on_its_way_if_told_so(world: World) -> None:
    finish = {"supersede": "Finish"}
    world.apply(spec("0.2", rollout=finish))
    turns(world, 2)
    world.apply(spec("0.3", rollout=finish))
    world.turn()
    assert world.condition("Reconciling")["reason"] == "FinishingHandOver"
    world.settle()
    assert world.gateway.revision == world.revision_of("0.3")
    assert world.revision_of("0.2") in world.gateway.ever_armed


def test_one_that_cannot_start_is_not_waited_for(world: World) -> None:
    finish = {"supersede": "Finish"}
    world.cluster.bad[world.revision_of("0.2")] = "ImagePullBackOff"
    world.apply(spec("0.2", rollout=finish))
    world.settle()
    world.apply(spec("0.3", rollout=finish))
    world.settle()
    assert world.gateway.revision == world.revision_of("0.3")


def test_a_hand_over_waits_for_others(world: World) -> None:
    world.may_hand_over = False
    world.apply(spec("0.2"))
    world.settle()
    assert len(world.ours) == 1
    assert world.condition("Reconciling")["reason"] == "WaitingForOtherHandOvers"
    assert world.gateway.wanted == world.revision_of("0.2")  # its tighter limits act at once


def test_a_start_waits_for_others() -> None:
    world = World()
    world.may_start = False
    world.settle()
    assert not world.ours
    assert world.condition("Ready")["reason"] == "WaitingForOtherStarts"


def test_a_lost_runner_waits_for_no_hand_overs(world: World) -> None:
    world.may_hand_over = False
    world.delete_pod(*names(world))
    world.settle()
    assert world.condition("Ready")["status"] == "True"


# ---- Pods that go


def test_a_container_that_is_restarted_keeps_its_pod(world: World) -> None:
    (pod,) = names(world)
    world.restart_container(pod)
    world.settle()
    assert names(world) == [pod]
    assert world.status["attempt"] == 1


@pytest.mark.parametrize("loss", [World.delete_pod, World.end_pod], ids=["deleted", "failed"])
def test_a_pod_that_is_lost_is_followed_by_another(world: World, loss: object) -> None:
    assert callable(loss)
    loss(world, *names(world))
    world.settle()
    assert names(world) == [f"{NAME}-{world.wanted}-2"]
    assert world.condition("Ready")["status"] == "True"


def test_pods_that_end_at_once_follow_ever_more_slowly() -> None:
    world, began = World(), []
    turns(world, 3)
    for _ in range(5):
        began.append(world.live[0].created_at)
        world.end_pod(world.live[0].name)
        while not world.live:
            world.turn()
            world.now += 0.5
    delays = [later - earlier for earlier, later in pairwise(began)]
    assert delays == [1, 2, 5, 10]


def test_no_number_is_used_twice(world: World) -> None:
    """Its creation was not heard of, and it is gone when the next operator looks."""
    world.delete_pod(*names(world))
    decision = world.decide()
    world.carry_out(decision, until=1)  # claimed, not created
    world.crash()
    world.settle()
    assert names(world) == [f"{NAME}-{world.wanted}-3"]


# ---- Another pod of the same revision


def test_a_new_value_of_the_restart_annotation_makes_a_new_pod(world: World) -> None:
    (old,) = names(world)
    world.annotate(RESTART, "now")
    world.turn()
    assert len(world.live) == 2
    assert world.gateway.armed
    assert world.gateway.armed.pod == old
    assert world.condition("Ready")["status"] == "True"
    assert world.condition("Reconciling")["reason"] == "ReplacingPod"


def test_the_old_pod_leaves_when_the_new_one_is_ready(world: World) -> None:
    (old,) = names(world)
    world.annotate(RESTART, "now")
    world.settle()
    assert names(world) == [f"{NAME}-{world.wanted}-2"]
    assert (world.gateway.epoch, world.status["restart"]) == (2, "now")
    assert old not in world.cluster.pods


def test_the_same_value_again_makes_none(world: World) -> None:
    world.annotate(RESTART, "now")
    world.settle()
    world.annotate("another", "annotation")
    world.settle()
    assert world.status["attempt"] == 2


def test_a_new_runner_image_replaces_pods(world: World) -> None:
    world.runner_image = "stratops/runner:2"
    world.settle()
    (pod,) = world.ours
    assert (pod.image, world.gateway.epoch) == ("stratops/runner:2", 2)


def test_pods_of_an_old_image_stay_until_others_stand_in(world: World) -> None:
    """Operator and gateway were upgraded together: no runner has come back yet."""
    world.runner_image, world.may_hand_over = "stratops/runner:2", False
    world.gateway.lose(*names(world))
    assert "DeletePod" not in actions(world)


def test_another_pod_template_replaces_pods(world: World) -> None:
    world.apply(spec("0.1", podTemplate={"priorityClassName": "high"}))
    world.settle()
    assert (world.status["attempt"], len(world.cluster.revisions)) == (2, 1)


def test_a_pod_whose_image_was_edited_is_named_to_the_gateway_no_more(world: World) -> None:
    (pod,) = world.ours
    world.edit_pod(pod.name, image="somebody/else:1")
    world.turn()
    assert pod.uid not in world.gateway.deployed[world.wanted]
    world.settle()
    assert [each.image for each in world.ours] == [world.runner_image]


def test_an_image_that_admission_rewrites_is_the_one_that_was_asked_for() -> None:
    world = World()
    world.cluster.mirror = "mirror.example/"
    world.settle()
    assert [each.image for each in world.ours] == [f"mirror.example/{world.runner_image}"]
    assert (world.status["attempt"], world.condition("Ready")["status"]) == (1, "True")
    world.runner_image = "stratops/runner:2"
    world.settle()
    assert [each.image for each in world.ours] == ["mirror.example/stratops/runner:2"]
    world.edit_pod(world.ours[0].name, image="somebody/else:1")
    world.turn()
    assert world.ours[0].uid not in world.gateway.deployed[world.wanted]
    world.settle()
    assert [each.image for each in world.ours] == ["mirror.example/stratops/runner:2"]


def test_a_creation_without_an_answer_leaves_one_pod_at_last(world: World) -> None:
    """It came about all the same, and so did another."""
    world.delete_pod(*names(world))
    world.step()
    decision = world.decide()
    world.carry_out(decision)
    for name in names(world):
        world.cache.pods.pop(name)
    world.carry_out(reconcile(world.observed()))
    world.settle()
    assert len(world.ours) == 1


# ---- Children that were touched


def test_labels_are_put_right(world: World) -> None:
    (pod,) = world.ours
    world.edit_pod(pod.name, labels={**pod.labels, "stratops.dev/strategy": "mine"})
    world.turn()
    assert world.cluster.pods[pod.name].labels == pod.labels


def test_deleted_objects_come_back(world: World) -> None:
    world.cluster.config_maps.clear()
    world.cluster.revisions.clear()
    world.settle()
    name = f"{NAME}-{world.wanted}"
    assert list(world.cluster.config_maps) == list(world.cluster.revisions) == [name]
    assert world.gateway.epoch == 1


def test_ended_pods_of_other_revisions_are_deleted(world: World) -> None:
    world.apply(spec("0.2"))
    world.settle()
    world.bring_back(world.revision_of("0.1"), PodPhase.FAILED)
    world.settle()
    assert len(world.ours) == 1


def test_a_pod_whose_node_is_gone_does_not_stand_in_the_way_of_another() -> None:
    world = World()
    world.settle()
    (stranded,) = world.ours
    world.cluster.stranded.add(stranded.name)
    world.delete_pod(stranded.name)  # as the taint manager does
    world.settle()
    assert world.cluster.pods[stranded.name].deleting
    assert [pod.name for pod in world.live] == [world.gateway.armed and world.gateway.armed.pod]
