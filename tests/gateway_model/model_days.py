"""Trading days by date, as decision 0013 has them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

SECOND_NS = 10**9
Calendar = tuple[str, int]  # time zone, and the hour at which a day begins
UTC_DAYS: Calendar = ("UTC", 0)


@cache
def date_of(at_ns: int, calendar: Calendar) -> Any:
    """The trading day of a moment."""
    zone, hour = calendar
    local = datetime.fromtimestamp(at_ns // SECOND_NS, UTC).astimezone(ZoneInfo(zone))
    return (local.replace(tzinfo=None) - timedelta(hours=hour)).date()


def calendar_of(policy: Mapping[str, Any]) -> Calendar:
    said = policy.get("day", {})
    return said.get("timeZone", "UTC"), said.get("hour", 0)
