"""What a strategy may do to its runner before it is stopped.

A strategy that raises loses the orders of that message, nothing else: the error is counted by its
type and the next message goes to it as ever. After `MOST_IN_A_ROW` messages that all raised, and
at once when memory ran out or it asked the process to exit, it is stopped with a named reason.
"""

import os
from collections import Counter
from enum import StrEnum

from strategy_runner.mistakes import described

MOST_IN_A_ROW = 100
_MOST_TYPES = 50  # of errors counted apart: an author may make new ones without end
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Fault(StrEnum):
    """Why a strategy was stopped."""

    ERRORS = "STRATEGY_ERRORS"
    MEMORY = "OUT_OF_MEMORY"
    EXIT = "STRATEGY_EXIT"


class Guard:
    """`fault` is set once, when the strategy must not go on."""

    def __init__(self, most_in_a_row: int = MOST_IN_A_ROW) -> None:
        self.errors: Counter[str] = Counter()
        self.total = 0
        self.fault: Fault | None = None
        self.last = ""  # place, type and text of the last error
        self._most = most_in_a_row
        self._in_a_row = 0
        self._raised_at = -1

    def raised(self, error: BaseException, message: int) -> None:
        """Notes what the strategy raised on its message number `message`."""
        self._in_a_row = self._in_a_row + 1 if message == self._raised_at + 1 else 1
        self._raised_at = message
        self.errors[self._type(error)] += 1
        self.total += 1
        self.last = described(error)
        self.fault = self.fault or self._judge(error)

    def _type(self, error: BaseException) -> str:
        name = type(error).__name__
        return name if name in self.errors or len(self.errors) < _MOST_TYPES else "other"

    def _judge(self, error: BaseException) -> Fault | None:
        if isinstance(error, MemoryError):
            return Fault.MEMORY
        if isinstance(error, SystemExit):
            return Fault.EXIT
        return Fault.ERRORS if self._in_a_row >= self._most else None


def resident_bytes() -> int:
    """Resident memory of this process; 0 where /proc does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
