"""A revision that does not come up leaves the one before it armed, and says why."""

import pytest

from operator_world import NAME, SOMEBODY_ELSE, World, spec
from strategy_operator.names import RESTART
from strategy_operator.observed import PodPhase, StoredRevision


@pytest.fixture
def world() -> World:
    """With revision 0.1 armed, and at rest."""
    world = World()
    world.settle()
    return world


def stalled(world: World) -> tuple[str, str]:
    condition = world.condition("Stalled")
    return condition["status"], condition["reason"]


def new_revision(world: World, trouble: str) -> str:
    """With pods that do not start."""
    revision = world.revision_of("0.2")
    world.cluster.bad[revision] = trouble
    world.apply(spec("0.2"))
    world.settle()
    return revision


# ---- Pods that do not start


@pytest.mark.parametrize(
    "trouble",
    ["ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName", "CrashLoopBackOff"],
)
def test_a_pod_that_does_not_start_stalls_with_its_own_reason(world: World, trouble: str) -> None:
    new_revision(world, trouble)
    assert stalled(world) == ("True", trouble)
    assert "as the kubelet says" in world.condition("Stalled")["message"]
    assert world.condition("Reconciling")["status"] == "False"


def test_the_one_before_stays_armed_and_its_pod_untouched(world: World) -> None:
    first = world.wanted
    (pod,) = world.ours
    new_revision(world, "ImagePullBackOff")
    assert world.cluster.pods[pod.name] == pod
    assert (world.gateway.revision, world.status["revision"]) == (first, first)
    assert world.condition("Armed")["status"] == "True"


def test_ready_tells_the_reason_of_the_wanted_one(world: World) -> None:
    new_revision(world, "ImagePullBackOff")
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ImagePullBackOff")
    assert world.status["phase"] == "Running"  # the one before does


def test_without_one_before_the_phase_is_error() -> None:
    world = World()
    world.cluster.bad[world.revision_of("0.1")] = "ImagePullBackOff"
    world.settle()
    assert world.status["phase"] == "Error"


def test_a_pod_may_be_unschedulable_for_a_moment(world: World) -> None:
    world.cluster.bad[world.revision_of("0.2")] = "Unschedulable"
    world.apply(spec("0.2"))
    for _ in range(8):
        world.turn()
        world.step()
    assert stalled(world) == ("False", "NotStalled")
    world.settle()
    assert stalled(world) == ("True", "Unschedulable")


def test_words_that_change_while_kubernetes_tries_again_are_one_trouble(world: World) -> None:
    revision = new_revision(world, "ImagePullBackOff")
    writes = world.writes
    world.cluster.bad[revision] = "ErrImagePull"
    world.settle()
    assert world.writes == writes


@pytest.mark.parametrize("word", ["Error", "ErrImagePull", "OOMKilled"])
def test_what_may_happen_once_is_no_trouble_yet(world: World, word: str) -> None:
    new_revision(world, word)
    assert world.condition("Stalled")["reason"] == "ProgressDeadlineExceeded"  # much later


def test_a_crashing_container_stays_a_trouble_while_it_is_tried_again(world: World) -> None:
    revision = new_revision(world, "CrashLoopBackOff")
    (pod,) = (pod for pod in world.live if pod.revision == revision)
    world.edit_pod(pod.name, trouble=None, restarts=3)
    world.cluster.bad.clear()
    assert world.decide().status is None


def test_it_recovers_when_its_pod_does(world: World) -> None:
    revision = new_revision(world, "ImagePullBackOff")
    world.cluster.bad.clear()
    world.settle()
    assert stalled(world) == ("False", "NotStalled")
    assert world.gateway.revision == revision
    assert "Recovered" in [event.reason for event in world.events]


def test_one_that_takes_too_long_is_stalled(world: World) -> None:
    world.apply(spec("0.2", progressDeadlineSeconds=30))
    world.gateway.slow.add(world.revision_of("0.2"))
    world.settle()
    assert stalled(world) == ("True", "ProgressDeadlineExceeded")
    assert "not armed within 30 s: its runner is connected" in world.condition("Stalled")["message"]


