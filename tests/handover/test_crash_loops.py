"""A revision that keeps failing before it has lasted is given up, and the one before trades on."""

from functools import partial

import pytest

from handover.messages import Phase, Trouble
from handover_world import Runner, World

LEASE = 1.0


def follows(runner: Runner) -> bool:
    return runner.replica.phase is Phase.FOLLOW


def decides(runner: Runner) -> bool:
    return runner.decides


def fail(world: World, times: int) -> None:
    """Runners of the wanted revision, each of which dies while it begins to follow."""
    for _ in range(times):
        runner = world.start(world.intended)
        world.run_until(partial(follows, runner))
        world.crash(runner)
        world.sit(LEASE + 0.1)


def wanting(revision: str) -> World:
    world = World.trading()
    world.deploy(revision, "key")
    world.settle()
    return world


def test_a_revision_whose_runners_die_three_times_is_given_up() -> None:
    world = wanting("bad")
    fail(world, 3)
    assert world.said("given_up") == ["crash_loop"]
    assert (world.grants.given_up, world.grants.target) == ("bad", "old")
    assert world.armed.revision == "old"
    assert world.armed.decides


def test_two_deaths_are_no_loop() -> None:
    world = wanting("shaky")
    fail(world, 2)
    world.start("shaky")
    world.settle()
    assert world.armed.revision == "shaky"


def test_troubles_count_as_deaths() -> None:
    world = wanting("bad")
    for _ in range(3):
        runner = world.start("bad")
        world.run_until(partial(follows, runner))
        for _ in range(2):
            runner.up.append(Trouble("strategy_raises"))
        world.sit(LEASE + 0.1)
    assert world.grants.given_up == "bad"
    assert world.said("dropped")[0] == "strategy_raises"


def test_a_revision_that_dies_right_after_its_arming_is_given_up() -> None:
    world = wanting("bad")
    for _ in range(3):
        runner = world.start("bad")
        world.run_until(partial(decides, runner))
        world.crash(runner)
        world.settle()
        world.sit(LEASE + 0.1)
    assert world.grants.given_up == "bad"
    assert world.armed.revision == "old"
    assert world.judge() > 0


def test_what_was_given_up_is_sent_away() -> None:
    world = wanting("bad")
    fail(world, 3)
    another = world.start("bad")
    world.settle()
    assert another.replica.released == "crash_loop"


def test_it_stays_given_up_when_the_gateway_starts_again() -> None:
    world = wanting("bad")
    fail(world, 3)
    world.crash_gateway()
    world.restart_gateway()
    assert (world.grants.given_up, world.grants.target) == ("bad", "old")


@pytest.mark.parametrize("again", [False, True], ids=["another", "the same after another"])
def test_wanting_another_revision_clears_it(again: bool) -> None:
    world = wanting("bad")
    fail(world, 3)
    for revision in ("good", "bad")[: 1 + again]:
        world.deploy(revision, "key")
        world.settle()
    assert world.grants.given_up == ""
    runner = world.start(world.intended)
    world.settle()
    assert world.armed is runner


def test_wanting_the_same_again_does_not_try_it_again() -> None:
    world = wanting("bad")
    fail(world, 3)
    world.deploy("bad", "key")
    world.settle()
    assert world.grants.given_up == "bad"


def test_one_that_has_lasted_starts_counting_anew() -> None:
    world = wanting("new")
    fail(world, 2)
    runner = world.start("new")
    world.sit(world.timing.probation + 0.1)
    world.crash(runner)
    world.sit(LEASE + 0.1)
    assert world.grants.given_up == ""


def test_with_nothing_to_go_back_to_it_is_tried_on_and_the_reason_shows() -> None:
    world = World()
    world.deploy("only", "key")
    world.settle()
    for _ in range(3):
        runner = world.start("only")
        world.settle()
        world.crash(runner)
        world.sit(LEASE + 0.1)
    assert (world.grants.given_up, world.grants.none_reason) == ("", "crash_loop")
    world.start("only")
    world.settle()
    assert world.armed.decides
