"""When a day begins: by dates, whatever clocks do."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.days import DAY_NS, UTC_DAYS, Days, InvalidDay, checked
from trading.rates import SECOND_NS
from trading.watermarks import Watermarks

ZONES = (
    "UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
    "Antarctica/Troll", "Pacific/Apia", "America/Havana", "Asia/Kathmandu",
)  # fmt: skip
DAYS = st.builds(Days, st.sampled_from(ZONES), st.integers(0, 23))
LONDON_17 = Days("Europe/London", 17)
FIRST, LAST = 1_577_836_800, 1_893_456_000  # 2020 to 2030, s
MOMENTS = st.integers(FIRST * SECOND_NS, LAST * SECOND_NS)


def at(text: str) -> int:
    """Of a time that names its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def date_of(days: Days, at_ns: int) -> int:
    """As a person would say it: yesterday's day until the hour has struck."""
    local = datetime.fromtimestamp(at_ns // SECOND_NS, UTC).astimezone(ZoneInfo(days.time_zone))
    early = local.hour < days.hour
    return local.date().toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal() - early


@given(DAYS, MOMENTS)
def test_a_moment_is_in_the_day_that_a_calendar_says(days: Days, at_ns: int) -> None:
    assert days.of(at_ns) == date_of(days, at_ns)


@given(st.integers(-(2**62), 2**62))
def test_a_day_of_utc_is_a_division(at_ns: int) -> None:
    assert UTC_DAYS.of(at_ns) == at_ns // DAY_NS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-03-28T16:59:59+00:00", "2026-03-28T17:00:00+00:00"),
        ("2026-03-29T16:59:59+01:00", "2026-03-29T17:00:00+01:00"),
        ("2026-10-25T16:59:59+00:00", "2026-10-25T17:00:00+00:00"),
    ],
    ids=["winter", "the day that clocks go forward", "the day that they go back"],
)
def test_londons_day_begins_at_five_whatever_the_season(before: str, after: str) -> None:
    assert LONDON_17.of(at(before)) + 1 == LONDON_17.of(at(after))


def test_an_hour_that_clocks_leap_over_begins_its_day_at_the_leap() -> None:
    days = Days("Europe/London", 1)  # 01:00 is 02:00 on 2026-03-29
    assert days.of(at("2026-03-29T00:59:59+00:00")) + 1 == days.of(at("2026-03-29T02:00:00+01:00"))


@pytest.mark.parametrize(
    ("zone", "hour", "says"),
    [
        ("Mars/Olympus", 0, "timeZone: 'Mars/Olympus', expected the name of a time zone"),
        ("", 0, "timeZone: ''"),
        ("Europe", 0, "timeZone: 'Europe'"),
        ("../UTC", 0, "timeZone"),
        (7, 0, "timeZone: 7"),
        ("UTC", 24, "hour: 24, expected a whole number from 0 to 23"),
        ("UTC", -1, "hour: -1"),
        ("UTC", True, "hour: True"),
        ("UTC", "17", "hour: '17'"),
    ],
)
def test_a_day_that_there_is_not_is_refused(zone: object, hour: object, says: str) -> None:
    with pytest.raises(InvalidDay, match=says):
        checked(zone, hour)


@pytest.mark.parametrize("zone", ZONES)
def test_every_zone_of_these_tests_is_known(zone: str) -> None:
    assert checked(zone, 17) == Days(zone, 17)


# ---- a gateway's clock: it runs, is set forward and back, and sleeps


STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 3_600),
            st.sampled_from([0, 1, 1_800, 3_599, 3_600, 5 * 3_600, 86_399, 86_400, 3 * 86_400]),
            st.integers(-7_200, -1),
            st.sampled_from([-3_600, -86_400]),
        ),
        st.integers(-500, 500),
    ),
    max_size=60,
)


class Model:
    """Remembers everything: the day's start is the last equity before the latest date began."""

    def __init__(self, days: Days) -> None:
        self.days = days
        self.seen: list[tuple[int, Decimal]] = []

    def note(self, at_ns: int, equity: Decimal) -> None:
        self.seen.append((date_of(self.days, at_ns), equity))

    @property
    def day_start(self) -> Decimal:
        latest = max(date for date, _ in self.seen)
        first = next(nth for nth, (date, _) in enumerate(self.seen) if date == latest)
        return self.seen[max(0, first - 1)][1]


@given(DAYS, MOMENTS, STEPS)
def test_a_days_start_is_right_whatever_the_clock_does(
    days: Days, begin_ns: int, steps: list[tuple[int, int]]
) -> None:
    model, equity, now_ns = Model(days), Decimal(1_000), begin_ns
    marks = Watermarks.begun(equity, now_ns)
    model.note(now_ns, equity)
    for seconds, change in steps:
        now_ns, equity = now_ns + seconds * SECOND_NS, equity + change
        marks = marks.after(equity, now_ns, days)
        model.note(now_ns, equity)
        assert marks.day_start == model.day_start


@given(DAYS, MOMENTS, st.integers(1, 10**6), DAYS)
def test_another_calendar_loses_no_day_and_makes_none_longer(
    before: Days, began_ns: int, seconds: int, now: Days
) -> None:
    """Whatever a policy said when it began: it ends when the new calendar's day does."""
    marks = Watermarks.begun(Decimal(10), began_ns).after(Decimal(9), began_ns, before)
    later_ns = began_ns + seconds * SECOND_NS
    expected = Decimal(9) if now.of(later_ns) > now.of(began_ns) else Decimal(10)
    assert marks.after(Decimal(8), later_ns, now).day_start == expected


def test_marks_of_an_older_gateway_began_at_its_midnight() -> None:
    old = Watermarks(20_000, Decimal(10), Decimal(10), Decimal(9))
    midnight = 20_000 * DAY_NS
    assert old.after(Decimal(8), midnight + DAY_NS - 1).day_start == 10
    assert old.after(Decimal(8), midnight + DAY_NS).day_start == 9


def test_a_day_slept_through_begins_with_what_was_known_before() -> None:
    marks = Watermarks.begun(Decimal(10), at("2026-06-01T16:59:00+01:00"))
    later = at("2026-06-04T09:00:00+01:00")
    woken = marks.after(Decimal(4), later, LONDON_17)
    assert woken.day_start == 10
    assert woken.after(Decimal(3), later + int(timedelta(hours=1).total_seconds()) * SECOND_NS,
                       LONDON_17).day_start == 10  # fmt: skip
