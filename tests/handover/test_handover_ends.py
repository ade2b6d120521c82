"""Every way a hand-over can end, one by one: the rows of the table in docs/handover.md."""

from collections.abc import Callable

import pytest

from handover.messages import Phase
from handover_world import Runner, World

LEASE, SILENT, RESUME, SOAK, STOP = 1.0, 2.0, 2.0, 0.2, 0.25


def with_spare(world: World) -> Runner:
    """A second runner of the same revision: it follows, and is ready."""
    spare = world.start("old")
    world.go_on()
    return spare


def with_successor(world: World, key: str = "key") -> Runner:
    """A runner of the next revision, about to follow."""
    world.deploy("new", key)
    world.settle()
    return world.start("new")


def is_ready(world: World, runner: Runner) -> bool:
    return any(view.ready and view.instance == runner.instance for view in world.grants.runners)


def ends_well(world: World, armed: Runner) -> bool:
    """It alone decides, all that was accepted is right, and it goes on."""
    world.go_on()
    world.sit(0.2)
    assert (world.armed, armed.decides) == (armed, True)
    world.judge()
    return world.grants.mark.sequences == armed.host.sequences()


# ---- as it should be


def test_the_wanted_revision_takes_over_between_two_ticks() -> None:
    world = World.trading()
    successor = with_successor(world)
    world.go_on()
    assert world.said("switched") == ["asked"]
    assert ends_well(world, successor)
    assert successor.replica.gaps == 0


def test_a_successor_of_another_kind_warms_up_first() -> None:
    world = World.trading()
    successor = with_successor(world, key="another")
    world.settle()
    assert successor.replica.phase is Phase.FOLLOW
    assert world.said("switched") == []
    world.go_on(50)
    assert world.said("switched") == ["asked"]
    assert ends_well(world, successor)


def test_a_market_that_stands_still_is_handed_over_too() -> None:
    world = World.trading()
    successor = with_successor(world)
    world.settle()
    assert world.said("switched") == ["asked"]
    assert ends_well(world, successor)


def test_the_old_one_follows_for_a_while_and_leaves() -> None:
    world = World.trading()
    old = world.armed
    with_successor(world)
    world.settle()
    assert old.replica.phase is Phase.FOLLOW
    world.sit(SOAK + 0.1)
    assert old.replica.released == "replaced"


def test_a_revision_that_is_superseded_in_time_never_trades() -> None:
    world = World.trading()
    second = with_successor(world)
    world.run_until(lambda: second.replica.phase is Phase.FOLLOW)
    world.deploy("newest", "key")
    third = world.start("newest")
    world.settle()
    assert second.replica.released == "superseded"
    assert ends_well(world, third)


def test_a_switch_that_has_begun_is_finished_before_the_next() -> None:
    world = World.trading()
    second = with_successor(world)
    world.run_until(lambda: "stopping" in [note.event for note in world.notes])
    world.deploy("newest", "key")
    third = world.start("newest")
    world.settle()
    assert world.said("switched") == ["asked", "asked"]
    assert second.replica.phase is Phase.FOLLOW
    assert ends_well(world, third)


# ---- the armed one


def test_a_lost_armed_one_is_replaced_by_its_follower() -> None:
    world = World.trading()
    spare, old = with_spare(world), world.armed
    world.publish(10)
    world.crash(old)
    world.settle()
    assert world.said("switched") == ["old_lost"]
    assert ends_well(world, spare)


def test_a_silent_armed_one_is_replaced_by_its_follower() -> None:
    world = World.trading()
    spare, old = with_spare(world), world.armed
    old.mute = True
    world.sit(LEASE + 0.1)
    assert world.said("switched") == ["old_silent"]
    assert ends_well(world, spare)


def test_a_silent_one_that_wakes_is_sent_away() -> None:
    world = World.trading()
    spare, old = with_spare(world), world.armed
    old.mute = True
    world.sit(LEASE + 0.1)
    world.go_on()
    old.mute = False
    assert ends_well(world, spare)
    assert old.replica.released == "old_silent"


