"""What the operator may do: the output of `reconcile`, carried out by the edge in this order.

Each is safe to do again. The status goes first: an intent is persisted before its side effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_spec.status import StrategyStatus


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    pass


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    pass


@dataclass(frozen=True, slots=True)
class CreateRevision:
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteRevision:
    name: str


@dataclass(frozen=True, slots=True)
class CreateConfigMap:
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteConfigMap:
    name: str


@dataclass(frozen=True, slots=True)
class CreatePod:
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MendPod:
    """Labels that somebody changed; nothing else of a pod can be put right in place."""

    name: str
    uid: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeletePod:
    name: str
    uid: str
    why: str


@dataclass(frozen=True, slots=True)
class Deploy:
    """This revision is wanted, and these pods may hold it."""

    revision: str
    content: str
    pods: tuple[str, ...]  # uids, sorted


@dataclass(frozen=True, slots=True)
class Withdraw:
    reason: str
    flatten: bool = False


Action = (
    AddFinalizer
    | RemoveFinalizer
    | CreateRevision
    | DeleteRevision
    | CreateConfigMap
    | DeleteConfigMap
    | CreatePod
    | MendPod
    | DeletePod
    | Deploy
    | Withdraw
)


@dataclass(frozen=True, slots=True)
class Event:
    """For `kubectl describe`; the reason is one of the catalogue."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    status: StrategyStatus | None  # None: leave it as it is
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()  # once the status is written
    again_s: float | None = None  # look again after this time, also when nothing happens


def target_of(action: Action) -> str:
    """What an Obstacle calls the target of `action`; empty: it has but one."""
    match action:
        case CreateRevision(manifest) | CreateConfigMap(manifest) | CreatePod(manifest):
            return str(manifest["metadata"]["name"])
        case DeleteRevision(name) | DeleteConfigMap(name):
            return name
        case MendPod() | DeletePod():
            return action.name
        case Deploy(revision):
            return revision
        case _:
            return ""
