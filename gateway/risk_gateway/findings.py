"""Each check made again on the request that it was, and what it looked at.

Pure. A check says only what it objects to; which numbers it compared is seen by what it reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

from trading.risk import UNLISTED, Check, Request

_LEAVES = (str, int, Decimal, frozenset, type(None))
_MOST = 50  # symbols, for example


class Result(StrEnum):
    PASSED = "passed"
    REFUSED = "refused"
    NOT_REACHED = "not_reached"  # an earlier one had refused already


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    result: Result
    compared: dict[str, str]
    message: str = ""  # of what refused, or would have


def findings(request: Request, checks: Sequence[Check]) -> list[Finding]:
    """All of them, also those behind the one that refused."""
    found: list[Finding] = []
    refused = False
    for check in checks:
        seen: dict[str, str] = {}
        rejection = check(cast(Request, _Watched(request, "", seen.__setitem__)))
        result = Result.PASSED if rejection is None else Result.REFUSED
        found.append(
            Finding(
                check.__name__,
                Result.NOT_REACHED if refused else result,
                seen,
                rejection.message if rejection else "",
            )
        )
        refused = refused or rejection is not None
    return found


@dataclass(frozen=True, slots=True)
class _Watched:
    """Stands for a value, and tells which of its fields are read."""

    _value: Any
    _name: str
    _tell: Callable[[str, str], None] = field(repr=False)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._value, name)
        path = f"{self._name}{name}"
        if callable(found):
            return found
        if isinstance(found, _LEAVES):
            self._tell(path, _shown(found))
            return found
        if found is UNLISTED:  # compared by identity
            self._tell(path, "not in the catalogue")
            return found
        return _Watched(found, f"{path}.", self._tell)


def _shown(value: Any) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)[:_MOST]) or "none"
    return str(value)
