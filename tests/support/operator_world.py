"""A cluster, a gateway and the operator's hands, as small as they can be: one strategy in memory.

The API server keeps objects and resource versions; the kubelet starts pods; the gateway arms by
the rules of the hand-over, without market data. The operator looks (perhaps at old news), decides
by the real `reconcile`, and carries it out (perhaps half of it). What must never happen raises
`Broken` where it would.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from strategy_operator.actions import (
    Action,
    AddFinalizer,
    CreateConfigMap,
    CreatePod,
    CreateRevision,
    Decision,
    DeleteConfigMap,
    DeletePod,
    DeleteRevision,
    Deploy,
    Event,
    MendPod,
    RemoveFinalizer,
    Withdraw,
    target_of,
)
from strategy_operator.desired import wish
from strategy_operator.names import FINALIZER, pod_name
from strategy_operator.names import labels as labels_of
from strategy_operator.observed import (
    FEED_LOST,
    Desk,
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

NAME, NAMESPACE = "btc", "desk-a"
BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
DESK = Desk("stratops-gateway.desk-a.svc:9090", "redis://stratops-redis:6379")
SOMEBODY_ELSE = "somebody-else"


class Broken(AssertionError):
    """Something happened that must never happen."""


def spec(quantity: str = "0.1", **fields: Any) -> dict[str, Any]:
    """Another quantity is another revision."""
    return {
        "strategy": {"builtin": "sma_crossover"},
        "symbols": ["BTCUSDT"],
        "parameters": {"quantity": quantity},
        **fields,
    }


def text_of(now: float) -> str:
    return (BEGAN + timedelta(seconds=int(now))).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- The gateway


@dataclass(slots=True)
class Session:
    pod: str
    uid: str
    revision: str
    ready: bool = False


@dataclass(slots=True)
class Gateway:
    """Grants of one strategy. `armed` is the session that trades."""

    up: bool = True
    known: bool = False
    wanted: str = ""
    deployed: dict[str, frozenset[str]] = field(default_factory=dict)
    armed: Session | None = None
    sessions: dict[str, Session] = field(default_factory=dict)  # by pod
    epoch: int = 0
    last: str = ""  # revision armed last
    former: str = ""  # armed before the wanted one
    given_up: str = ""
    failures: int = 0
    handovers: int = 0
    positions: dict[str, Decimal] = field(default_factory=dict)
    flattening: bool = False
    closes: bool = True  # positions, when it is asked to
    at_work: str = ""  # orders that a withdrawal has still to cancel
    revisions_at_work: frozenset[str] = frozenset()
    halted: str = ""
    version: int = 0  # of what it would answer
    ever_armed: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)  # revisions whose runners are never ready
    deaf: set[str] = field(default_factory=set)  # revisions whose runners hear of no feed

    @property
    def target(self) -> str:
        return self.former if self.wanted and self.wanted == self.given_up else self.wanted

    @property
    def left(self) -> str:
        """What its withdrawal has still to do."""
        closing = "BTCUSDT" if self.flattening and self.positions else ""
        return "" if self.wanted else self.at_work or closing

    @property
    def revision(self) -> str:
        return self.armed.revision if self.armed else ""

    def deploy(self, revision: str, pods: tuple[str, ...]) -> None:
        self.version += 1
        self.known = True
        self.flattening = False
        if revision != self.wanted:
            self.want(revision)
        self.deployed[revision] = frozenset(pods)

    def want(self, revision: str) -> None:
        if self.last not in ("", revision):
            self.former = self.last
        if self.given_up == self.wanted:
            self.given_up = ""
        self.wanted, self.failures = revision, 0

    def withdraw(self, *, flatten: bool) -> None:
        self.version += 1
        if self.known:
            self.want("")
            self.flattening = self.flattening or flatten

    def view(self) -> GatewayView:
        return GatewayView(
            known=self.known,
            wanted=self.wanted,
            runner_pods=self.deployed.get(self.wanted, frozenset()),
            armed=self.revision,
            epoch=self.epoch if self.armed else 0,
            none_reason="" if self.armed else "none_connected",
            given_up=self.given_up if self.given_up == self.wanted else "",
            policy="" if self.wanted else None,
            flattening=self.left,
            at_work=self.revisions_at_work,
            runners=tuple(map(self._seen, self.sessions.values())),
            handovers=self.handovers,
            positions=dict(self.positions),
            halted=self.halted,
        )

    def _seen(self, session: Session) -> RunnerSeen:
        armed, age_s = session is self.armed, FEED_LOST if session.revision in self.deaf else 0.1
        return RunnerSeen(session.pod, session.revision, armed, True, session.ready, age_s)

    # ---- its moves

    def arm(self, session: Session) -> None:
        self.handovers += self.armed is not None
        self.armed, self.last = session, session.revision
        self.epoch += 1
        self.ever_armed.add(session.revision)

    def lose(self, pod: str, *, failed: bool = False) -> None:
        """The session of that pod has ended."""
        self.version += 1
        session = self.sessions.pop(pod, None)
        if session is None:
            return
        if failed and session.revision == self.wanted:
            self.failures += 1
        if self.armed is session:
            heirs = [each for each in self.sessions.values() if each.ready]
            heirs.sort(key=lambda each: each.revision != self.target)
            if heirs and self.wanted:
                self.arm(heirs[0])
            else:
                self.armed = None

    def names(self, pod: Pod) -> bool:
        return pod.uid in self.deployed.get(pod.revision, frozenset())

    def has_place_for(self, revision: str) -> bool:
        return bool(self.wanted) and revision in (
            self.target,
            self.revision or self.former,
        )

    def step(self) -> list[str]:
        """Moves on; answers with the pods whose runners it releases."""
        self.version += 1
        if not self.wanted:
            self.armed = None
            self.positions = {} if self.flattening and self.closes else self.positions
        elif self.armed is None:
            self._grant()
        elif self.revision != self.target:
            heir = next((s for s in self.sessions.values() if self._may_take_over(s)), None)
            if heir:
                self.arm(heir)
        if self.failures >= 3 and self.former not in ("", self.wanted):
            self.given_up, self.failures = self.wanted, 0
        released = [each.pod for each in self.sessions.values() if self._is_useless(each)]
        for pod in released:
            del self.sessions[pod]
        for session in self.sessions.values():
            session.ready = session.revision not in self.slow
        return released

    def _grant(self) -> None:
        for revision in (self.target, self.former):
            for session in self.sessions.values():
                able = session.revision not in self.slow
                if able and session.revision == revision != self.given_up:
                    self.arm(session)
                    return

    def _may_take_over(self, session: Session) -> bool:
        return session.ready and session.revision == self.target

    def _is_useless(self, session: Session) -> bool:
        if session is self.armed:
            return False
        return not self.has_place_for(session.revision) and (not self.wanted or bool(self.armed))


# ---- The cluster


@dataclass(slots=True)
class Cluster:
    """Objects of one namespace, and a kubelet with fates for revisions."""

    strategy: dict[str, Any] | None = None
    revisions: dict[str, StoredRevision] = field(default_factory=dict)  # by object name
    config_maps: dict[str, str] = field(default_factory=dict)  # name -> owner uid
    hidden: set[str] = field(default_factory=set)  # names of foreign pods that no watch shows
    pods: dict[str, Pod] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    desk: Desk | None = DESK
    bad: dict[str, str] = field(default_factory=dict)  # revision -> its pods' trouble
    crashing: set[str] = field(default_factory=set)  # revisions whose runners do not last
    forbidden: set[str] = field(default_factory=set)  # kinds of actions
    stranded: set[str] = field(default_factory=set)  # names of pods whose node is gone
    mirror: str = ""  # what admission writes before each image


@dataclass(slots=True)
class Cache:
    """What the operator has seen: parts of it may be old."""

    strategy: dict[str, Any] | None = None
    revisions: tuple[StoredRevision, ...] = ()
    config_maps: Mapping[str, str] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    gateway: GatewayView | None = None
    gateway_version: int = -1
    lost_at: float | None = None
    obstacles: dict[tuple[str, str], Obstacle] = field(default_factory=dict)


class World:
    def __init__(self, **fields: Any) -> None:
        self.now = 1_000.0
        self.cluster = Cluster()
        self.gateway = Gateway()
        self.cache = Cache()
        self.events: list[Event] = []
        self.writes = 0  # of the status
        self.may_start = self.may_hand_over = True
        self.runner_image = "stratops/runner:1"
        self._uids = itertools.count(1)
        self._versions = itertools.count(1)
        self._claimed: set[int] = set()
        self._numbers: set[tuple[str, int]] = set()
        self.apply(spec(**fields))

    # ---- what people do

    def apply(self, spec: Mapping[str, Any]) -> None:
        """`kubectl apply` of this spec."""
        resource = self.cluster.strategy
        if resource is None:
            metadata = {
                "name": NAME,
                "namespace": NAMESPACE,
                "uid": f"strategy-{next(self._uids)}",
                "generation": 1,
                "creationTimestamp": text_of(self.now),
                "annotations": {},
                "finalizers": [],
            }
            kind = {"apiVersion": "stratops.dev/v1alpha1", "kind": "Strategy"}
            self._put({**kind, "metadata": metadata, "spec": dict(spec)})
            self._claimed, self._numbers = set(), set()
        elif resource["spec"] != spec:
            generation = resource["metadata"]["generation"] + 1
            self._put({**resource, "spec": dict(spec)}, generation=generation)

    def annotate(self, name: str, value: str) -> None:
        if self.cluster.strategy:
            annotations = {**self.metadata["annotations"], name: value}
            self._put(self.cluster.strategy, annotations=annotations)

    def delete(self) -> None:
        if self.cluster.strategy and "deletionTimestamp" not in self.metadata:
            if not self.metadata["finalizers"]:
                self._collect()
                return
            generation = self.metadata["generation"] + 1
            self._put(
                self.cluster.strategy, deletionTimestamp=text_of(self.now), generation=generation
            )

    def delete_pod(self, name: str) -> None:
        pod = self.cluster.pods.get(name)
        if pod:
            self._set(replace(pod, deleting=True))

    def end_pod(self, name: str, phase: PodPhase = PodPhase.FAILED) -> None:
        pod = self.cluster.pods.get(name)
        if pod and pod.phase in (PodPhase.PENDING, PodPhase.RUNNING):
            self._set(replace(pod, phase=phase, started=False))
            self.gateway.lose(name)

    def restart_container(self, name: str) -> None:
        pod = self.cluster.pods.get(name)
        if pod and pod.phase is PodPhase.RUNNING:
            self._set(replace(pod, restarts=pod.restarts + 1))
            self.gateway.lose(name)

    def edit_pod(self, name: str, **changes: Any) -> None:
        """Labels, or its spec."""
        as_made = self.cluster.pods[name].as_made and not changes.keys() - {"labels"}
        self._set(replace(self.cluster.pods[name], as_made=as_made, **changes))

    def bring_back(self, revision: str, phase: PodPhase = PodPhase.RUNNING, owner: str = "") -> Pod:
        """A pod of that revision with the first number, where there is none."""
        name, labels = pod_name(NAME, revision, 1), labels_of(NAME, revision)
        pod = Pod(name, "back", owner or self.uid, revision, 1, phase, "", self.now, labels=labels)
        self.cluster.pods.setdefault(name, pod)
        return pod

    @property
    def metadata(self) -> dict[str, Any]:
        assert self.cluster.strategy is not None
        metadata: dict[str, Any] = self.cluster.strategy["metadata"]
        return metadata

    @property
    def uid(self) -> str:
        return str(self.metadata["uid"]) if self.cluster.strategy else ""

    @property
    def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = (self.cluster.strategy or {}).get("status") or {}
        return status

    @property
    def wanted(self) -> str:
        return str(self.status.get("wantedRevision", ""))

    def condition(self, type_: str) -> Mapping[str, Any]:
        found: list[Mapping[str, Any]] = self.status.get("conditions", [])
        return next((each for each in found if each["type"] == type_), {"status": None})

    @property
    def is_suspended(self) -> bool:
        return bool(self.cluster.strategy and self.cluster.strategy["spec"].get("suspend"))

    @property
    def ours(self) -> list[Pod]:
        return [pod for pod in self.cluster.pods.values() if pod.owner_uid == self.uid]

    @property
    def live(self) -> list[Pod]:
        ended = (PodPhase.SUCCEEDED, PodPhase.FAILED)
        return [pod for pod in self.ours if not pod.deleting and pod.phase not in ended]

    # ---- time passes

    def step(self, seconds: float = 1.0) -> None:
        """The kubelet and the gateway do what is theirs."""
        self.now += seconds
        for pod in tuple(self.cluster.pods.values()):
            self._live_on(pod)
        if self.gateway.up:
            for name in self.gateway.step():
                self.end_pod(name, PodPhase.SUCCEEDED)
            self._connect()
        self._collect_garbage()

    def _live_on(self, pod: Pod) -> None:
        if pod.name in self.cluster.stranded:  # no kubelet takes its deletion
            self.gateway.lose(pod.name)
        elif pod.deleting:
            self.gateway.lose(pod.name)
            del self.cluster.pods[pod.name]
        elif pod.phase is PodPhase.PENDING:
            reason = self.cluster.bad.get(pod.revision)
            if reason:
                self._set(replace(pod, trouble=Trouble(reason, "as the kubelet says")))
            else:
                self._set(replace(pod, phase=PodPhase.RUNNING, started=True, trouble=None))
        elif pod.phase is PodPhase.RUNNING and pod.revision in self.cluster.crashing:
            self._crash(pod)

    def _crash(self, pod: Pod) -> None:
        if pod.name in self.gateway.sessions:
            words = Trouble("Error", "ValueError: a bug of its own")
            self._set(replace(pod, restarts=pod.restarts + 1, trouble=words))
            self.gateway.lose(pod.name, failed=True)

    def _connect(self) -> None:
        """Who is not named is refused, and comes again; who is not wanted, ends."""
        for pod in tuple(self.cluster.pods.values()):
            running = pod.phase is PodPhase.RUNNING and not pod.deleting
            if not running or pod.name in self.gateway.sessions or not self.gateway.names(pod):
                continue
            if self.gateway.has_place_for(pod.revision):
                self.gateway.sessions[pod.name] = Session(pod.name, pod.uid, pod.revision)
            else:
                self.end_pod(pod.name, PodPhase.SUCCEEDED)

    # ---- the operator

    def look(
        self,
        *,
        strategy: bool = True,
        objects: bool = True,
        pods: bool = True,
        gateway: bool = True,
    ) -> Observed:
        """Takes in what is new, of these parts; what it wrote itself it has seen anyway."""
        cache, cluster = self.cache, self.cluster
        if cache.strategy is None:  # it has just begun, and lists everything
            strategy = objects = pods = gateway = True
        if strategy:
            cache.strategy = cluster.strategy
        if objects:
            cache.revisions = tuple(cluster.revisions.values())
            cache.config_maps = dict(cluster.config_maps)
        if pods:
            cache.pods = dict(cluster.pods)
        if gateway:
            self._hear()
        return self.observed()

    def _hear(self) -> None:
        cache, served = self.cache, self.cluster.desk is not None
        up = self.gateway.up and served
        cache.gateway = self.gateway.view() if up else None
        cache.gateway_version = self.gateway.version
        cache.lost_at = None if up or not served else cache.lost_at or self.now

    def observed(self) -> Observed:
        cache, cluster = self.cache, self.cluster
        return Observed(
            strategy=cache.strategy or {},
            now=self.now,
            now_text=text_of(self.now),
            runner_image=self.runner_image,
            pull_policy="IfNotPresent",
            desk=cluster.desk,
            sources=cluster.sources,
            policies=cluster.policies,
            revisions=cache.revisions,
            config_maps=cache.config_maps,
            pods=tuple(cache.pods.values()),
            gateway=cache.gateway,
            gateway_lost_at=cache.lost_at,
            obstacles=tuple(cache.obstacles.values()),
            may_start=self.may_start,
            may_hand_over=self.may_hand_over,
        )

    def decide(self) -> Decision:
        return reconcile(self.look())

    def carry_out(
        self,
        decision: Decision,
        *,
        until: int | None = None,
        lost: frozenset[int] = frozenset(),
        twice: bool = False,
    ) -> None:
        """Its status, then its actions: at most `until` writes, without the actions in `lost`."""
        left = len(decision.actions) + 1 if until is None else until
        if decision.status is not None:
            if left == 0 or not self._write_status(decision.status.written()):
                return
            left -= 1
        self.events += decision.events
        for place, action in enumerate(decision.actions[:left]):
            if place not in lost:
                self._do(action)
            if place not in lost and twice:
                self._do(action)

    def revision_of(self, quantity: str, **others: Any) -> str:
        assert self.cluster.strategy is not None
        resource = {**self.cluster.strategy, "spec": spec(quantity, **others)}
        found = wish(replace(self.observed(), strategy=resource)).revision
        assert found is not None
        return found.name

    def crash(self) -> None:
        """The operator is killed; the next one lists everything anew."""
        self.cache = Cache()

    def turn(self, lost: frozenset[int] = frozenset()) -> Decision:
        """One round, without the actions in `lost`."""
        if self.cluster.strategy is None:
            return Decision(None)
        decision = self.decide()
        self.carry_out(decision, lost=lost)
        return decision

    def settle(self, rounds: int = 200, quiet: int = 4) -> None:
        """Until nothing has been done for a while."""
        calm = 0
        for _ in range(rounds):
            decision = self.turn()
            at_rest = decision.status is None and not decision.actions
            calm = calm + 1 if at_rest else 0
            if calm > quiet and decision.again_s is None:
                return
            self.step(20.0 if calm > quiet else 1.0)
        raise Broken(f"never at rest: {self.decide()}")

    # ---- its writes

    def _write_status(self, status: Mapping[str, Any]) -> bool:
        """Only over the one that was seen."""
        seen, there = self.cache.strategy, self.cluster.strategy
        if there is None or seen is None or seen["metadata"] != there["metadata"]:
            self.cache.strategy = there
            return False
        self._check_status(status)
        self.writes += 1
        if status["attempt"] > self.status.get("attempt", 0):
            if status["attempt"] in self._claimed:
                raise Broken(f"attempt {status['attempt']} is claimed twice")
            self._claimed.add(status["attempt"])
        self._put({**there, "status": dict(status)})
        self.cache.strategy = self.cluster.strategy
        return True

    def _check_status(self, status: Mapping[str, Any]) -> None:
        if status["epoch"] < self.status.get("epoch", 0):
            raise Broken("an epoch went back")
        said = {each["type"]: each["status"] for each in status["conditions"]}
        if said["Stalled"] == "True" and said["Reconciling"] == "True":
            raise Broken("stalled and reconciling")

    def _do(self, action: Action) -> None:
        name, target = type(action).__name__, target_of(action)
        if self.cluster.strategy is None and not isinstance(action, Deploy | Withdraw):
            return
        problem = (
            "Forbidden" if name in self.cluster.forbidden else _WAYS[type(action)](self, action)
        )
        if problem:
            obstacle = Obstacle(name, target, problem, f"it said {problem}", self.now)
            self.cache.obstacles[name, target] = obstacle
        else:
            self.cache.obstacles.pop((name, target), None)

    def _add_finalizer(self, _: AddFinalizer) -> str:
        assert self.cluster.strategy is not None
        if FINALIZER not in self.metadata["finalizers"]:
            self._put(self.cluster.strategy, finalizers=[*self.metadata["finalizers"], FINALIZER])
        self.cache.strategy = self.cluster.strategy
        return ""

    def _remove_finalizer(self, _: RemoveFinalizer) -> str:
        assert self.cluster.strategy is not None
        others = [each for each in self.metadata["finalizers"] if each != FINALIZER]
        self._put(self.cluster.strategy, finalizers=others)
        if not others and "deletionTimestamp" in self.metadata:
            self._collect()
        self.cache.strategy = self.cluster.strategy
        return ""

    def _create_revision(self, action: CreateRevision) -> str:
        name, said = target_of(action), action.manifest["spec"]
        there = self.cluster.revisions.get(name)
        if there is None:
            there = self.cluster.revisions[name] = StoredRevision(
                said["revision"],
                self._owner(action.manifest),
                self.now,
                said["content"],
                said["runner"],
                said.get("image", ""),
                said["codeDigest"],
                said["stateKey"],
            )
        self.cache.revisions = (*self.cache.revisions, there)
        return "" if there.owner_uid == self._owner(action.manifest) else "Foreign"

    def _create_config_map(self, action: CreateConfigMap) -> str:
        name, owner = target_of(action), self._owner(action.manifest)
        there = self.cluster.config_maps.setdefault(name, owner)
        self.cache.config_maps = {**self.cache.config_maps, name: there}
        return "" if there == owner else "Foreign"

    def _create_pod(self, action: CreatePod) -> str:
        name, owner = target_of(action), self._owner(action.manifest)
        revision, attempt = name.rsplit("-", 2)[1:]
        self._check_creation(revision, int(attempt))
        if name in self.cluster.hidden:
            return "Foreign"
        there = self.cluster.pods.get(name)
        if there is None:
            if (revision, int(attempt)) in self._numbers:
                raise Broken(f"a second pod {name}")
            self._numbers.add((revision, int(attempt)))
            metadata, runner = action.manifest["metadata"], action.manifest["spec"]["containers"][0]
            there = Pod(
                name,
                f"pod-{next(self._uids)}",
                owner,
                revision,
                int(attempt),
                PodPhase.PENDING,
                self.cluster.mirror + runner["image"],
                self.now,
                labels=dict(metadata["labels"]),
                as_made=True,
            )
            self._set(there)
            self._check_hand_overs()
        self.cache.pods[name] = there
        return "" if there.owner_uid == owner else "Foreign"

    def _check_creation(self, revision: str, attempt: int) -> None:
        if (self.wanted, self.status.get("attempt")) != (revision, attempt):
            raise Broken(f"pod {revision}-{attempt} without an intent: {self.status}")
        if FINALIZER not in self.metadata["finalizers"]:
            raise Broken("a pod without a finalizer")

    def _check_hand_overs(self) -> None:
        proven = {self.gateway.revision, self.gateway.last}
        tried = {pod.revision for pod in self.live} - proven
        if len(tried) > 1:
            raise Broken(f"two hand-overs at once: {tried}")

    def _mend_pod(self, action: MendPod) -> str:
        pod = self.cluster.pods.get(action.name)
        if pod and pod.uid == action.uid:
            self._set(replace(pod, labels={**pod.labels, **action.labels}))
            self.cache.pods[pod.name] = self.cluster.pods[pod.name]
        return ""

    def _delete_pod(self, action: DeletePod) -> str:
        pod = self.cluster.pods.get(action.name)
        if pod and pod.uid == action.uid:
            if pod.owner_uid != self.uid:
                raise Broken(f"{pod.name} is not ours")
            self._check_deletion(pod)
            self._set(replace(pod, deleting=True))
        self.cache.pods.pop(action.name, None)
        if action.name in self.cluster.pods:
            self.cache.pods[action.name] = self.cluster.pods[action.name]
        return ""

    def _check_deletion(self, pod: Pod) -> None:
        """The armed one stays until another can go on, unless trading is to end."""
        armed = self.gateway.armed
        ending = "deletionTimestamp" in self.metadata or self.is_suspended
        if armed is None or armed.pod != pod.name or ending or self._is_old_news:
            return
        heirs = [
            each
            for each in self.gateway.sessions.values()
            if each is not armed and each.ready and each.revision == armed.revision
        ]
        if not heirs:
            raise Broken(f"{pod.name} is armed, and nobody else is ready")

    @property
    def _is_old_news(self) -> bool:
        """Whether the gateway has moved since the operator heard of it."""
        return self.cache.gateway_version != self.gateway.version or not self.gateway.up

    def _delete_revision(self, action: DeleteRevision) -> str:
        there = self.cluster.revisions.get(action.name)
        if there and there.owner_uid != self.uid:
            raise Broken(f"StrategyRevision {action.name} is not ours")
        if there and there.name in (self.gateway.revision, self.wanted):
            raise Broken(f"StrategyRevision {action.name} is in use")
        self.cluster.revisions.pop(action.name, None)
        self.cache.revisions = tuple(self.cluster.revisions.values())
        return ""

    def _delete_config_map(self, action: DeleteConfigMap) -> str:
        if self.cluster.config_maps.get(action.name, self.uid) != self.uid:
            raise Broken(f"ConfigMap {action.name} is not ours")
        self.cluster.config_maps.pop(action.name, None)
        self.cache.config_maps = dict(self.cluster.config_maps)
        return ""

    def _deploy(self, action: Deploy) -> str:
        if not self.gateway.up:
            return "Unreachable"
        self.gateway.deploy(action.revision, action.pods)
        self._hear()
        return ""

    def _withdraw(self, action: Withdraw) -> str:
        if not self.gateway.up:
            return "Unreachable"
        self.gateway.withdraw(flatten=action.flatten)
        self._hear()
        return ""

    # ---- objects

    def _owner(self, manifest: Mapping[str, Any]) -> str:
        return str(manifest["metadata"]["ownerReferences"][0]["uid"])

    def _put(self, resource: Mapping[str, Any], **metadata: Any) -> None:
        version = str(next(self._versions))
        together = {**resource["metadata"], **metadata, "resourceVersion": version}
        self.cluster.strategy = {**resource, "metadata": together}

    def _set(self, pod: Pod) -> None:
        self.cluster.pods[pod.name] = pod

    def _collect(self) -> None:
        """The strategy is gone; what it owns goes after it, a little later."""
        self.cluster.strategy = None
        self.cache = Cache()

    def _collect_garbage(self) -> None:
        kept, cluster = {self.uid, SOMEBODY_ELSE} - {""}, self.cluster
        cluster.revisions = {n: r for n, r in cluster.revisions.items() if r.owner_uid in kept}
        cluster.config_maps = {n: uid for n, uid in cluster.config_maps.items() if uid in kept}
        for pod in tuple(cluster.pods.values()):
            if pod.owner_uid not in kept:
                self._set(replace(pod, deleting=True))


_WAYS: Mapping[type, Callable[[World, Any], str]] = {
    AddFinalizer: World._add_finalizer,
    RemoveFinalizer: World._remove_finalizer,
    CreateRevision: World._create_revision,
    DeleteRevision: World._delete_revision,
    CreateConfigMap: World._create_config_map,
    DeleteConfigMap: World._delete_config_map,
    CreatePod: World._create_pod,
    MendPod: World._mend_pod,
    DeletePod: World._delete_pod,
    Deploy: World._deploy,
    Withdraw: World._withdraw,
}
