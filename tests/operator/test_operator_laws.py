"""Laws of the operator, over all interleavings of edits, faults, old news and crashes.

The world itself raises `Broken` when a pod is created without a persisted intent or with a number
that was used, when two hand-overs go on at once, when the armed pod is deleted though nobody can go
on, when an epoch goes back, or when anything of somebody else's is touched. Left in peace, every
world must come to rest with the wanted revision armed, and there nothing is written.
"""

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
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
SUPERSEDE = st.sampled_from(("Finish", "Replace"))
WHICH = st.integers(0, 5)
TROUBLES = st.sampled_from(("ImagePullBackOff", "Unschedulable", "CreateContainerConfigError"))
KINDS = st.sampled_from(("CreatePod", "DeletePod", "CreateConfigMap", "CreateRevision"))
INVALID = spec("0.1", mode="live")  # without a policy


class Operator(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.revisions = {each: self.world.revision_of(each) for each in QUANTITIES}

    @property
    def exists(self) -> bool:
        return self.world.cluster.strategy is not None

    def pick(self, which: int) -> str:
        pods = sorted(pod.name for pod in self.world.ours)
        return pods[which % len(pods)] if pods else ""

    # ---- people

    @rule(quantity=QUANTITY, supersede=SUPERSEDE)
    def somebody_applies(self, quantity: str, supersede: str) -> None:
        self.world.apply(spec(quantity, rollout={"supersede": supersede}))

    @rule(node=st.sampled_from(("a", "b")), suspend=st.booleans())
    @precondition(lambda self: self.exists)
    def somebody_edits_around_the_revision(self, node: str, suspend: bool) -> None:
        written = self.world.cluster.strategy["spec"]  # type: ignore[index]
        template = {"nodeSelector": {"node": node}}
        self.world.apply({**written, "suspend": suspend, "podTemplate": template})

    @rule()
    @precondition(lambda self: self.exists)
    def somebody_applies_nonsense(self) -> None:
        self.world.apply(INVALID)

    @rule(value=st.sampled_from("abc"))
    def somebody_asks_for_a_restart(self, value: str) -> None:
        self.world.annotate(RESTART, value)

    @rule(flatten=st.booleans())
    @precondition(lambda self: self.exists)
    def somebody_deletes_it(self, flatten: bool) -> None:
        written = self.world.cluster.strategy["spec"]  # type: ignore[index]
        policy = "Flatten" if flatten else "Keep"
        self.world.apply({**written, "deletion": {"positionPolicy": policy}})
        self.world.delete()

    @rule(which=WHICH)
    def somebody_deletes_a_pod(self, which: int) -> None:
        self.world.delete_pod(self.pick(which))

    @rule(which=WHICH, label=st.sampled_from((STRATEGY, TEMPLATE, IMAGE, "mine")))
    @precondition(lambda self: self.world.ours)
    def somebody_edits_labels(self, which: int, label: str) -> None:
        pod = self.world.cluster.pods[self.pick(which)]
        self.world.edit_pod(pod.name, labels={**pod.labels, label: "edited"})

    @rule(which=WHICH)
    @precondition(lambda self: self.world.ours)
    def somebody_edits_an_image(self, which: int) -> None:
        self.world.edit_pod(self.pick(which), image="somebody/else:1")
        self.world.restart_container(self.pick(which))

    @rule(which=WHICH)
    def somebody_deletes_children(self, which: int) -> None:
        cluster = self.world.cluster
        for kept in (cluster.config_maps, cluster.revisions):
            names = sorted(kept)
            if names:
                kept.pop(names[which % len(names)])

    @rule(quantity=QUANTITY, attempt=st.integers(1, 6))
    def somebody_else_takes_names(self, quantity: str, attempt: int) -> None:
        revision = self.revisions[quantity]
        name, cluster = f"{NAME}-{revision}", self.world.cluster
        cluster.config_maps.setdefault(name, SOMEBODY_ELSE)
        theirs = StoredRevision(revision, SOMEBODY_ELSE, 0.0, "{}", "{}", "")
        cluster.revisions.setdefault(name, theirs)
        cluster.hidden.add(f"{name}-{attempt}")

    @rule(image=st.sampled_from(("stratops/runner:1", "stratops/runner:2")))
    def the_operator_is_upgraded(self, image: str) -> None:
        self.world.runner_image = image

    @rule(there=st.booleans(), halted=st.booleans())
    def the_desk_changes(self, there: bool, halted: bool) -> None:
        self.world.cluster.desk = DESK if there else None
        self.world.cluster.policies = {"p": Policy("p", halted)}

    # ---- faults

    @rule(which=WHICH)
    def a_pod_fails(self, which: int) -> None:
        self.world.end_pod(self.pick(which))

    @rule(which=WHICH)
    def a_container_is_restarted(self, which: int) -> None:
        self.world.restart_container(self.pick(which))

    @rule(quantity=QUANTITY, trouble=TROUBLES)
    def pods_of_a_revision_do_not_start(self, quantity: str, trouble: str) -> None:
        self.world.cluster.bad[self.revisions[quantity]] = trouble

    @rule(quantity=QUANTITY)
    def runners_of_a_revision_crash(self, quantity: str) -> None:
        self.world.cluster.crashing.add(self.revisions[quantity])

    @rule()
    def revisions_are_healed(self) -> None:
        self.world.cluster.bad.clear()
        self.world.cluster.crashing.clear()

    @rule(up=st.booleans())
    def the_gateway_comes_or_goes(self, up: bool) -> None:
        self.world.gateway.up = up

    @rule(kind=KINDS)
    def something_is_forbidden(self, kind: str) -> None:
        self.world.cluster.forbidden ^= {kind}

    @rule(start=st.booleans(), hand_over=st.booleans())
    def others_keep_the_operator_busy(self, start: bool, hand_over: bool) -> None:
        self.world.may_start, self.world.may_hand_over = start, hand_over

    @rule()
    def the_operator_is_killed(self) -> None:
        self.world.crash()

    # ---- what goes on

    @rule(steps=st.integers(1, 6))
    def time_passes(self, steps: int) -> None:
        for _ in range(steps):
            self.world.step()

    @rule(turns=st.integers(1, 6))
    def all_goes_on_for_a_while(self, turns: int) -> None:
        for _ in range(turns):
            self.world.turn()
            self.world.step()

    @rule(
        news=st.fixed_dictionaries(
            {part: st.booleans() for part in ("strategy", "objects", "pods", "gateway")}
        ),
        until=st.none() | st.integers(0, 5),
        lost=st.frozensets(st.integers(0, 5), max_size=2),
        twice=st.booleans(),
    )
    @precondition(lambda self: self.exists)
    def the_operator_does_some_of_it(
        self, news: dict[str, bool], until: int | None, lost: frozenset[int], twice: bool
    ) -> None:
        """On partly old news; stopped after `until` writes, which kills it."""
        world = self.world
        decision = reconcile(world.look(**news))
        world.carry_out(decision, until=until, lost=lost, twice=twice)
        if until is not None:
            world.crash()

    # ---- in peace

    def teardown(self) -> None:
        world = self.world
        self._heal()
        if not world.cluster.crashing:  # else somebody is armed and lost again for ever
            world.settle()
        world.cluster.bad.clear()
        world.cluster.crashing.clear()
        world.annotate(RESTART, "at last")
        if self.exists:
            world.settle()
        self._judge()
        self._end()

    def _heal(self) -> None:
        world, cluster = self.world, self.world.cluster
        world.gateway.up = world.may_start = world.may_hand_over = True
        cluster.forbidden.clear()
        cluster.hidden.clear()
        cluster.desk, cluster.policies = DESK, {}
        cluster.config_maps = {
            name: uid for name, uid in cluster.config_maps.items() if uid != SOMEBODY_ELSE
        }
        cluster.revisions = {
            name: kept
            for name, kept in cluster.revisions.items()
            if kept.owner_uid != SOMEBODY_ELSE
        }
        if self.exists and "mode" in cluster.strategy["spec"]:  # type: ignore[index]
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
        wanted = world.cluster.strategy["spec"]["parameters"]["quantity"]  # type: ignore[index]
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
            world.turn()
            world.step()
        if self.exists or world.cluster.pods or world.cluster.revisions:
            raise Broken(f"left behind: {world.cluster}")


LAWS = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestOperator = Operator.TestCase
TestOperator.settings = LAWS


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_the_laws_hold_at_length(number: int) -> None:
    """In parts: hypothesis remembers all of a run's examples."""
    part = type(f"Operator{number}", (Operator,), {})
    at_length = settings(LAWS, max_examples=500, stateful_step_count=60, database=None)
    run_state_machine_as_test(seed(number)(part), settings=at_length)
