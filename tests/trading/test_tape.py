"""The tape: quotes in their order of arrival, found by what caused a decision."""

from decimal import Decimal

import pytest

from trading.market import Quote, Tape, Touch, exact
from trading.signals import Cause, Side


def quote_of(symbol: str, sequence: int, bid: float = 99.0, ask: float = 101.0) -> Quote:
    return Quote(symbol, sequence, sequence * 10, bid, 1.0, ask, 2.0)


def cause_of(sequence: int, kind: str = "tick") -> Cause:
    return Cause("BTCUSDT", kind, sequence, sequence * 10)


def tape_of(*sequences: int, depth: int = 100) -> Tape:
    tape = Tape(depth)
    for sequence in sequences:
        tape.append("BTCUSDT/tick", sequence, quote_of("BTCUSDT", sequence))
    return tape


def test_a_price_is_the_decimal_that_was_written() -> None:
    assert exact(0.1) == Decimal("0.1")
    assert (quote_of("BTCUSDT", 1, 0.1, 0.3).bid, quote_of("BTCUSDT", 1, 0.1, 0.3).mid) == (
        Decimal("0.1"),
        Decimal("0.2"),
    )


def test_an_order_meets_the_other_side() -> None:
    touch = Touch.of(quote_of("BTCUSDT", 1), age_ns=5)
    assert touch.taken_by(Side.BUY) == 101
    assert touch.taken_by(Side.SELL) == 99
    assert touch.mid == 100
    assert touch.age_ns == 5


def test_places_count_the_messages_of_all_streams() -> None:
    tape = tape_of(3)
    assert tape.append("BTCUSDT/trade", 1) == 2
    assert tape.append("BTCUSDT/tick", 5, quote_of("BTCUSDT", 5)) == 3
    assert tape.place(cause_of(1, "trade")) == 2


@pytest.mark.parametrize(
    ("sequence", "place"),
    [(3, 1), (4, 1), (5, 2), (6, None), (1, 0)],
    ids=["first", "in a gap", "last", "not yet here", "before the tape"],
)
def test_a_cause_is_found_by_its_sequence(sequence: int, place: int | None) -> None:
    assert tape_of(3, 5).place(cause_of(sequence)) == place


@pytest.mark.parametrize(
    ("sequence", "here"),
    [(3, True), (4, False), (5, True), (6, False), (1, False)],
    ids=["first", "in a gap", "last", "not yet here", "before the tape"],
)
def test_only_what_came_is_held(sequence: int, here: bool) -> None:
    assert tape_of(3, 5).holds(cause_of(sequence)) is here
    assert not tape_of(3, 5).holds(cause_of(sequence, "trade"))


def test_a_stream_never_seen_has_no_place() -> None:
    assert Tape().place(cause_of(1)) is None


def test_a_decision_is_judged_at_the_quote_that_stood_then() -> None:
    tape = tape_of(1, 2, 3)
    stood = tape.quote("BTCUSDT", 2)
    assert stood is not None
    assert (stood.sequence, stood.place) == (2, 2)
    assert [quote.sequence for quote in tape.after("BTCUSDT", 2)] == [3]
    assert tape.quote("BTCUSDT", 0) is None


def test_the_latest_quote_is_the_last_that_came() -> None:
    latest = tape_of(1, 2).latest("BTCUSDT")
    assert latest is not None
    assert latest.sequence == 2


def test_a_symbol_never_quoted_has_nothing() -> None:
    tape = Tape()
    assert (tape.quote("ETHUSDT", 1), tape.latest("ETHUSDT")) == (None, None)
    assert list(tape.after("ETHUSDT", 0)) == []
    assert not tape.forgot("ETHUSDT")


def test_a_full_tape_forgets_the_oldest_and_says_so() -> None:
    tape = tape_of(*range(1, 22), depth=10)
    assert tape.forgot("BTCUSDT")
    assert not tape_of(1, 2).forgot("BTCUSDT")
    assert tape.place(cause_of(1)) == 0
    assert tape.place(cause_of(21)) == 21
    assert tape.quote("BTCUSDT", 10) is None


def stood(tape: Tape, place: int, step_ns: int, count: int) -> list[int | None]:
    """The sequences of what stood."""
    quotes = tape.stood("BTCUSDT", place, step_ns, count)
    return [None if quote is None else quote.sequence for quote in quotes]


def test_what_stood_is_found_by_the_quotes_own_times() -> None:
    tape = tape_of(1, 2, 3, 5, 8)  # at 10, 20, 30, 50, 80
    assert stood(tape, 4, step_ns=20, count=3) == [1, 3, 5]
    assert stood(tape, 5, step_ns=15, count=3) == [5, None, 8]  # at 50, 65, 80


def test_what_came_later_did_not_stand() -> None:
    assert stood(tape_of(1, 2, 3), 2, step_ns=10, count=2) == [1, 2]


def test_before_the_tape_nothing_stood() -> None:
    assert stood(tape_of(5, 6), 2, step_ns=10, count=3) == [None, 5, 6]
    assert stood(Tape(), 0, step_ns=10, count=2) == [None, None]


def test_another_run_that_began_earlier_is_no_past_of_this_one() -> None:
    tape = tape_of(100, 101)
    for sequence in (1, 2):
        tape.append("BTCUSDT/book", sequence, quote_of("BTCUSDT", sequence))
    assert stood(tape, 4, step_ns=10, count=4)[:2] == [None, None]


def test_what_stood_in_a_run_before_is_no_past_of_this_one() -> None:
    """Its times come again: what is found among them depends on where a search happens to look."""
    tape, second_ns = Tape(), 10**9
    for place, at_s in enumerate([10, 20, 30, 40, 50, 60, 25, 35, 45], start=1):
        quote = Quote("BTCUSDT", place, at_s * second_ns, 99.0, 1.0, 101.0, 2.0)
        tape.append("BTCUSDT/tick", place, quote)
    assert stood(tape, 9, step_ns=10 * second_ns, count=4) == [None, 7, 8, 9]
    assert stood(tape, 6, step_ns=10 * second_ns, count=4) == [3, 4, 5, 6]
