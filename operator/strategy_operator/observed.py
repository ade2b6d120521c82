"""What the operator sees of one strategy, at one moment: the input of `reconcile`.

Made by the edge from its caches (Kubernetes objects, trimmed) and from the gateway's last answer.
Times are seconds on a monotonic clock unless a name says otherwise.

Two things are relied on. What an action of ours was answered with is seen from then on: a pod that
was created is in `pods`, one that was deleted is `deleting` or gone. And a status is written only
over the one that was seen here (by its resourceVersion); where that fails, no action of the same
decision is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not come up, or why it ended, in Kubernetes' own words: `ImagePullBackOff`,
    `Unschedulable`, `Evicted`, `Error`."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One runner pod; `name` is `<strategy>-<revision>-<attempt>`, and says the two (labels may
    have been edited)."""

    name: str
    uid: str
    owner_uid: str
    revision: str
    attempt: int
    phase: PodPhase
    image: str  # of its container `runner`, as written
    created_at: float = field(compare=False)  # a little different each time that it is read
    started: bool = False  # its startup probe has passed
    deleting: bool = False
    restarts: int = 0
    trouble: Trouble | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    as_made: bool = False  # nobody has changed its spec: admission made what is not as we wrote it


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """A StrategyRevision as the API server has it."""

    name: str  # ten hex digits; the object is `<strategy>-<name>`
    owner_uid: str
    created_at: float
    content: str
    runner: str
    image: str
    code_digest: str = ""
    state_key: str = ""


FEED_LOST = float("inf")  # older than any


@dataclass(frozen=True, slots=True)
class RunnerSeen:
    """A runner's session, as the gateway has it."""

    pod: str  # name of its pod
    revision: str
    armed: bool
    connected: bool
    ready: bool
    feed_age_s: float | None  # None: not told yet; FEED_LOST: it has no link


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The gateway's last answer about this strategy."""

    known: bool = False  # it was deployed there once
    wanted: str = ""
    runner_pods: frozenset[str] = frozenset()  # uids that may hold the wanted revision
    armed: str = ""
    epoch: int = 0
    none_reason: str = ""  # why nobody is armed
    given_up: str = ""  # the wanted revision, when it is no longer tried
    policy: str | None = None  # that the wanted revision names; None: not told
    flattening: str = ""  # what a withdrawal still has to cancel or to close
    at_work: frozenset[str] = frozenset()  # revisions that have orders which have not ended
    runners: tuple[RunnerSeen, ...] = ()
    handovers: int = 0
    signals: int = 0
    accepted: int = 0
    orders: int = 0
    fills: int = 0
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    realized_pnl: Decimal | None = Decimal(0)  # None: of several currencies
    halted: str = ""  # why, empty: the desk is not


@dataclass(frozen=True, slots=True)
class Desk:
    """The ConfigMap `stratops-desk` of the strategy's namespace."""

    gateway: str
    feed: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A RiskPolicy of the strategy's namespace."""

    name: str
    halted: bool = False
    allow_live: bool = False


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An action that failed and was not done since. It is asked for again after a while."""

    action: str  # name of the action's class
    target: str  # name of the object
    reason: str  # `Foreign`, `Forbidden`, `Conflict`, `Invalid`, `Unreachable`
    message: str
    at: float = 0.0  # when it failed last


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about one strategy may depend on."""

    strategy: Mapping[str, Any]  # the object, without managedFields; its status is what was written
    now: float
    now_text: str  # RFC 3339, UTC, whole seconds: for conditions
    runner_image: str  # of runners that name none
    pull_policy: str
    desk: Desk | None = None  # None: the namespace is no desk
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # ConfigMaps by name
    policies: Mapping[str, Policy] = field(default_factory=dict)
    revisions: tuple[StoredRevision, ...] = ()
    config_maps: Mapping[str, str] = field(default_factory=dict)  # ours by label: name -> owner uid
    pods: tuple[Pod, ...] = ()
    gateway: GatewayView | None = None  # None: it does not answer
    gateway_lost_at: float | None = None  # since when
    obstacles: tuple[Obstacle, ...] = ()
    complete: bool = True  # every watched kind is listed; else only what makes things safer
    may_start: bool = True  # one more pod may be started now
    may_hand_over: bool = True  # one more hand-over may begin now
