"""What happened on the desk, and what is wrong with it now."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

KEPT = 500


class Kind(StrEnum):
    DIED = "died"
    DEPLOYED = "deployed"
    ARMED = "armed"
    SWITCHED = "switched"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    INVALID = "invalid_manifest"
    GIVEN_UP = "given_up"
    MEMORY_LIMIT = "memory_limit"
    NO_PROGRESS = "no_progress"
    DISARMED = "disarmed"
    HALTED = "halted"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Notice:
    at: float  # seconds since 1970
    kind: Kind
    subject: str
    message: str


class Notices:
    """Notices in order (the last KEPT of them) and standing problems by subject."""

    def __init__(self, listener: Callable[[Notice], None] = lambda notice: None) -> None:
        self._kept: deque[Notice] = deque(maxlen=KEPT)
        self._problems: dict[str, str] = {}
        self._listener = listener

    def say(self, kind: Kind, subject: str, message: str) -> None:
        notice = Notice(time.time(), kind, subject, message)
        self._kept.append(notice)
        self._listener(notice)

    def stands(self, subject: str, problem: str) -> None:
        """`problem` is true of `subject` until `solved`, or until another one is."""
        self._problems[subject] = problem

    def solved(self, subject: str) -> None:
        self._problems.pop(subject, None)

    @property
    def all(self) -> tuple[Notice, ...]:
        return tuple(self._kept)

    @property
    def problems(self) -> Mapping[str, str]:
        return dict(self._problems)
