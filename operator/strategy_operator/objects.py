"""What is kept of an object that a watch brought: little, and comparable.

Two versions of an object that are equal here ask for nothing to be done.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from platform_spec.status import ConditionStatus, ConditionType
from strategy_operator import names
from strategy_operator.cluster import CONFIG_MAP, POD, POLICY, REVISION, STRATEGY, Resource
from strategy_operator.observed import Pod, PodPhase, Policy, Trouble

MANAGED_BY = "app.kubernetes.io/managed-by=stratops-operator"
RUNNER = "runner"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_STARTING = ("ContainerCreating", "PodInitializing")
_MOST_MESSAGE = 1_000
_NOTHING: Mapping[str, Any] = {}
_NOT_YET_OBSERVED = "NotYetObserved"  # as the CRD has it before the first look


@dataclass(frozen=True, slots=True)
class Clocks:
    """Turns the API server's wall time into our monotonic one, by what both say now."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def monotonic_of(self, text: str) -> float:
        """Never after now: the API server's clock may be ahead of ours."""
        ago_s = self.wall() - datetime.fromisoformat(text).timestamp()
        return self.monotonic() - max(0.0, ago_s)


@dataclass(frozen=True, slots=True)
class StrategyObject:
    """The object as compact JSON; what is asked of all of them at once beside it."""

    text: bytes
    source: str = ""  # the ConfigMap that has its code
    handing_over: bool = False  # another revision is wanted than is armed, and it gets on
    mode: str = ""
    revision: str = ""
    not_ready: str = ""  # the reason that Ready has for it; empty: it is ready

    def manifest(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.text)
        return decoded


@dataclass(frozen=True, slots=True)
class Child:
    """Metadata of a StrategyRevision or ConfigMap."""

    strategy: str  # empty: of none
    owner_uid: str
    created_at: float = field(compare=False)  # a little different each time that it is read
    revision: str = ""


@dataclass(frozen=True, slots=True)
class PodObject:
    strategy: str
    pod: Pod


@dataclass(frozen=True, slots=True)
class Brought:
    """One object as a watch or an answer has it; `value` is what is kept of it."""

    resource: Resource
    key: tuple[str, str]  # namespace, name
    uid: str
    version: int
    value: Any
    deleted: bool = False


def brought(
    resource: Resource, raw: Mapping[str, Any], clocks: Clocks, *, deleted: bool = False
) -> Brought:
    metadata = raw["metadata"]
    return Brought(
        resource,
        (metadata["namespace"], metadata["name"]),
        metadata["uid"],
        int(metadata["resourceVersion"]),
        _KEPT[resource](raw, clocks),
        deleted,
    )


def strategy(raw: Mapping[str, Any]) -> StrategyObject:
    metadata = {name: each for name, each in raw["metadata"].items() if name != "managedFields"}
    if _LAST_APPLIED in (metadata.get("annotations") or {}):
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {key: each for key, each in annotations if key != _LAST_APPLIED}
    status = raw.get("status") or {}
    return StrategyObject(
        msgspec.json.encode({**raw, "metadata": metadata}),
        _source(raw.get("spec") or {}),
        _hands_over(status),
        str(status.get("mode", "")),
        str(status.get("revision", "")),
        _not_ready(status),
    )


def _source(spec: Mapping[str, Any]) -> str:
    """Whatever was written there: not every API server had our schema when it was stored."""
    found: Any = spec
    for name in ("strategy", "source", "configMap", "name"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _hands_over(status: Mapping[str, Any]) -> bool:
    armed, wanted = status.get("revision", ""), status.get("wantedRevision", "")
    stalled = any(
        each.get("type") == ConditionType.STALLED and each.get("status") == ConditionStatus.TRUE
        for each in status.get("conditions") or ()
    )
    return bool(armed and wanted and armed != wanted and not stalled)


def _not_ready(status: Mapping[str, Any]) -> str:
    """One that nobody has looked at yet is not ready."""
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == ConditionType.READY), _NOTHING)
    if ready.get("status") == ConditionStatus.TRUE:
        return ""
    return sys.intern(str(ready.get("reason") or _NOT_YET_OBSERVED))


def policy(raw: Mapping[str, Any]) -> Policy:
    spec = raw.get("spec") or {}
    return Policy(
        name=raw["metadata"]["name"],
        halted=spec.get("halted") is True,
        allow_live=spec.get("allowLive") is True,
    )


