"""Why a revision that is wanted does not come up: rules, in the order they apply.

They look at its newest pod, for that is the one the revision is tried with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from platform_spec.problems import shown
from platform_spec.status import ConditionStatus, ConditionType
from strategy_operator.observed import FEED_LOST, GatewayView, Pod, RunnerSeen
from strategy_operator.reasons import Finding, Reason, named
from strategy_operator.scene import Scene, has_ended, is_live

ENDS = 3  # in a row, until it is called a trouble
_DEADLINE_S = 60  # where the spec cannot be read
_GRACE_S: Mapping[str, float] = {"Unschedulable": 15.0}  # another pod may just be leaving
# What may happen once: when it stays so, another word follows it, and they take turns.
_PASSING = frozenset(
    {"Completed", "ContainerCreating", "ErrImagePull", "Error", "OOMKilled", "PodInitializing"}
)
_OF_ITS_OWN = frozenset(
    {
        Reason.CRASH_LOOP,
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A revision that is to be armed, and what it is tried with."""

    scene: Scene
    gateway: GatewayView
    revision: str
    newest: Pod | None  # of its pods, unless that one is armed
    ended: int  # how many of them have

    @property
    def age_s(self) -> float:
        return self.scene.observed.now - self.newest.created_at if self.newest else 0.0

    @property
    def deadline_s(self) -> float:
        spec = self.scene.wish.spec
        return float(spec.progress_deadline_s() if spec else _DEADLINE_S)


def trial(scene: Scene, revision: str) -> Trial | None:
    """None where nothing is tried, or nobody can say what came of it."""
    pods = [pod for pod in scene.pods if pod.revision == revision and not pod.deleting]
    newest = pods[-1] if pods else None
    if scene.gateway is None or not revision:
        return None
    if newest and (runner := scene.runner(newest)) and runner.armed:
        newest = None
    if newest is None and scene.armed == revision:
        return None
    return Trial(scene, scene.gateway, revision, newest, sum(has_ended(pod) for pod in pods))


def trouble(scene: Scene, revision: str) -> Finding | None:
    found = trial(scene, revision)
    answers = (rule(found) for rule in RULES) if found else iter(())
    return next((answer for answer in answers if answer), None)


def is_of_its_own(finding: Finding) -> bool:
    """Whether another revision would not have had it."""
    return finding.reason in _OF_ITS_OWN


def next_look_s(scene: Scene, revision: str) -> float | None:
    """When time alone may make a trouble of it."""
    found = trial(scene, revision)
    if found is None or found.newest is None or has_ended(found.newest):
        return None
    ahead = [limit - found.age_s for limit in (*_GRACE_S.values(), found.deadline_s)]
    return min((each for each in ahead if each > 0), default=None)


# ---- Rules


def it_was_given_up(trial: Trial) -> Finding | None:
    if trial.gateway.given_up != trial.revision:
        return None
    pod = trial.newest
    last = f"; the last: {pod.trouble.message}" if pod and pod.trouble else ""
    what = f"its runners failed in a row, the gateway tries it no more{last}"
    return Finding(Reason.CRASH_LOOP, f"{named(trial.revision)}: {what}")


def its_pod_is_in_trouble(trial: Trial) -> Finding | None:
    pod = trial.newest
    if pod is None or pod.trouble is None or has_ended(pod) or pod.trouble.reason in _PASSING:
        return None
    reason = pod.trouble.reason
    if trial.age_s < _GRACE_S.get(reason, 0.0):
        return None
    before = _said_before(trial)
    if before and before.reason == reason:
        return before  # the words change while Kubernetes tries again, the trouble does not
    return Finding(reason, f"pod {pod.name}: {pod.trouble.message or reason}")


def it_is_still_in_trouble(trial: Trial) -> Finding | None:
    """Started or pulled again, it has shown nothing yet."""
    pod = trial.newest
    if pod is None or not is_live(pod) or trial.scene.runner(pod):
        return None
    before = _said_before(trial)
    again = pod.trouble is not None or pod.restarts > 0
    return before if before and before.reason in _OF_ITS_OWN and again else None


def it_ends_again_and_again(trial: Trial) -> Finding | None:
    pod = trial.newest
    if trial.ended < ENDS or pod is None:
        return None
    why = f": {pod.trouble.reason} {pod.trouble.message}".rstrip() if pod.trouble else ""
    what = f"{named(trial.revision)}: its pods end before it is armed{why}"
    return Finding(Reason.RUNNER_ENDED, what)


def it_takes_too_long(trial: Trial) -> Finding | None:
    pod = trial.newest
    if pod is None or has_ended(pod) or trial.age_s < trial.deadline_s:
        return None
    state = _state(trial, trial.scene.runner(pod))
    what = f"{named(trial.revision)} was not armed within {trial.deadline_s:.0f} s: {state}"
    return Finding(Reason.PROGRESS_DEADLINE_EXCEEDED, what)


def _state(trial: Trial, runner: RunnerSeen | None) -> str:
    """Of the runner of its newest pod."""
    if runner is None:
        return "its runner has not connected"
    if runner.feed_age_s not in (None, FEED_LOST):
        return "its runner is connected, not ready"
    spec = trial.scene.wish.spec
    own = f" at spec.feed.redis.url {shown(spec.feed_url)}" if spec and spec.feed_url else ""
    return f"its runner is connected, and hears of no feed{own}"


def it_took_too_long_before(trial: Trial) -> Finding | None:
    """With another pod: that one has shown nothing better yet."""
    said = _said(trial)
    if said is None or trial.newest is None or named(trial.revision) not in said.message:
        return None
    return said if said.reason == Reason.PROGRESS_DEADLINE_EXCEEDED else None


RULES: tuple[Callable[[Trial], Finding | None], ...] = (
    it_was_given_up,
    its_pod_is_in_trouble,
    it_is_still_in_trouble,
    it_ends_again_and_again,
    it_takes_too_long,
    it_took_too_long_before,
)


def _said(trial: Trial) -> Finding | None:
    """What the status says is wrong."""
    said = trial.scene.before.condition(ConditionType.STALLED)
    if said is None or said.status is not ConditionStatus.TRUE:
        return None
    return Finding(said.reason, said.message)


def _said_before(trial: Trial) -> Finding | None:
    """That, where it is about the newest pod."""
    said = _said(trial)
    return said if said and trial.newest and trial.newest.name in said.message else None
