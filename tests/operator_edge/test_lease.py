"""Who leads: the pure step, for every state of the Lease and every clock."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from strategy_operator.lease import UNINSTALLER, Move, Record, Seen, move, released, taken

ME, OTHER = "pod-a", "pod-b"
HELD = Record(holder=OTHER, version="7")
NOON = datetime(2026, 11, 21, 12, 0, 0, 0, UTC)


def test_a_lease_that_is_not_there_is_taken() -> None:
    assert move(ME, Seen(Record(), at=0), now=0) is Move.TAKE


def test_a_released_lease_is_taken() -> None:
    assert move(ME, Seen(released(HELD), at=10), now=10) is Move.TAKE


def test_our_own_lease_is_renewed() -> None:
    assert move(ME, Seen(replace(HELD, holder=ME), at=0), now=1_000) is Move.RENEW


@pytest.mark.parametrize(("now", "then"), [(14.9, Move.WAIT), (15.0, Move.TAKE)])
def test_anothers_lease_is_taken_after_its_whole_duration(now: float, then: Move) -> None:
    assert move(ME, Seen(HELD, at=0), now) is then


def test_the_duration_counts_from_when_we_saw_it_change() -> None:
    """Whatever its renewTime says: its clock may be hours away from ours."""
    seen = Seen(replace(HELD, renewed="1999-01-01T00:00:00.000000Z"), at=100)
    assert move(ME, seen, now=110) is Move.WAIT


def test_a_renewal_begins_the_duration_anew() -> None:
    seen = Seen(HELD, at=0).now_is(replace(HELD, version="8"), now=14)
    assert move(ME, seen, now=20) is Move.WAIT


def test_the_same_record_seen_again_does_not() -> None:
    assert Seen(HELD, at=0).now_is(replace(HELD), now=14).at == 0


def test_whoever_sees_the_uninstaller_come_retires() -> None:
    seen = Seen(Record(holder=UNINSTALLER, duration_s=10, version="9"), at=0)
    assert move(ME, seen, now=60, before=OTHER) is Move.RETIRE
    assert move(OTHER, seen, now=60, before=OTHER) is Move.RETIRE


@pytest.mark.parametrize("before", ["", UNINSTALLER])
def test_an_operator_that_came_later_takes_over_from_it(before: str) -> None:
    seen = Seen(Record(holder=UNINSTALLER, duration_s=10, version="9"), at=0)
    assert move(ME, seen, now=9, before=before) is Move.WAIT
    assert move(ME, seen, now=10, before=before) is Move.TAKE


def test_a_time_has_six_digits_also_when_they_are_zero() -> None:
    assert taken(HELD, ME, NOON).renewed == "2026-11-21T12:00:00.000000Z"


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    ours = taken(HELD, ME, NOON)
    assert (ours.transitions, taken(ours, ME, NOON).transitions) == (1, 1)


def test_renewing_keeps_when_it_was_acquired() -> None:
    ours = taken(HELD, ME, NOON)
    later = taken(ours, ME, NOON.replace(hour=13))
    assert (later.acquired, later.renewed) == (
        "2026-11-21T12:00:00.000000Z",
        "2026-11-21T13:00:00.000000Z",
    )


def test_a_released_lease_has_no_holder_and_a_duration_that_is_legal() -> None:
    spec = released(HELD).manifest("trading")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)


def test_what_the_api_server_has_is_read_back() -> None:
    manifest = taken(HELD, ME, NOON).manifest("trading")
    assert Record.of(manifest) == taken(HELD, ME, NOON)
