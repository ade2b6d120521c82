"""Trading days: a day begins at an hour of a time zone, and ends where the next one begins.

Which day a moment is in follows from the moment alone. So nothing counts down: whoever slept
through the hour, or has a clock that was set, compares the days of two moments.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from trading.rates import SECOND_NS

_HOUR_S = 3_600
_DAY_S = 24 * _HOUR_S
_MINUTE_S = 60
DAY_NS = _DAY_S * SECOND_NS
_UTC = "UTC"


class InvalidDay(ValueError):
    """A time zone or an hour that there is not; the message names field, value and expectation."""


@dataclass(frozen=True, slots=True)
class Days:
    """`checked` makes one that can only be right."""

    time_zone: str = _UTC
    hour: int = 0

    def of(self, at_ns: int) -> int:
        """Its number since 1970. Where clocks are set back over the hour, the day before comes once
        more: whoever compares asks for a later day than the latest so far."""
        at_s = at_ns // SECOND_NS - self.hour * _HOUR_S
        if self.time_zone != _UTC:
            # Clocks of a zone are set at whole minutes.
            at_s += _offset_s(self.time_zone, at_ns // (_MINUTE_S * SECOND_NS))
        return at_s // _DAY_S

    def __str__(self) -> str:
        return f"{self.hour}:00 {self.time_zone}"


UTC_DAYS = Days()


def checked(time_zone: object = _UTC, hour: object = 0) -> Days:
    """Raises InvalidDay."""
    if isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= 23:
        raise InvalidDay(f"hour: {hour!r}, expected a whole number from 0 to 23")
    if not isinstance(time_zone, str) or not _is_known(time_zone):
        expected = "the name of a time zone, as in Europe/London"
        raise InvalidDay(f"timeZone: {time_zone!r}, expected {expected}")
    return Days(time_zone, hour)


def _is_known(time_zone: str) -> bool:
    try:
        ZoneInfo(time_zone)
    except (OSError, ValueError, KeyError):  # not found is a KeyError, a folder's name an OSError
        return False
    return True


@lru_cache(maxsize=256)
def _offset_s(time_zone: str, minute: int) -> int:
    at = datetime.fromtimestamp(minute * _MINUTE_S, UTC).astimezone(ZoneInfo(time_zone))
    offset = at.utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