def test_a_lost_armed_one_without_a_follower_ends_with_a_reason() -> None:
    world = World.trading()
    world.crash(world.armed)
    world.sit(LEASE + 0.1)
    assert (world.grants.epoch, world.grants.none_reason) == (0, "armed_lost")


def test_an_armed_one_that_says_nothing_ends_with_a_reason() -> None:
    world = World.trading()
    world.armed.mute = True
    world.sit(SILENT + 0.1)
    assert (world.grants.epoch, world.grants.none_reason) == (0, "armed_lost")


def test_a_new_life_of_the_lost_one_begins_with_a_new_epoch() -> None:
    world = World.trading()
    world.crash(world.armed)
    newcomer = world.start("old")
    world.sit(LEASE + 0.1)
    assert ends_well(world, newcomer)
    assert world.grants.epoch == 2


def test_an_armed_one_that_comes_back_too_late_begins_anew() -> None:
    world = World.trading()
    old = world.armed
    world.cut(old)
    world.sit(LEASE + 0.1)
    world.connect(old)
    assert ends_well(world, old)
    assert world.grants.epoch == 2


def test_a_link_that_comes_back_in_time_loses_nothing() -> None:
    world = World.trading()
    old = world.armed
    world.publish(40)
    old.read(20)
    world.cut(old)
    old.read(20)
    world.connect(old)
    assert ends_well(world, old)
    assert world.grants.epoch == 1
    assert old.replica.gaps == 0


def test_a_lost_feed_stops_the_armed_one_and_its_follower_takes_over() -> None:
    world = World.trading()
    spare, old = with_spare(world), world.armed
    old.lose_feed()
    world.settle()
    assert world.said("switched") == ["feed_lost"]
    assert ends_well(world, spare)


def test_a_lost_feed_without_a_follower_leaves_an_honest_gap() -> None:
    world = World.trading()
    old = world.armed
    old.lose_feed()
    world.sit(0.1)
    assert world.said("resumed") == ["feed_lost"]
    world.publish(5)
    old.subscribe()
    assert ends_well(world, old)
    assert old.replica.gaps == 1


# ---- the hand-over


def test_an_old_one_that_does_not_stop_is_fenced_off() -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: "stopping" in [note.event for note in world.notes])
    old.mute = True
    world.sit(STOP + 0.1)
    old.mute = False
    assert world.said("switched") == ["stop_timeout"]
    assert ends_well(world, successor)


def test_a_successor_that_dies_before_it_is_ready_changes_nothing() -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: successor.replica.phase is Phase.FOLLOW)
    world.crash(successor)
    world.sit(LEASE + 0.1)
    assert world.said("dropped") == ["new_lost"]
    assert ends_well(world, old)


def test_a_successor_that_dies_when_the_old_one_has_stopped_lets_it_go_on() -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: old.replica.phase is Phase.STOPPED)
    world.crash(successor)
    world.settle()
    assert world.said("resumed") == ["asked"]
    assert ends_well(world, old)
    assert old.replica.gaps == 0


@pytest.mark.parametrize("heard", [False, True], ids=["before it hears", "after it heard"])
def test_a_successor_that_dies_after_the_switch_gives_back_to_the_old_one(heard: bool) -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: world.armed is successor)
    if heard:
        world.run_until(lambda: successor.decides)
    world.crash(successor)
    world.settle()
    assert world.said("switched") == ["asked", "old_lost"]
    assert ends_well(world, old)
    assert old.replica.gaps == 0


def test_a_successor_that_never_takes_what_it_was_given_loses_it_again() -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: is_ready(world, successor))
    world.publish(10)
    old.read(10)  # ... and the successor's connection brings nothing any more
    successor.cursor = None
    world.sit(LEASE + 0.2)
    assert world.said("switched")[:2] == ["asked", "no_progress"]
    world.crash(successor)
    assert ends_well(world, old)


def test_a_successor_that_never_gets_ready_is_dropped() -> None:
    world = World.trading()
    old = world.armed
    world.deploy("new", "key")
    world.settle()
    successor = world.start("new")
    successor.cursor = None
    successor.replica.on_feed_lost()
    world.sit(world.timing.ready + 0.2)
    assert world.said("dropped") == ["never_ready"]
    assert ends_well(world, old)