def test_one_that_took_too_long_stays_stalled_with_its_next_pod(world: World) -> None:
    world.apply(spec("0.2", progressDeadlineSeconds=30))
    revision = world.revision_of("0.2")
    world.gateway.slow.add(revision)
    world.settle()
    (pod,) = (pod for pod in world.live if pod.revision == revision)
    world.end_pod(pod.name, PodPhase.SUCCEEDED)
    world.now += 5
    for _ in range(3):
        world.turn()
        assert stalled(world) == ("True", "ProgressDeadlineExceeded")
    assert [each.name for each in world.live if each.revision == revision] != [pod.name]


def test_one_that_hears_of_no_feed_of_its_own_is_told_by_its_address(world: World) -> None:
    own = {"feed": {"redis": {"url": "redis://nobody:6379"}}}
    revision = world.revision_of("0.2", **own)
    world.gateway.slow.add(revision)
    world.gateway.deaf.add(revision)
    world.apply(spec("0.2", **own))
    world.settle()
    said = world.condition("Stalled")["message"]
    assert said.endswith("hears of no feed at spec.feed.redis.url 'redis://nobody:6379'")


def test_pods_that_end_again_and_again_stall_it() -> None:
    world = World()
    world.settle()
    for _ in range(4):
        world.now += 60
        for pod in world.live:
            world.end_pod(pod.name, PodPhase.SUCCEEDED)
        for _ in range(3):
            world.turn()
            world.now += 1
    assert stalled(world) == ("True", "RunnerEnded")


# ---- Quarantine


@pytest.fixture
def fallen_back(world: World) -> World:
    """Revision 0.2 crashes, and the gateway has given it up."""
    world.cluster.crashing.add(world.revision_of("0.2"))
    world.apply(spec("0.2"))
    world.settle()
    return world


def test_a_revision_that_is_given_up_is_quarantined(fallen_back: World) -> None:
    world = fallen_back
    (entry,) = world.status["quarantined"]
    assert (entry["revision"], entry["reason"]) == (world.revision_of("0.2"), "CrashLoop")
    assert entry["message"].endswith("the last: ValueError: a bug of its own")
    assert entry["message"] in world.condition("Stalled")["message"]
    assert stalled(world) == ("True", "Quarantined")
    assert world.condition("Ready")["reason"] == "Quarantined"


def test_the_good_one_is_deployed_again(fallen_back: World) -> None:
    first = fallen_back.revision_of("0.1")
    assert fallen_back.gateway.wanted == fallen_back.gateway.revision == first
    assert {pod.revision for pod in fallen_back.ours} == {first}


def test_the_same_content_again_changes_nothing(fallen_back: World) -> None:
    fallen_back.cluster.crashing.clear()
    fallen_back.apply(spec("0.2", suspend=False))
    fallen_back.settle()
    assert fallen_back.gateway.wanted == fallen_back.revision_of("0.1")


def test_another_content_is_tried(fallen_back: World) -> None:
    fallen_back.apply(spec("0.3"))
    fallen_back.settle()
    assert fallen_back.gateway.revision == fallen_back.revision_of("0.3")
    assert fallen_back.condition("Ready")["status"] == "True"


def test_a_restart_tries_it_again(fallen_back: World) -> None:
    fallen_back.cluster.crashing.clear()
    fallen_back.annotate(RESTART, "try")
    fallen_back.settle()
    assert fallen_back.gateway.revision == fallen_back.revision_of("0.2")
    assert "quarantined" not in fallen_back.status or not fallen_back.status["quarantined"]


def test_with_nothing_to_fall_back_on_it_is_tried_on(world: World) -> None:
    """What the good one was made from is lost, and so is its pod."""
    failing = world.revision_of("0.2")
    world.cluster.crashing.add(failing)
    world.apply(spec("0.2"))
    world.turn()
    world.cluster.revisions.pop(f"{NAME}-{world.revision_of('0.1')}")
    world.delete_pod(world.ours[0].name)
    for _ in range(30):
        world.turn()
        world.step()
    world.cluster.crashing.clear()
    world.settle()
    assert world.gateway.revision == failing


def test_one_that_cannot_start_gives_way_when_the_good_ones_pod_is_lost(world: World) -> None:
    first = world.wanted
    revision = new_revision(world, "ImagePullBackOff")
    world.delete_pod(next(pod.name for pod in world.ours if pod.revision == first))
    world.settle()
    assert world.gateway.revision == first
    assert [each["revision"] for each in world.status["quarantined"]] == [revision]


