"""The fence, and the gateway's word: what counts, what is journalled, what is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handover import messages as m
from handover.effects import (
    Armed,
    Close,
    Effect,
    Ended,
    GivenUp,
    Persist,
    Send,
    Take,
    Wanted,
    change_from_json,
    change_to_json,
)
from handover.grants import Grants
from handover.marks import raised
from handover_world import Books
from trading.reasons import Reason
from trading.signals import Cause, Signal

NOTHING = m.Mark(session="run")
SEQUENCES = st.dictionaries(st.sampled_from(("A/tick", "B/tick", "A/book")), st.integers(0, 99))
MARKS = st.builds(m.Mark, sequences=SEQUENCES, session=st.sampled_from(("", "run", "other")))


def hello(instance: str = "i", revision: str = "r", **more: object) -> m.Hello:
    return m.Hello("s", revision, instance, subscription=1, **more)  # type: ignore[arg-type]


def armed() -> Grants:
    """Epoch 1 is `i`'s, and its first batch was noted."""
    grants = Grants("s", Books())
    persist(grants, grants.deploy("r"))
    grants.connected("i", hello())
    persist(grants, grants.message("i", m.Subscribed(2)))
    grants.message("i", batch(1))
    return grants


def persist(grants: Grants, effects: list[Effect]) -> list[Effect]:
    later = [grants.durable(effect.token) for effect in effects if isinstance(effect, Persist)]
    return [*effects, *(effect for each in later for effect in each)]


def batch(number: int, *sequences: int, epoch: int = 1, **more: object) -> m.Batch:
    signals = tuple(
        Signal(f"{each}", "A", Cause("A", "tick", each, each), each) for each in sequences
    )
    last = {"A/tick": max(sequences, default=0)}
    mark = m.Mark(count=number, sequences=last, session="run")
    return m.Batch(epoch, number, mark, signals, **more)  # type: ignore[arg-type]


def told(effects: list[Effect]) -> list[m.GatewayMessage]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def test_a_batch_with_signals_is_taken_and_acknowledged_when_it_is_durable() -> None:
    grants = armed()
    assert grants.message("i", batch(2, 5)) == [Take("i", batch(2, 5))]
    assert told(grants.batch_durable(1, 2)) == [m.Ack(2)]


def test_a_batch_without_content_is_acknowledged_at_once_while_nobody_follows() -> None:
    assert told(armed().message("i", batch(2))) == [m.Ack(2)]


def test_it_is_taken_when_somebody_follows() -> None:
    grants = armed()
    grants.connected("spare", hello("spare"))
    grants.message("spare", m.Subscribed(2))
    assert Take("i", batch(2)) in grants.message("i", batch(2))


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_wrong_epoch_is_refused(epoch: int) -> None:
    grants = armed()
    refused = m.Refused(2, 1, Reason.FENCED, epoch)
    assert told(grants.message("i", batch(2, 5, epoch=epoch))) == [refused]
    assert grants.refused == 1


def test_another_runner_is_refused_even_with_the_right_epoch() -> None:
    grants = armed()
    grants.connected("spare", hello("spare"))
    assert told(grants.message("spare", batch(2, 5))) == [m.Refused(2, 1, Reason.FENCED, 1)]


def test_one_that_was_dismissed_is_refused_what_it_says_before_it_knows() -> None:
    grants = armed()
    *_, ended = persist(grants, grants.withdraw("enough"))
    assert m.Release("withdrawn") in told(persist(grants, [ended]))
    assert told(grants.message("i", batch(2, 5))) == [m.Refused(2, 1, Reason.FENCED, 1)]
    assert grants.refused == 1


def test_what_is_durable_is_acknowledged_again_and_what_is_not_is_not() -> None:
    grants = armed()
    grants.message("i", batch(2, 5))
    assert grants.message("i", batch(2, 5)) == []
    grants.batch_durable(1, 2)
    assert told(grants.message("i", batch(2, 5))) == [m.Ack(2)]


def test_a_gap_in_the_numbers_ends_the_stream() -> None:
    assert any(isinstance(effect, Close) for effect in armed().message("i", batch(3, 5)))


def test_what_was_decided_before_is_refused_and_ends_the_grant() -> None:
    grants = armed()
    grants.message("i", batch(2, 5))
    grants.batch_durable(1, 2)
    effects = grants.message("i", batch(3, 5))
    assert m.Refused(3, 1, Reason.FENCED, 1) in told(effects)
    persist(grants, effects)
    assert grants.none_reason == "went_back"


def test_nothing_counts_while_a_switch_is_written() -> None:
    grants = armed()
    effects = grants.withdraw("enough")
    effects = persist(grants, effects)  # wanted, and then the end of epoch 1 is to be written
    assert grants.epoch == 1
    assert told(grants.message("i", batch(2, 5))) == [m.Refused(2, 1, Reason.FENCED, 1)]


def test_a_switch_is_written_only_when_what_was_taken_is_durable() -> None:
    grants = armed()
    grants.message("i", batch(2, 5))
    assert not told(persist(grants, grants.withdraw("enough")))
    assert grants.epoch == 1
    ended = [e for e in grants.batch_durable(1, 2) if isinstance(e, Persist)]
    assert ended == [Persist(4, (Ended(1, "withdrawn", batch(2, 5).mark),))]


def test_nobody_is_armed_before_that_is_durable() -> None:
    grants = Grants("s", Books())
    persist(grants, grants.deploy("r"))
    grants.connected("i", hello())
    effects = grants.message("i", m.Subscribed(2))
    assert not any(isinstance(message, m.Arm) for message in told(effects))
    assert any(isinstance(message, m.Arm) for message in told(persist(grants, effects)[1:]))


def test_an_unexpected_revision_is_sent_away() -> None:
    assert told(armed().connected("x", hello("x", "unknown"))) == [m.Release("not_wanted")]


def test_the_reason_for_nobody_is_always_there() -> None:
    grants = Grants("s", Books())
    assert grants.none_reason == "not_wanted"
    persist(grants, grants.deploy("r"))
    assert grants.none_reason == "none_connected"
    grants.connected("i", hello())
    assert grants.none_reason == "not_subscribed"


@pytest.mark.parametrize(
    "change",
    [
        Wanted("r", "why"),
        Armed(7, "i", "r", "asked", "key", m.Mark(1, 2, 3, 4, {"A/tick": 2**63}, "run"), 6),
        Ended(7, "old_lost", m.Mark(9)),
        GivenUp("r", "crash_loop"),
    ],
    ids=["wanted", "armed", "ended", "given up"],
)
def test_changes_come_back_from_the_journal_as_they_were(change: Armed) -> None:
    assert change_from_json(change_to_json(change)) == change


@given(MARKS, MARKS)
def test_a_floor_never_sinks_within_a_session(floor: m.Mark, mark: m.Mark) -> None:
    found = raised(floor, mark)
    assert found.session == (mark.session or floor.session)
    if mark.session in ("", floor.session):
        assert all(found.sequences[name] >= last for name, last in floor.sequences.items())
