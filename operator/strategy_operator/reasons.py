"""The one catalogue of reasons: what conditions and events may say in a word.

A pod's own trouble keeps the word that Kubernetes has for it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    # As it should be
    ARMED = "Armed"
    AT_REST = "AtRest"
    CONNECTED = "Connected"
    FEED_ALIVE = "FeedAlive"
    NOT_PAUSED = "NotPaused"
    NOT_STALLED = "NotStalled"

    # On the way
    STARTING = "Starting"
    HANDING_OVER = "HandingOver"
    REPLACING_POD = "ReplacingPod"
    FINISHING_HAND_OVER = "FinishingHandOver"
    SUPERSEDING = "Superseding"
    BACKING_OFF = "BackingOff"
    WAITING_FOR_OTHER_HAND_OVERS = "WaitingForOtherHandOvers"
    WAITING_FOR_OTHER_STARTS = "WaitingForOtherStarts"
    WAITING_FOR_API = "WaitingForApi"
    SUSPENDING = "Suspending"
    DELETING = "Deleting"
    DELETED_UNCONFIRMED = "DeletedUnconfirmed"

    # Not trading, or not as wanted
    SUSPENDED = "Suspended"
    HALTED = "Halted"
    NOT_ARMED = "NotArmed"
    OTHER_REVISION_ARMED = "OtherRevisionArmed"
    RUNNER_DISCONNECTED = "RunnerDisconnected"
    FEED_STALE = "FeedStale"
    FEED_UNKNOWN = "FeedUnknown"
    GATEWAY_UNREACHABLE = "GatewayUnreachable"

    # Refused: somebody has to change something
    INVALID_SPEC = "InvalidSpec"
    INVALID_PARAMETERS = "InvalidParameters"
    CODE_NOT_FOUND = "CodeNotFound"
    SIDECAR_NOT_SUPPORTED = "SidecarNotSupported"
    FEED_NOT_SUPPORTED = "FeedNotSupported"
    ROLLOUT_NOT_SUPPORTED = "RolloutNotSupported"
    NO_DESK = "NoDesk"
    POLICY_NOT_FOUND = "PolicyNotFound"
    LIVE_NOT_ALLOWED = "LiveNotAllowed"
    ADOPTION_NOT_CONFIRMED = "AdoptionNotConfirmed"

    # Cannot go on
    NAME_TAKEN = "NameTaken"
    FORBIDDEN = "Forbidden"
    REJECTED = "Rejected"
    REVISION_LOST = "RevisionLost"
    QUARANTINED = "Quarantined"
    CRASH_LOOP = "CrashLoop"
    RUNNER_ENDED = "RunnerEnded"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"

    # Happened (events only)
    REVISION_WANTED = "RevisionWanted"
    POD_STARTED = "PodStarted"
    ARMED_ANEW = "ArmedAnew"
    HANDED_OVER = "HandedOver"
    POSITION_ADOPTED = "PositionAdopted"
    RESTART_ASKED = "RestartAsked"
    RECOVERED = "Recovered"
    RESUMED = "Resumed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, in a word and for a person."""

    reason: str
    message: str = ""


def named(revision: str) -> str:
    """A revision in messages."""
    return f"revision {revision}" if revision else "no revision"
