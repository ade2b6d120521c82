"""Laws of the operator, over all interleavings of edits, faults, old news and crashes.

The world itself raises `Broken` when a pod is created without a persisted intent or with a number
that was used, when two hand-overs go on at once, when the armed pod is deleted though nobody can go
on, when an epoch goes back, or when anything of somebody else's is touched. Left in peace, every
world must come to rest with the wanted revision armed, and there nothing is written.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from operator_world import DESK, NAME, SOMEBODY_ELSE, Broken, World, spec
from strategy_operator.names import IMAGE, RESTART, STRATEGY, TEMPLATE
from strategy_operator.observed import Policy, StoredRevision
from strategy_operator.reconcile import reconcile

QUANTITIES = ("0.1", "0.2", "0.3")
QUANTITY = st.sampled_from(QUANTITIES)
WHICH = st.integers(0, 5)
TROUBLES = st.sampled_from(("ImagePullBackOff", "Unschedulable", "CreateContainerConfigError"))
KINDS = st.sampled_from(("CreatePod", "DeletePod", "CreateConfigMap", "CreateRevision"))
INVALID = spec("0.1", mode="live")  # without a policy
PAUSES = st.sampled_from((0, 0, 1, 1, 2, 3, 6, 12))  # turns of everybody

LOSSES = st.sampled_from((None, None, None, 0, 1, 2))  # which action


def happens(**given: Any) -> Callable[[Any], Any]:
    """A rule, after which all goes on for a while, or for no time at all; of what the operator does
    then, an action of each decision may be lost."""

    def decorated(what: Callable[..., None]) -> Any:
        @wraps(what)
        def happening(self: "Operator", pause: int, loses: int | None, **drawn: Any) -> None:
            self.loses = loses
            what(self, **drawn)
            self.go_on(pause)
            self.loses = None

        return rule(pause=PAUSES, loses=LOSSES, **given)(happening)  # type: ignore[no-untyped-call]

    return decorated


class Operator(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.revisions = {each: self.world.revision_of(each) for each in QUANTITIES}
        self.loses: int | None = None

    @initialize(turns=st.sampled_from((0, 2, 4, 12, 12)))
    def it_has_run_for_a_while(self, turns: int) -> None:
        self.go_on(turns)

    @property
    def exists(self) -> bool:
        return self.world.cluster.strategy is not None

    @property
    def spec(self) -> dict[str, Any]:
        assert self.world.cluster.strategy is not None
        written: dict[str, Any] = self.world.cluster.strategy["spec"]
        return written

    def pick(self, which: int) -> str:
        pods = sorted(pod.name for pod in self.world.ours)
        return pods[which % len(pods)] if pods else ""

    def go_on(self, turns: int) -> None:
        lost = frozenset(() if self.loses is None else (self.loses,))
        for _ in range(turns):
            self.world.turn(lost)
            self.world.step()

    # ---- people

    @happens(quantity=QUANTITY, supersede=st.sampled_from(("Finish", "Replace")))
    def somebody_applies(self, quantity: str, supersede: str) -> None:
        self.world.apply(spec(quantity, rollout={"supersede": supersede}))

    @happens(first=QUANTITY, second=QUANTITY, turns=st.integers(0, 5))
    def somebody_changes_their_mind(self, first: str, second: str, turns: int) -> None:
        self.world.apply({**self.spec_or_new(), "parameters": {"quantity": first}})
        self.go_on(turns)
        self.world.apply({**self.spec_or_new(), "parameters": {"quantity": second}})

    def spec_or_new(self) -> dict[str, Any]:
        return self.spec if self.exists else spec()

    @precondition(lambda self: self.exists)
    @happens(node=st.sampled_from(("a", "b")), suspend=st.sampled_from((False, False, True)))
    def somebody_edits_around_the_revision(self, node: str, suspend: bool) -> None:
        template = {"nodeSelector": {"node": node}}
        self.world.apply({**self.spec, "suspend": suspend, "podTemplate": template})

    @precondition(lambda self: self.exists)
    @happens()
    def somebody_applies_nonsense(self) -> None:
        self.world.apply(INVALID)

    @happens(value=st.sampled_from("abc"))
    def somebody_asks_for_a_restart(self, value: str) -> None:
        self.world.annotate(RESTART, value)

    @precondition(lambda self: self.exists)
    @happens(policy=st.sampled_from(("", "", "", "Keep", "Flatten")))
    def somebody_deletes_it(self, policy: str) -> None:
        if policy:
            self.world.apply({**self.spec, "deletion": {"positionPolicy": policy}})
            self.world.delete()

    @happens(which=WHICH)
    def somebody_deletes_a_pod(self, which: int) -> None:
        self.world.delete_pod(self.pick(which))

    @precondition(lambda self: self.world.ours)
    @happens(which=WHICH, label=st.sampled_from((STRATEGY, TEMPLATE, IMAGE, "mine")))
    def somebody_edits_labels(self, which: int, label: str) -> None:
        pod = self.world.cluster.pods[self.pick(which)]
        self.world.edit_pod(pod.name, labels={**pod.labels, label: "edited"})

    @precondition(lambda self: self.world.ours)
    @happens(which=WHICH)
    def somebody_edits_an_image(self, which: int) -> None:
        self.world.edit_pod(self.pick(which), image="somebody/else:1")
        self.world.restart_container(self.pick(which))

    @happens(which=WHICH)
    def somebody_deletes_children(self, which: int) -> None:
        cluster = self.world.cluster
        for kept in (cluster.config_maps, cluster.revisions):
            names = sorted(kept)
            if names:
                kept.pop(names[which % len(names)])

    @happens(quantity=QUANTITY, ahead=st.integers(1, 3), what=st.integers(0, 3))
    def somebody_else_takes_a_name(self, quantity: str, ahead: int, what: int) -> None:
        revision, cluster = self.revisions[quantity], self.world.cluster
        name = f"{NAME}-{revision}"
        if what == 0:
            cluster.config_maps.setdefault(name, SOMEBODY_ELSE)
        elif what == 1:
            theirs = StoredRevision(revision, SOMEBODY_ELSE, 0.0, "{}", "{}", "")
            cluster.revisions.setdefault(name, theirs)
        elif what == 2:
            cluster.hidden.add(f"{name}-{self.world.status.get('attempt', 0) + ahead}")
        else:
            self.world.bring_back(revision, owner=SOMEBODY_ELSE)

    @happens(image=st.sampled_from(("stratops/runner:1", "stratops/runner:2")))
    def the_operator_is_upgraded(self, image: str) -> None:
        self.world.runner_image = image

    @happens(mirror=st.sampled_from(("", "mirror.example/")))
    def admission_rewrites_images(self, mirror: str) -> None:
        self.world.cluster.mirror = mirror

    @happens(there=st.sampled_from((True, True, False)), halted=st.booleans())
    def the_desk_changes(self, there: bool, halted: bool) -> None:
        self.world.cluster.desk = DESK if there else None
        self.world.cluster.policies = {"p": Policy("p", halted)}

    # ---- faults

    @happens(which=WHICH)
    def a_pod_fails(self, which: int) -> None:
        self.world.end_pod(self.pick(which))

    @happens(which=WHICH)
    def a_container_is_restarted(self, which: int) -> None:
        self.world.restart_container(self.pick(which))

    @happens(quantity=QUANTITY, trouble=TROUBLES)
    def pods_of_a_revision_do_not_start(self, quantity: str, trouble: str) -> None:
        self.world.cluster.bad[self.revisions[quantity]] = trouble

    @happens(quantity=QUANTITY)
    def runners_of_a_revision_are_never_ready(self, quantity: str) -> None:
        self.world.gateway.slow.add(self.revisions[quantity])

    @happens(quantity=QUANTITY)
    def a_revision_that_crashes_is_applied(self, quantity: str) -> None:
        self.world.cluster.crashing.add(self.revisions[quantity])
        self.world.apply(spec(quantity))

    @happens()
    def revisions_are_healed(self) -> None:
        self.world.cluster.bad.clear()
        self.world.cluster.crashing.clear()
        self.world.gateway.slow.clear()

    @happens(up=st.booleans())
    def the_gateway_comes_or_goes(self, up: bool) -> None:
        self.world.gateway.up = up

    @happens(kind=KINDS)
    def something_is_forbidden(self, kind: str) -> None:
        self.world.cluster.forbidden ^= {kind}

    @happens(start=st.booleans(), hand_over=st.booleans())
    def others_keep_the_operator_busy(self, start: bool, hand_over: bool) -> None:
        self.world.may_start, self.world.may_hand_over = start, hand_over

    @happens()
    def the_operator_is_killed(self) -> None:
        self.world.crash()

    @happens()
    def faults_are_mended(self) -> None:
        self._heal()

    # ---- what goes on

    @rule(steps=st.integers(1, 6))
    def time_passes_without_the_operator(self, steps: int) -> None:
        for _ in range(steps):
            self.world.step()

    @precondition(lambda self: self.exists)
    @happens(
        news=st.fixed_dictionaries(
            {part: st.booleans() for part in ("strategy", "objects", "pods", "gateway")}
        ),
        until=st.none() | st.integers(0, 5),
        lost=st.frozensets(st.integers(0, 5), max_size=2),
        twice=st.booleans(),
    )
    def the_operator_does_some_of_it(
        self, news: dict[str, bool], until: int | None, lost: frozenset[int], twice: bool
    ) -> None:
        """On partly old news; stopped after `until` writes, which kills it."""
        world = self.world
        decision = reconcile(world.look(**news))
        world.carry_out(decision, until=until, lost=lost, twice=twice)
        if until is not None:
            world.crash()

    @precondition(lambda self: self.exists)
    @happens(cuts=st.lists(st.integers(0, 4), min_size=1, max_size=8))
    def the_operator_is_killed_again_and_again(self, cuts: list[int]) -> None:
        for until in cuts:
            if self.exists:
                self.world.carry_out(self.world.decide(), until=until)
                self.world.crash()
                self.world.step()

    # ---- in peace

    def teardown(self) -> None:
        world = self.world
        self._heal()
        if not world.cluster.crashing:  # else somebody is armed and lost again for ever
            world.settle()
        world.cluster.bad.clear()
        world.cluster.crashing.clear()
        world.gateway.slow.clear()
        if self.exists:
            world.settle()  # what has failed often enough is given up: only then is it asked for
            world.annotate(RESTART, "at last")
            world.settle()
        self._judge()
        self._end()

    def _heal(self) -> None:
        world, cluster = self.world, self.world.cluster
        world.gateway.up = world.may_start = world.may_hand_over = True
        cluster.forbidden.clear()
        cluster.hidden.clear()
        for name in [name for name, pod in cluster.pods.items() if pod.owner_uid == SOMEBODY_ELSE]:
            del cluster.pods[name]
        cluster.desk, cluster.policies = DESK, {}
        cluster.config_maps = {
            name: uid for name, uid in cluster.config_maps.items() if uid != SOMEBODY_ELSE
        }
        cluster.revisions = {
            name: kept
            for name, kept in cluster.revisions.items()
            if kept.owner_uid != SOMEBODY_ELSE
        }
        if self.exists and "mode" in self.spec:
            world.apply(spec("0.2"))

    def _judge(self) -> None:
        world = self.world
        if not self.exists:
            return
        if world.is_suspended:
            assert not world.ours
            assert world.gateway.armed is None
            assert world.condition("Paused")["status"] == "True"
            return
        (pod,) = world.ours
        wanted = self.spec["parameters"]["quantity"]
        assert world.gateway.revision == pod.revision == self.revisions[wanted]
        assert world.gateway.armed
        assert world.gateway.armed.pod == pod.name
        assert world.condition("Ready")["status"] == "True"
        assert world.condition("Stalled")["status"] == "False"
        assert list(world.cluster.config_maps) == [f"{NAME}-{pod.revision}"]

    def _end(self) -> None:
        """A deletion ends, whether the gateway answers or not."""
        world = self.world
        world.gateway.up = len(world.events) % 2 == 0
        world.delete()
        for _ in range(60):
            if not self.exists and not world.cluster.pods and not world.cluster.revisions:
                return
            self.go_on(1)
        raise Broken(f"left behind: {world.cluster}")


LAWS = settings(
    max_examples=50,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestOperator = Operator.TestCase
TestOperator.settings = LAWS


@pytest.mark.long
@pytest.mark.parametrize("number", range(4))
def test_the_laws_hold_at_length(number: int) -> None:
    """In parts: hypothesis remembers all of a run's examples."""
    part = type(f"Operator{number}", (Operator,), {})
    at_length = settings(LAWS, max_examples=400, stateful_step_count=50, database=None)
    run_state_machine_as_test(seed(number)(part), settings=at_length)


def test_a_fallback_that_is_given_up_and_lost_is_let_go_for_a_restart() -> None:
    """Found by the laws at length: nobody told the gateway, which took no other one then."""
    desk = Operator()
    desk.the_desk_changes(halted=True, there=True, loses=None, pause=12)
    desk.a_revision_that_crashes_is_applied(quantity="0.1", loses=1, pause=0)
    desk.somebody_applies_nonsense(loses=2, pause=6)
    desk.faults_are_mended(loses=None, pause=12)
    desk.a_revision_that_crashes_is_applied(quantity="0.2", loses=None, pause=3)
    desk.a_pod_fails(which=4, loses=None, pause=6)
    desk.somebody_deletes_a_pod(which=0, loses=0, pause=6)
    desk.somebody_deletes_children(which=4, loses=0, pause=1)
    desk.teardown()
