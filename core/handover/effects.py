"""What `Grants` asks of the gateway, and what it has journalled.

Effects are carried out in their order. `changes` are the rows that `Grants.restore` reads back;
`change_to_json` and `change_from_json` are how they lie in the journal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from handover.messages import Batch, GatewayMessage, Mark


class Why(StrEnum):
    """Why a grant began or ended, a runner was dropped or stopped, or nobody is armed."""

    FIRST = "first"  # nobody was armed before
    ASKED = "asked"  # the wanted revision took over
    FEED_LOST = "feed_lost"
    OLD_LOST = "old_lost"
    OLD_SILENT = "old_silent"
    STOP_TIMEOUT = "stop_timeout"
    NO_PROGRESS = "no_progress"  # armed, and never said so
    ARMED_LOST = "armed_lost"
    WITHDRAWN = "withdrawn"
    NEW_LOST = "new_lost"
    NEVER_READY = "never_ready"
    STREAM_DIFFERS = "stream_differs"
    STATE_DIFFERS = "state_differs"
    HELD_TOO_MANY = "held_too_many"
    UNSYNCED = "unsynced"  # was told to go on from a place that it no longer has
    WENT_BACK = "went_back"  # decided what had been decided before
    SUPERSEDED = "superseded"
    REPLACED = "replaced"  # handed over, and no longer needed
    NOT_WANTED = "not_wanted"
    CRASH_LOOP = "crash_loop"
    BATCH_GAP = "batch_gap"
    OUTCOME_GAP = "outcome_gap"
    NONE_CONNECTED = "none_connected"  # no runner is there that could be armed
    NOT_SUBSCRIBED = "not_subscribed"  # runners are there, none has its market data


_NOWHERE = Mark()


# ---- journalled


@dataclass(frozen=True, slots=True)
class Wanted:
    """The revision that should trade; empty: none."""

    revision: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Armed:
    """From here on `epoch` decides. `after`: the epoch that it goes on from; 0: it began fresh."""

    epoch: int
    instance: str
    revision: str
    why: str
    state_key: str = ""
    mark: Mark = _NOWHERE
    after: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """`mark`: the last place that the epoch decided."""

    epoch: int
    why: str
    mark: Mark = _NOWHERE


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The revision is not tried again until another one was wanted."""

    revision: str
    why: str


GrantChange = Wanted | Armed | Ended | GivenUp

_KINDS: dict[str, type[GrantChange]] = {
    "wanted": Wanted,
    "armed": Armed,
    "ended": Ended,
    "given_up": GivenUp,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def change_to_json(change: GrantChange) -> str:
    return msgspec.json.encode([_NAMES[type(change)], change]).decode()


def change_from_json(text: str) -> GrantChange:
    """Raises msgspec.MsgspecError, KeyError."""
    name, body = msgspec.json.decode(text, type=tuple[str, msgspec.Raw])
    return msgspec.json.decode(body, type=_KINDS[name])


# ---- effects


@dataclass(frozen=True, slots=True)
class Send:
    """To the instance's current stream; nothing when it has none."""

    instance: str
    message: GatewayMessage


@dataclass(frozen=True, slots=True)
class Persist:
    """Journal `changes` in one transaction; then, in order, Grants.durable(token)."""

    token: int
    changes: tuple[GrantChange, ...]


@dataclass(frozen=True, slots=True)
class Take:
    """The fence let the batch through: judge and journal it, then Grants.batch_durable."""

    instance: str
    batch: Batch


@dataclass(frozen=True, slots=True)
class Close:
    """End the instance's stream: it broke the protocol, or showed up where it may not."""

    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something a log, a screen or a report wants to know; a fact, once."""

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


Effect = Send | Persist | Take | Close | Note
