"""An author's mistake in one line: where in the author's code, what was raised, with which words.

The author's code is the first that is neither ours nor Python's own on the way to the error, and
whatever else of that package comes later: a line of theirs says more than one of a library's.
"""

import sys
from collections.abc import Iterable, Mapping
from traceback import walk_stack, walk_tb
from types import FrameType

from strategy_sdk.parameters import InvalidParameters, Problem
from strategy_sdk.seat import UnknownInstrument

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


def of_the_manifest(error: BaseException, source: Mapping[str, str]) -> str:
    """Why no strategy can be made of `source`, behind the field of the manifest that says so."""
    if isinstance(error, InvalidParameters):
        return "; ".join(map(_of_parameter, error.problems))[:_LONGEST]
    if isinstance(error, UnknownInstrument):
        return f"spec.symbols: {error}"
    field = next((each for each in ("builtin", "class") if each in source), "source")
    said = f"spec.strategy.{field}: "
    words = described(error).removeprefix("CannotLoad: ")  # the field says as much
    return said + words.removeprefix(f"{field}: ")


def _of_parameter(problem: Problem) -> str:
    return f"spec.parameters{'.' if problem.parameter else ': '}{problem}"


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