def test_a_follower_that_saw_another_stream_is_given_one_more_snapshot_and_then_dropped() -> None:
    world = World.trading()
    old = world.armed
    follower = with_spare(world)
    for _ in range(2):
        world.published.append(b"run|C/tick|%d|5" % (len(world.published) + 1_000))
        follower.read(1)
        assert old.cursor
        old.cursor += 1  # the armed one's connection lost that message and nobody noticed
        world.torn.add(world.grants.epoch)
        world.go_on()
    assert world.said("trouble") == ["stream_differs", "stream_differs"]
    assert follower.replica.released == "stream_differs"
    assert ends_well(world, old)


def test_a_follower_that_thinks_otherwise_is_never_armed() -> None:
    world = World.trading()
    successor = with_successor(world)
    world.run_until(lambda: successor.replica.phase is Phase.FOLLOW)
    successor.host.position += 1  # type: ignore[attr-defined]  # of the market's Mini
    world.go_on()
    assert world.said("trouble")[0] == "state_differs"
    successor = world.runners[successor.instance]
    assert ends_well(world, successor)  # the second snapshot was whole


def test_a_successor_found_to_differ_when_it_is_armed_gives_back() -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: old.replica.phase is Phase.STOPPED)
    successor.host.position += 1  # type: ignore[attr-defined]  # of the market's Mini
    world.run_until(lambda: "trouble" in [note.event for note in world.notes])
    assert world.said("trouble") == ["state_differs"]
    world.run_until(lambda: world.armed is old)
    assert world.said("switched") == ["asked", "state_differs"]


def test_withdrawing_ends_the_grant_and_releases_everybody() -> None:
    world = World.trading()
    world.carry_out(world.grants.withdraw("enough"))
    world.settle()
    assert (world.grants.epoch, world.grants.none_reason) == (0, "withdrawn")
    assert [runner.replica.released for runner in world.runners.values()] == ["withdrawn"]


# ---- the gateway

POINTS: dict[str, Callable[[World, Runner, Runner], bool]] = {
    "hello": lambda world, old, new: new.instance in world.known,
    "snapshot wanted": lambda world, old, new: bool(new.replica.hello().subscription),
    "following": lambda world, old, new: new.replica.phase is Phase.FOLLOW,
    "ready": lambda world, old, new: is_ready(world, new),
    "stopping": lambda world, old, new: "stopping" in [note.event for note in world.notes],
    "stopped": lambda world, old, new: old.replica.phase is Phase.STOPPED,
    "stop durable": lambda world, old, new: world.books.batches[1][-1].stopped == "asked",
    "switch durable": lambda world, old, new: world.armed is new,
    "armed": lambda world, old, new: new.decides,
    "first batch": lambda world, old, new: 2 in world.books.batches,
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("key", ["key", "another"], ids=["snapshot", "warm-up"])
def test_a_gateway_killed_anywhere_finishes_what_it_had_begun(point: str, key: str) -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world, key)
    while not world.run_until(lambda: POINTS[point](world, old, successor)):
        world.publish(1)
    world.crash_gateway()
    world.publish(10)
    old.read(5)
    world.restart_gateway()
    for runner in (successor, old):
        world.connect(runner)
    world.go_on(50)
    world.sit(0.2)
    assert ends_well(world, successor)
    assert old.replica.gaps == successor.replica.gaps == 0
    assert world.grants.epoch == 2


@pytest.mark.parametrize("point", ["stop durable", "switch durable", "armed", "first batch"])
def test_a_gateway_and_the_successor_killed_together_leave_the_old_one_trading(point: str) -> None:
    world = World.trading()
    old = world.armed
    successor = with_successor(world)
    world.run_until(lambda: POINTS[point](world, old, successor))
    world.crash_gateway()
    successor.alive = False
    world.restart_gateway()
    world.connect(old)
    world.sit(RESUME + 0.2)
    assert ends_well(world, old)


def test_a_gateway_that_was_stopped_itself_blames_nobody() -> None:
    world = World.trading()
    with_spare(world)
    world.now += 30
    world.carry_out(world.grants.tick(world.now))
    world.settle()
    assert world.grants.epoch == 1
    assert world.said("dropped") == []
