"""One strategy as it stands: what was observed, read once for all that decides about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from platform_spec.status import StrategyStatus, status_of
from strategy_operator import names
from strategy_operator.desired import Wish, wish
from strategy_operator.names import Owner
from strategy_operator.observed import GatewayView, Observed, Pod, PodPhase, RunnerSeen

_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)


@dataclass(frozen=True, slots=True)
class Scene:
    observed: Observed
    owner: Owner
    generation: int
    annotations: Mapping[str, str]
    finalized: bool  # our finalizer is there
    deleted_at: str  # when its deletion was asked for; empty: it was not
    created_at: str
    before: StrategyStatus  # as it was written last
    wish: Wish
    pods: tuple[Pod, ...]  # its own, in the order of their attempts

    @property
    def gateway(self) -> GatewayView | None:
        return self.observed.gateway

    @property
    def armed(self) -> str:
        """The revision that is armed, as far as anybody knows now."""
        return self.gateway.armed if self.gateway else ""

    @property
    def live(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.pods if is_live(pod))

    def runner(self, pod: Pod) -> RunnerSeen | None:
        """The session of its runner at the gateway."""
        runners = self.gateway.runners if self.gateway else ()
        return next((runner for runner in runners if runner.pod == pod.name), None)

    def since_s(self, time: str) -> float:
        """Seconds since a moment in text; of an unreadable one, for ever."""
        then, now = moment(time), moment(self.observed.now_text)
        return (now - then).total_seconds() if then and now else float("inf")


def look(observed: Observed) -> Scene:
    resource = observed.strategy
    metadata = resource.get("metadata") or {}
    owner = Owner(
        str(metadata.get("namespace", "")),
        str(metadata.get("name", "")),
        str(metadata.get("uid", "")),
    )
    return Scene(
        observed,
        owner,
        int(metadata.get("generation") or 0),
        metadata.get("annotations") or {},
        names.FINALIZER in (metadata.get("finalizers") or ()),
        str(metadata.get("deletionTimestamp") or ""),
        str(metadata.get("creationTimestamp") or ""),
        status_of(resource),
        wish(observed),
        _in_order(pod for pod in observed.pods if pod.owner_uid == owner.uid),
    )


def _in_order(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    return tuple(sorted(pods, key=lambda pod: (pod.attempt, pod.name, pod.uid)))


def has_ended(pod: Pod) -> bool:
    return pod.phase in _ENDED


def is_live(pod: Pod) -> bool:
    """It may run, now or soon, and nobody has asked it to end."""
    return not pod.deleting and not has_ended(pod)


def moment(time: str) -> datetime | None:
    """None for what is no time."""
    try:
        return datetime.fromisoformat(time) if time.endswith("Z") else None
    except ValueError:
        return None