def child(raw: Mapping[str, Any], clocks: Clocks) -> Child:
    metadata = raw["metadata"]
    owner_name, owner_uid = _owner(metadata)
    labels = metadata.get("labels") or {}
    return Child(
        strategy=owner_name or labels.get(names.STRATEGY, ""),
        owner_uid=owner_uid,
        created_at=clocks.monotonic_of(metadata["creationTimestamp"]),
        revision=metadata["name"].rpartition("-")[2],  # labels may have been changed by hand
    )


def pod(raw: Mapping[str, Any], clocks: Clocks) -> PodObject:
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    owner_name, owner_uid = _owner(metadata)
    labels = metadata.get("labels") or {}
    container = _runner(status.get("containerStatuses") or ())
    revision, attempt = _revision_and_attempt(metadata["name"])
    return PodObject(
        strategy=owner_name or labels.get(names.STRATEGY, ""),
        pod=Pod(
            name=metadata["name"],
            uid=metadata["uid"],
            owner_uid=owner_uid,
            revision=revision,
            attempt=attempt,
            phase=_phase(status),
            image=str(_runner(spec.get("containers") or ()).get("image", "")),
            created_at=clocks.monotonic_of(metadata["creationTimestamp"]),
            started=container.get("started") is True,
            deleting="deletionTimestamp" in metadata,
            restarts=container.get("restartCount", 0),
            trouble=_trouble(status, container),
            labels=labels,
            as_made=_is_as_made(metadata),
        ),
    )


def _is_as_made(metadata: Mapping[str, Any]) -> bool:
    """Each change of a pod's spec counts, and the wish to delete it; none is counted before
    Kubernetes 1.33."""
    return bool(metadata.get("generation") == (2 if "deletionTimestamp" in metadata else 1))


def _owner(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Name and uid of the Strategy that controls it; the uid of any other controller."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return (owner["name"] if owner["kind"] == "Strategy" else "", owner["uid"])
    return "", ""


def _revision_and_attempt(name: str) -> tuple[str, int]:
    """Of `<strategy>-<revision>-<attempt>`; the labels may have been changed by hand."""
    rest, _, attempt = name.rpartition("-")
    return rest.rpartition("-")[2], int(attempt) if attempt.isdecimal() else 0


def _phase(status: Mapping[str, Any]) -> PodPhase:
    phase = status.get("phase", PodPhase.PENDING)
    return PodPhase(phase) if phase in set(PodPhase) else PodPhase.UNKNOWN


def _runner(containers: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next((each for each in containers if each["name"] == RUNNER), {})
    return found


def _condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    conditions = status.get("conditions") or ()
    found: Mapping[str, Any] = next((each for each in conditions if each["type"] == type_), {})
    return found


def _trouble(status: Mapping[str, Any], container: Mapping[str, Any]) -> Trouble | None:
    """Why it does not come up: the pod's own reason, else its container's, else the scheduler's."""
    if status.get("reason"):  # Evicted, OutOfpods
        return _said(status["reason"], status.get("message", ""))
    state = container.get("state") or {}
    if state.get("waiting", {}).get("reason") not in (None, *_STARTING):
        waiting = state["waiting"]
        last = (container.get("lastState") or {}).get("terminated")
        return _said(waiting["reason"], _ended(last) if last else waiting.get("message", ""))
    if state.get("terminated", {}).get("exitCode"):
        return _said(state["terminated"].get("reason", "Error"), _ended(state["terminated"]))
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return _said(scheduled.get("reason", ""), scheduled.get("message", ""))
    return None


def _ended(terminated: Mapping[str, Any]) -> str:
    """How a container ended: its last words, else its exit code."""
    words = str(terminated.get("message", "")).strip()
    last_line = words.splitlines()[-1].removeprefix("strategy_runner: ") if words else ""
    reason, code = terminated.get("reason", "Error"), terminated.get("exitCode")
    return last_line or f"{reason}, exit code {code}"


def _said(reason: str, message: str) -> Trouble:
    return Trouble(reason, message[:_MOST_MESSAGE])


_KEPT: dict[Resource, Callable[[Mapping[str, Any], Clocks], Any]] = {
    STRATEGY: lambda raw, _: strategy(raw),
    POLICY: lambda raw, _: policy(raw),
    POD: pod,
    REVISION: child,
    CONFIG_MAP: child,
}
