"""An author's mistake in one line: where in the author's code, what was raised, with which words.

The author's code is the first that is neither ours nor Python's own on the way to the error, and
whatever else of that package comes later: a line of theirs says more than one of a library's.
"""

import sys
from collections.abc import Iterable
from traceback import walk_stack, walk_tb
from types import FrameType

_OURS = (
    "strategy_runner",
    "strategy_sdk",
    "market_data",
    "handover",
    "trading",
    "stratops_process",
)
_NOT_THEIRS = frozenset((*_OURS, *sys.stdlib_module_names, "__main__", "uvloop"))
_LONGEST = 500


def described(error: BaseException) -> str:
    """ "mine.py:7: ValueError: too many"; without the place where that is not known."""
    cause = error.__cause__
    text = f"{type(error).__name__}: {_words(error)}"
    place = _place(walk_tb(error.__traceback__)) or (
        _place(walk_tb(cause.__traceback__)) if cause else ""
    )
    return (text if not place or place in text else f"{place}: {text}")[:_LONGEST]


def place_in(frame: FrameType | None) -> str:
    """ "mine.py:7" when the author's code is at work in `frame`, or waited for there."""
    return _place(reversed(list(walk_stack(frame)))) if frame is not None else ""


def _place(frames: Iterable[tuple[FrameType, int]]) -> str:
    """`frames`: the outermost first."""
    author = place = ""
    for frame, line in frames:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _NOT_THEIRS:
            author = author or package
            place = f"{frame.f_code.co_filename}:{line}" if package == author else place
    return place


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001  # an author's __str__ may raise anything
        return f"its text raised {type(worse).__name__}"
