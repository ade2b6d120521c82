"""SIGTERM and SIGINT: obeyed from the first moment on, and within a second.

A container's process is PID 1, for which the kernel has no default: without a handler a SIGTERM is
ignored and the whole grace period waited out, also while Python still imports. So `at_once` comes
before the heavy imports, and `orderly` takes over when there is a loop that can put things away.
"""

import atexit
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

GRACE_S = 0.8  # from being asked; the rest of the second is the kernel's and a busy machine's
_ASKING = (signal.SIGTERM, signal.SIGINT)

Late = Callable[[FrameType | None], NoReturn]


def at_once(end: Late) -> None:
    """Until `orderly`, whoever asks is obeyed on the spot: nothing is under way yet.

    `end` gets the place where Python is, and has to end the process: `leave` does.
    """
    for number in _ASKING:
        signal.signal(number, lambda _, frame: end(frame))


def orderly(loop: "AbstractEventLoop", ask: Callable[[], object], late: Late) -> None:
    """From now on `ask` is called on the loop; `late`, with the place where Python is, when the
    process is still there `GRACE_S` after that. It has to end the process."""

    def asked(*_: object) -> None:
        hurry()
        with suppress(RuntimeError):  # the loop is closed: the end is near anyway
            loop.call_soon_threadsafe(ask)

    signal.signal(signal.SIGALRM, lambda _, frame: late(frame))
    atexit.register(_ended)
    for number in _ASKING:
        signal.signal(number, asked)


def _ended() -> None:
    """The interpreter's own end forgets our handlers, but neither the timer nor what is ignored:
    who asks once more must not change how this process says that it ended."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _ASKING:
        signal.signal(number, signal.SIG_IGN)


def hurry() -> None:
    """`late` is due in `GRACE_S`, also when nobody asked; who asks again does not put it off."""
    if not signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)


def leave(name: str, reason: str, code: int) -> NoReturn:
    """Ends the process with its last line. Threads, exit handlers and the interpreter's own end,
    which takes its time and forgets our handlers, do not hold it up."""
    say(name, reason)
    os._exit(code)


def cause(error: BaseException) -> BaseException:
    """The first of a group's errors, however deep it lies."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def say(name: str, reason: str) -> None:
    """One line on stderr. Kubernetes and `stratops up` show the last one as why a process ended."""
    line = " ".join(f"{name}: {reason}".split())[:_LONGEST]
    with suppress(OSError):  # nobody reads any more
        os.write(2, line.encode(errors="replace") + b"\n")


_LONGEST = 1_000  # characters: of a log, Kubernetes keeps the last 2,048 bytes
