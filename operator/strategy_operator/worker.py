"""Looks at one strategy after the other: observes, decides, writes the status, then acts in order.

What fails becomes an obstacle that the next decision sees; nothing gets out of here. Leadership is
asked for again before each side effect.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from platform_spec.status import Condition, ConditionStatus, ConditionType, status_of
from strategy_operator.actions import Action, CreatePod, Decision, target_of
from strategy_operator.archive import NotRead
from strategy_operator.cache import Cache
from strategy_operator.cluster import No, Refused
from strategy_operator.deeds import Deeds
from strategy_operator.events import Events
from strategy_operator.metrics import Counts
from strategy_operator.observed import Observed, Obstacle
from strategy_operator.observer import Observer
from strategy_operator.pulse import BEAT
from strategy_operator.queue import Key, Keys
from strategy_operator.slots import Load, Slots, load
from stratops_wire.gateway_client import GatewayRefused, GatewayUnavailable, LowerTerm

AT_ONCE = 8  # strategies
SLOW_S = 0.05  # of the loop's time, in one turn
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PERMANENT_S = 30.0  # where somebody has to change something first
_MOST_READS = 5
_BUSY = 10  # looks in a row that each did something, before a strategy is slowed down

Reconcile = Callable[[Observed], Decision]
log = structlog.get_logger()


class NotLeading(Exception):
    """Somebody else acts now."""


@dataclass(slots=True)
class _File:
    """What is remembered of one strategy between two looks."""

    uid: str = ""
    obstacles: dict[tuple[str, str], Obstacle] = field(default_factory=dict)
    failures: int = 0  # in a row
    busy: int = 0  # looks in a row that did something


@dataclass(frozen=True, slots=True)
class Parts:
    cache: Cache
    observer: Observer
    deeds: Deeds
    events: Events
    slots: Slots
    counts: Counts


class Worker:
    def __init__(
        self,
        parts: Parts,
        keys: Keys,
        reconcile: Reconcile,
        leading: Callable[[], bool],
        felt: Callable[[], None] = lambda: None,
    ) -> None:
        """`felt` is told of each beat that comes out of the queue."""
        self._parts = parts
        self._keys = keys
        self._reconcile = reconcile
        self._leading = leading
        self._felt = felt
        self._files: dict[Key, _File] = {}

    async def run(self) -> None:
        """Until it is cancelled; then nothing that was begun goes on."""
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                key = await self._keys.take()
                if key == BEAT:
                    self._felt()
                    self._keys.done(key)
                    room.release()
                    continue
                task = group.create_task(self._look_at(key))
                task.add_done_callback(lambda _: room.release())

    async def _look_at(self, key: Key) -> None:
        began = time.monotonic()
        again_s: float | None = None
        try:
            again_s = await self._handle(key)
        except NotLeading:
            pass
        except Refused as refused:  # while it was looked at, or its status written
            again_s = self._later(key) if refused.no.passing else _jittered(_PERMANENT_S)
            if refused.no is not No.CONFLICT:
                log.warning("not_reconciled", strategy="/".join(key), why=str(refused))
        except Exception as error:  # noqa: BLE001  # a fault of ours must not stop the others
            again_s = await self._fault(key, error)
        finally:
            self._parts.slots.done(key)
            self._keys.done(key, again_s)
            self._parts.counts.reconciles.observe(time.monotonic() - began)
            self.call_waiting()

    async def _handle(self, key: Key) -> float | None:
        """Returns when to look again."""
        if not self._leading():
            raise NotLeading
        found = await self._decided(key)
        if found is None:
            self._forget(key)
            return None
        observed, decision = found
        if decision.status is not None:
            self._still_leading()
            await self._parts.deeds.write_status(observed.strategy, decision.status.written())
        for event in decision.events:
            self._parts.events.say(observed.strategy["metadata"], event)
        for action in decision.actions:
            if not await self._done(key, action):
                return self._later(key)
        return self._well_done(key, decision)

    # ---- Deciding

    async def _decided(self, key: Key) -> tuple[Observed, Decision] | None:
        """What was seen, and what is to be done about it; None: there is no such strategy."""
        for _ in range(_MOST_READS):
            sources = await self._parts.observer.sources(key)
            began = time.thread_time()
            observed = self._parts.observer.observe(key, sources, self._obstacles(key))
            try:
                decision = self._decide(key, observed) if observed else None
            except NotRead as missing:
                await self._parts.observer.read_revision(key, missing.name)
                continue
            self._measure(time.thread_time() - began)
            return (observed, decision) if observed and decision else None
        raise Refused(No.UNREACHABLE, "the revisions of a strategy change while they are read")

    def _decide(self, key: Key, observed: Observed) -> Decision:
        """With a place to start in, where it needs one and there is one."""
        decision = self._reconcile(observed)
        if not _starts_a_pod(decision):
            return decision
        leave = self._parts.slots.leave(key, self._load())
        if not (leave.start and leave.hand_over):
            held = replace(observed, may_start=leave.start, may_hand_over=leave.hand_over)
            decision = self._reconcile(held)
        if _starts_a_pod(decision):
            self._parts.slots.take(key)
        else:
            self._parts.slots.wait(key, hand_over=self._would_hand_over(observed))
        return decision

    def _would_hand_over(self, observed: Observed) -> bool:
        """Whether its pod is one that only a place to hand over lets start."""
        return not _starts_a_pod(self._reconcile(replace(observed, may_hand_over=False)))

    def _load(self) -> Load:
        pods = ((key, entry.value) for key, entry in self._parts.cache.pods.items())
        return load(pods, time.monotonic())

    def call_waiting(self) -> None:
        """Those that wait for a place, as many as there are."""
        if self._parts.slots.waiting:
            for key in self._parts.slots.call(self._load()):
                self._keys.add(key)

    def _measure(self, cpu_s: float) -> None:
        self._parts.counts.decisions.observe(cpu_s)
        if cpu_s > SLOW_S:
            self._parts.counts.slow_callbacks += 1

    # ---- Acting

    def _still_leading(self) -> None:
        if not self._leading():
            raise NotLeading

    async def _done(self, key: Key, action: Action) -> bool:
        self._still_leading()
        kind = type(action).__name__
        try:
            await self._parts.deeds.do(key, action)
        except (Refused, GatewayUnavailable, GatewayRefused) as error:
            reason = _reason(error)
            self._parts.counts.actions[kind, reason] += 1
            self._obstructed(key, Obstacle(kind, target_of(action), reason, str(error)))
            return False
        self._parts.counts.actions[kind, "done"] += 1
        self._file(key).obstacles.pop((kind, target_of(action)), None)
        return True

    def _obstructed(self, key: Key, obstacle: Obstacle) -> None:
        where = obstacle.action, obstacle.target
        before = self._file(key).obstacles.get(where)
        self._file(key).obstacles[where] = replace(obstacle, at=time.monotonic())
        if before is None or before.reason != obstacle.reason:
            name = "/".join(key)
            log.warning("obstacle", strategy=name, action=obstacle.action, why=obstacle.message)
            self._keys.add(key)  # so that it is told

    def _obstacles(self, key: Key) -> tuple[Obstacle, ...]:
        entry, file = self._parts.cache.strategies.get(key), self._file(key)
        if entry is not None and file.uid != entry.uid:  # another one of that name
            file = self._files[key] = _File(entry.uid)
        return tuple(file.obstacles.values())

    def _file(self, key: Key) -> _File:
        return self._files.setdefault(key, _File())

    def _forget(self, key: Key) -> None:
        self._files.pop(key, None)
        self._parts.slots.forget(key)
        self._keys.drop(key)

    # ---- When to look again

    def _well_done(self, key: Key, decision: Decision) -> float | None:
        """At once after something was done, until there is nothing left to do."""
        file = self._file(key)
        file.failures = 0
        if decision.status is None and not decision.actions:
            file.busy = 0
            return decision.again_s
        file.busy += 1
        return 0.01 if file.busy < _BUSY else _pause_s(file.busy - _BUSY)

    def _later(self, key: Key) -> float:
        file = self._file(key)
        file.failures += 1
        return _pause_s(file.failures - 1)

    # ---- Faults of ours

    async def _fault(self, key: Key, error: Exception) -> float:
        """Shown in the strategy's own status, for whoever looks there."""
        self._parts.counts.faults += 1
        log.error("fault", strategy="/".join(key), exc_info=error)
        entry = self._parts.cache.strategies.get(key)
        if entry is not None and self._leading():
            manifest = entry.value.manifest()
            status = _with_fault(manifest, error)
            try:
                if status is not None:
                    await self._parts.deeds.write_status(manifest, status)
            except Exception as again:  # noqa: BLE001  # said already
                log.warning("fault_not_shown", strategy="/".join(key), why=repr(again))
        return self._later(key)


def _starts_a_pod(decision: Decision) -> bool:
    return any(isinstance(action, CreatePod) for action in decision.actions)


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.no.value
    if isinstance(error, LowerTerm):
        return No.CONFLICT.value
    return (No.INVALID if isinstance(error, GatewayRefused) else No.UNREACHABLE).value


def _pause_s(number: int) -> float:
    return _jittered(_RETRY_S[min(number, len(_RETRY_S) - 1)])


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311  # no secret


def _with_fault(manifest: Mapping[str, Any], error: Exception) -> Mapping[str, Any] | None:
    """The status as it was, stalled by the fault; None: it says so already."""
    status = status_of(manifest)
    before = status.condition(ConditionType.STALLED)
    message = f"a fault of the operator: {type(error).__name__}: {error}"[:1_000]
    if before and before.status is ConditionStatus.TRUE and before.message == message:
        return None
    fault = Condition(
        type=ConditionType.STALLED,
        status=ConditionStatus.TRUE,
        reason="OperatorFault",
        message=message,
        last_transition_time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        observed_generation=manifest["metadata"].get("generation"),
    )
    others = tuple(each for each in status.conditions if each.type != ConditionType.STALLED)
    return replace(status, conditions=(*others, fault)).written()
