"""What a replay writes down: its report for the world, and where its next life goes on."""

import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec

from market_feed.window import Window


class Place(msgspec.Struct, frozen=True):
    """A consumer when the replay last wrote: its place, what it had processed and missed."""

    place: int
    processed: int
    missed: int


class Resume(msgspec.Struct, frozen=True):
    """Where to go on after the replay itself was killed."""

    session: str  # the run
    restarts: int
    files: tuple[str, ...]
    position: int  # the lowest place of all consumers
    streams: dict[str, int]  # last sequence published of each stream
    consumers: dict[str, Place]

    @classmethod
    def of(cls, window: Window, session: str, restarts: int, files: tuple[str, ...]) -> "Resume":
        consumers = {name: Place(*known) for name, known in window.places().items()}
        return cls(session, restarts, files, window.lowest, window.last, consumers)


class Stream(msgspec.Struct, frozen=True):
    count: int
    last_sequence: int


class Consumer(msgspec.Struct, frozen=True):
    processed: int
    shortfall: int
    left: bool


class Report(msgspec.Struct, frozen=True):
    session: str
    published: int
    sent_again: int
    streams: dict[str, Stream]
    consumers: dict[str, Consumer]
    restarts: int
    bad_rows: dict[str, int]  # by file
    ended: bool

    @classmethod
    def of(cls, window: Window, **known: Any) -> "Report":
        """`known`: the fields that the window cannot tell."""
        return cls(
            published=window.published,
            streams={name: Stream(n, window.last[name]) for name, n in window.counts.items()},
            consumers={name: Consumer(*one) for name, one in window.standings().items()},
            **known,
        )


def write(path: Path, record: Resume | Report) -> None:
    """All of it or nothing: a reader, or our next life, never meets half a file."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)


def read_resume(path: Path, session: str, files: tuple[str, ...]) -> Resume | None:
    """None when there is none for this run over these files; without `session`, for any run."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        resume = msgspec.json.decode(path.read_bytes(), type=Resume)
        if session in ("", resume.session) and resume.files == files:
            return resume
    return None