def test_a_full_node_bars_no_revision(world: World) -> None:
    first = world.wanted
    revision = new_revision(world, "Unschedulable")
    world.delete_pod(next(pod.name for pod in world.ours if pod.revision == first))
    world.settle()
    assert not world.status["quarantined"]
    world.cluster.bad.clear()
    world.settle()
    assert world.gateway.revision == revision


# ---- What is somebody else's


def test_a_config_map_of_somebody_else_is_named_and_left_alone() -> None:
    world = World()
    name = f"{NAME}-{world.revision_of('0.1')}"
    world.cluster.config_maps[name] = SOMEBODY_ELSE
    world.settle()
    assert stalled(world) == ("True", "NameTaken")
    assert f"ConfigMap {name}" in world.condition("Stalled")["message"]
    assert world.cluster.config_maps == {name: SOMEBODY_ELSE}


def test_a_revision_of_somebody_else_is_named_and_left_alone() -> None:
    world = World()
    revision = world.revision_of("0.1")
    theirs = StoredRevision(revision, SOMEBODY_ELSE, 0.0, "{}", "{}", "")
    world.cluster.revisions[f"{NAME}-{revision}"] = theirs
    world.settle()
    assert stalled(world) == ("True", "NameTaken")
    assert list(world.cluster.revisions.values()) == [theirs]
    assert not world.ours


def test_a_pod_of_somebody_else_is_named_and_left_alone() -> None:
    world = World()
    name = f"{NAME}-{world.revision_of('0.1')}-1"
    world.cluster.hidden.add(name)
    for _ in range(30):
        world.turn()
        world.step()
    assert stalled(world) == ("True", "NameTaken")
    assert name in world.condition("Stalled")["message"]
    assert world.status["attempt"] == 1


def test_it_goes_on_when_the_name_is_free() -> None:
    world = World()
    world.cluster.hidden.add(f"{NAME}-{world.revision_of('0.1')}-1")
    for _ in range(6):
        world.turn()
        world.step()
    world.cluster.hidden.clear()
    world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert world.status["attempt"] == 1


def test_what_the_api_server_refuses_is_told(world: World) -> None:
    world.cluster.forbidden.add("CreatePod")
    world.apply(spec("0.2"))
    for _ in range(6):
        world.turn()
        world.step()
    assert stalled(world) == ("True", "Forbidden")
    assert world.condition("Armed")["status"] == "True"


def test_of_what_the_gateway_refuses_no_pod_is_started() -> None:
    world = World()
    world.cluster.forbidden.add("Deploy")
    for _ in range(60):  # longer than an action that failed is left alone
        world.turn()
        world.step()
        assert "PodStarted" not in [event.reason for event in world.events]
    assert stalled(world) == ("True", "Forbidden")
    assert "it said Forbidden" in world.condition("Stalled")["message"]
    assert (world.ours, world.status["attempt"]) == ([], 0)


def test_it_starts_when_the_gateway_takes_it() -> None:
    world = World()
    world.cluster.forbidden.add("Deploy")
    for _ in range(15):
        world.turn()
        world.step()
    world.cluster.forbidden.clear()
    world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert world.status["attempt"] == 1


def test_what_failed_is_left_alone_for_a_while(world: World) -> None:
    world.cluster.forbidden.add("CreatePod")
    world.apply(spec("0.2"))
    for _ in range(4):
        world.turn()
    decision = world.decide()
    assert decision.actions == ()
    assert decision.again_s
    assert 5 < decision.again_s <= 10


# ---- A name that was used before


def test_a_strategy_made_anew_takes_on_the_position(world: World) -> None:
    from decimal import Decimal

    world.gateway.positions["BTCUSDT"] = Decimal("0.5")
    world.delete()
    world.settle()
    world.apply(spec("0.1"))
    world.settle()
    (event,) = (event for event in world.events if event.reason == "PositionAdopted")
    assert "0.5 BTCUSDT" in event.message
    assert world.condition("Ready")["status"] == "True"


def test_children_of_the_one_before_are_waited_for_without_an_alarm(world: World) -> None:
    world.delete()
    while world.cluster.strategy:
        world.turn()
        world.step()
    world.apply(spec("0.1"))
    world.settle()
    assert "NameTaken" not in [event.reason for event in world.events]
