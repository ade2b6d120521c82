"""Every message is taken or counted by reason; what goes wrong with one never reaches the next."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data import Intake

TICK: dict[str, Any] = {
    "type": "tick",
    "symbol": "BTCUSDT",
    "sequence": 7,
    "timestamp": 1_723_161_254_087_891_268,
    "bid_price": 61837.63,
    "ask_price": 61837.64,
}
BOOK: dict[str, Any] = {
    **{name: TICK[name] for name in ("symbol", "sequence", "timestamp")},
    "type": "book",
    "bids": [[10.0, 1.0], [9.0, 1.0]],
    "asks": [[11.0, 1.0], [12.0, 1.0]],
}
CANDLE: dict[str, Any] = {
    **{name: TICK[name] for name in ("symbol", "sequence", "timestamp")},
    "type": "candle",
    "interval": "1m",
    "open": 2.0,
    "high": 4.0,
    "low": 1.0,
    "close": 3.0,
}


def wire(message: dict[str, Any], **changes: Any) -> bytes:
    return msgspec.json.encode({**message, **changes})


def dropped(*payloads: bytes) -> dict[str, int]:
    intake = Intake({"BTCUSDT"})
    for payload in payloads:
        intake.accept(payload)
    return dict(intake.dropped)


@pytest.mark.parametrize("message", [TICK, BOOK, CANDLE], ids=["tick", "book", "candle"])
def test_a_good_message_is_taken(message: dict[str, Any]) -> None:
    intake = Intake()
    assert intake.accept(wire(message)) is not None
    assert intake.sequences == {f"BTCUSDT/{message['type']}": 7}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[1,2]", "malformed"),
        (b'{"x":' * 100_000, "malformed"),
        (wire(TICK)[:-1] + b',"more":' + b"[" * 100_000, "malformed"),
        (wire(TICK, type="quote"), "malformed"),
        (wire(TICK, symbol=""), "unknown_symbol"),
        (wire(TICK, symbol=None), "malformed"),
        (wire(TICK, bid_price="61837.63"), "malformed"),
        (wire(TICK, bid_price=0), "malformed"),
        (wire(TICK, ask_price=-1), "malformed"),
        (wire(TICK, bid_size=-1), "malformed"),
        (wire(TICK, sequence=-1), "malformed"),
        (wire(TICK, sequence=1.5), "malformed"),
        (wire(TICK).replace(b'"sequence":7', b'"sequence":18446744073709551616'), "malformed"),
        (wire(TICK).replace(b"61837.63", b"NaN"), "not_finite"),
        (wire(TICK).replace(b"61837.63", b"-Infinity"), "not_finite"),
        (wire(TICK).replace(b"61837.63", b"1e999"), "not_finite"),
        (wire(TICK, bid_price=61837.65), "crossed"),
        (wire(TICK, symbol="DOGE"), "unknown_symbol"),
        (wire(TICK, timestamp=0), "bad_timestamp"),
        (wire(TICK, timestamp=-1), "bad_timestamp"),
        (wire(TICK, timestamp=2**63), "bad_timestamp"),
        (wire(TICK, timestamp="yesterday"), "bad_timestamp"),
        (wire(TICK, timestamp="1969-12-31T23:59:59Z"), "bad_timestamp"),
        (wire(BOOK, bids=[]), "malformed"),
        (wire(BOOK, bids=[[9.0, 1.0], [10.0, 1.0]]), "malformed"),
        (wire(BOOK, asks=[[12.0, 1.0], [11.0, 1.0]]), "malformed"),
        (wire(BOOK, bids=[[11.5, 1.0]]), "crossed"),
        (wire(CANDLE, low=2.5), "malformed"),
        (wire(CANDLE, high=2.5), "malformed"),
    ],
)
def test_a_bad_message_is_counted_by_reason(payload: bytes, reason: str) -> None:
    assert dropped(payload) == {reason: 1}
    assert dropped(wire(TICK, sequence=1), payload) == {reason: 1}


def test_equal_bid_and_ask_are_taken() -> None:
    assert not dropped(wire(TICK, bid_price=61837.64))


def test_going_back_within_a_session_is_counted_as_such() -> None:
    assert dropped(wire(TICK), wire(TICK), wire(TICK, sequence=6)) == {"sequence_back": 2}


def test_what_a_restarted_feed_sends_again_is_already_seen() -> None:
    first, again = wire(TICK, session="run-1"), wire(TICK, session="run-1.1")
    assert dropped(first, again) == {"already_seen": 1}


def test_streams_of_one_symbol_have_their_own_sequences() -> None:
    assert not dropped(wire(TICK), wire(BOOK, sequence=3), wire(CANDLE, sequence=1))


def test_the_largest_sequence_is_taken() -> None:
    assert not dropped(wire(TICK, sequence=2**64 - 1))


def test_a_dropped_message_does_not_move_its_stream() -> None:
    crossed = wire(TICK, bid_price=61837.65)
    assert dropped(crossed, wire(TICK)) == {"crossed": 1}


@pytest.mark.parametrize(
    "text", ["2024-08-08T23:54:14.087891268Z", "2024-08-09T01:54:14.087891268+02:00"]
)
def test_a_text_timestamp_becomes_nanoseconds(text: str) -> None:
    event = Intake().accept(wire(TICK, timestamp=text))
    assert event is not None
    assert event.timestamp == TICK["timestamp"]


def test_an_intake_resumes_after_the_sequences_it_is_given() -> None:
    intake = Intake()
    intake.resume({"BTCUSDT/tick": 7}, "run-1")
    assert intake.accept(wire(TICK, session="run-1.1")) is None
    assert intake.accept(wire(TICK, session="run-1.1", sequence=8)) is not None


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    intake = Intake()
    intake.accept(payload)
    assert intake.dropped.total() == 1


@given(st.dictionaries(st.sampled_from(sorted(TICK)), st.none() | st.integers() | st.text()))
def test_no_values_raise(changes: dict[str, Any]) -> None:
    intake = Intake()
    taken = intake.accept(wire(TICK) if not changes else _encode({**TICK, **changes}))
    assert (taken is None) == (intake.dropped.total() == 1)


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode("utf-8", "surrogatepass")


BAD: tuple[Callable[[int], tuple[bytes, str]], ...] = (
    lambda n: (b'{"type":"tick","symbol":', "malformed"),
    lambda n: (wire(TICK, sequence=n, ask_price="x" * (n % 50)), "malformed"),
    lambda n: (wire(TICK, sequence=n)[:-1] + b',"deep":' + b"[" * 5_000, "malformed"),
    lambda n: (wire(TICK, sequence=n).replace(b"61837.63", b"NaN"), "not_finite"),
    lambda n: (wire(TICK, sequence=n, bid_price=-float(n)), "malformed"),
    lambda n: (wire(TICK, sequence=n, bid_price=70_000.0 + n), "crossed"),
    lambda n: (wire(TICK, sequence=max(0, n - 1 - n % 7)), "sequence_back"),
    lambda n: (wire(TICK, sequence=max(0, n - 1), session="run-1.1"), "already_seen"),
    lambda n: (wire(TICK, sequence=n, symbol=f"S{n % 99}"), "unknown_symbol"),
    lambda n: (wire(TICK, sequence=n, timestamp=-n), "bad_timestamp"),
)


def mixed(bad: int) -> Iterator[tuple[bytes, str]]:
    """So many bad messages with the reason for each, and good ones ("") between them."""
    chance = random.Random(3)
    sequence = 1
    yield wire(TICK, sequence=sequence), ""
    for _ in range(bad):
        while chance.random() < 0.5:
            sequence += 1
            yield wire(TICK, sequence=sequence), ""
        yield chance.choice(BAD)(sequence + 1)


def test_good_messages_between_100_000_bad_ones_all_arrive() -> None:
    intake = Intake({"BTCUSDT"})
    reasons: Counter[str] = Counter()
    taken = 0
    for payload, reason in mixed(100_000):
        reasons[reason] += 1
        taken += intake.accept(payload) is not None
    good = reasons.pop("")
    assert (taken, intake.dropped) == (good, reasons)
    assert intake.sequences == {"BTCUSDT/tick": good}
