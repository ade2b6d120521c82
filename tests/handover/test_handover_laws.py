"""Laws of the hand-over, over all interleavings of messages, ticks, losses and crashes.

The world itself raises `Broken` when two epochs are armed, when a batch is taken from the wrong
one, or when anybody is told what is not durable yet; `judge` compares what was accepted with what
one strategy alone decides on the same ticks.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from handover_world import Runner, World

KEYS = st.sampled_from(("first", "first", "second"))
WHICH = st.integers(0, 5)
MESSAGES = st.integers(1, 12)


class Desk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.deploy("r0", "first")
        self.world.settle()
        self.world.start("r0")

    @property
    def alive(self) -> list[Runner]:
        return [runner for runner in self.world.runners.values() if runner.alive]

    def pick(self, which: int) -> Runner:
        alive = self.alive or list(self.world.runners.values())
        return alive[which % len(alive)]

    # ---- what goes on

    @rule(count=MESSAGES)
    def the_market_moves(self, count: int) -> None:
        self.world.publish(count)

    @rule(which=WHICH, count=MESSAGES)
    def a_runner_reads(self, which: int, count: int) -> None:
        if self.pick(which).runs:
            self.pick(which).read(count)

    @rule(which=WHICH, count=MESSAGES)
    def a_runner_hears(self, which: int, count: int) -> None:
        runner = self.pick(which)
        while runner.runs and runner.down and count:
            runner.hear()
            count -= 1

    @rule(which=WHICH, count=MESSAGES)
    def the_gateway_hears(self, which: int, count: int) -> None:
        for _ in range(count):
            self.world.hear(self.pick(which))

    @rule(count=MESSAGES)
    def the_journal_commits(self, count: int) -> None:
        for _ in range(count):
            self.world.commit()

    @rule(which=WHICH)
    def all_goes_on_for_a_while(self, which: int) -> None:
        for _ in range(which + 1):
            self.world.publish(which)
            if self.world.gateway:
                self.world.settle()
            self.world.tick()

    @rule()
    def the_venue_fills(self) -> None:
        self.world.fill()

    @rule(steps=st.integers(1, 8))
    def time_passes(self, steps: int) -> None:
        for _ in range(steps):
            self.world.tick(0.05)

    @precondition(lambda self: self.world.gateway is not None)
    @rule(key=KEYS)
    def another_revision_is_wanted(self, key: str) -> None:
        self.world.deploy(f"r{len(self.world.keys)}", key)

    @precondition(lambda self: self.world.gateway is not None)
    @rule(which=WHICH)
    def an_earlier_revision_is_wanted(self, which: int) -> None:
        revisions = list(self.world.keys)
        revision = revisions[-1 - which % min(2, len(revisions))]
        self.world.deploy(revision, self.world.keys[revision])

    @precondition(lambda self: self.world.gateway is not None and len(self.alive) < 4)
    @rule()
    def the_supervisor_starts_a_runner(self) -> None:
        self.world.start(self.world.intended)

    # ---- faults

    @rule(which=WHICH)
    def a_link_is_cut(self, which: int) -> None:
        self.world.cut(self.pick(which))

    @rule(which=WHICH)
    def a_link_is_cut_and_the_gateway_does_not_see_it(self, which: int) -> None:
        self.pick(which).unlink()

    @rule(which=WHICH)
    def a_runner_links_again(self, which: int) -> None:
        runner = self.pick(which)
        if runner.alive and not runner.linked:
            self.world.gateway_sees(runner)
            self.world.connect(runner)

    @rule(which=WHICH)
    def a_runner_is_killed(self, which: int) -> None:
        self.world.crash(self.pick(which))

    @rule(which=WHICH)
    def a_runner_stops_or_goes_on(self, which: int) -> None:
        runner = self.pick(which)
        runner.mute = not runner.mute

    @rule(which=WHICH)
    def a_feed_is_lost_or_found(self, which: int) -> None:
        runner = self.pick(which)
        if runner.runs and runner.cursor is None:
            runner.subscribe()
        elif runner.runs:
            runner.lose_feed()

    @rule()
    def the_gateway_is_killed_or_starts(self) -> None:
        if self.world.gateway:
            self.world.crash_gateway()
        else:
            self.world.restart_gateway()

    # ---- laws

    @invariant()
    def nothing_is_decided_twice(self) -> None:
        self.world.judge_order()

    def teardown(self) -> None:
        """Left alone, the desk ends with the wanted revision armed, and all of it was right."""
        self.world.calm()
        assert self.world.is_calm, self.world.grants and self.world.grants.none_reason
        self.world.judge()


SHORT = settings(max_examples=60, stateful_step_count=60)
LONG = settings(
    max_examples=1_500, stateful_step_count=120, suppress_health_check=list(HealthCheck)
)

TestDesk = Desk.TestCase
TestDesk.settings = SHORT


@pytest.mark.long
class TestDeskForLong(Desk.TestCase):  # type: ignore[misc, valid-type]  # made at run time
    settings = LONG
