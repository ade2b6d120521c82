"""What the venue takes from its feed, and what it keeps back after a restart."""

import json
from typing import Any

import pytest

from market_data import Intake, catalogue
from paper_venue.book import Book
from paper_venue.feed import Feed, quote_of
from paper_venue.holdings import Holdings
from paper_venue.venue import PaperVenue, Rules
from strategy_sdk.market import decode
from trading.market import Tape


class Heard:
    """A feed in front of a venue whose tape can be read."""

    def __init__(self, behind: str = "") -> None:
        self.tape = Tape()
        venue = PaperVenue(
            catalogue.load(), Rules(), lambda *_: None, Book(), self.tape, Holdings()
        )
        self.feed = Feed(Intake(["BTCUSDT"]), venue, behind)

    def hear(self, *sequences: int, session: str = "run-1") -> None:
        for sequence in sequences:
            self.feed.take(json.dumps(tick(sequence, session)).encode())

    @property
    def sequences(self) -> list[int]:
        return [quote.sequence for quote in self.tape.after("BTCUSDT", 0)]


def tick(sequence: int, session: str = "run-1") -> dict[str, Any]:
    prices = {"bid_price": 100.0, "ask_price": 101.0, "bid_size": 2.0, "ask_size": 3.0}
    return {
        "type": "tick", "symbol": "BTCUSDT", "sequence": sequence, "timestamp": sequence,
        "session": session, **prices,
    }  # fmt: skip


def test_messages_are_taken_at_once() -> None:
    heard = Heard()
    heard.hear(1, 2)
    assert heard.sequences == [1, 2]


def test_what_came_before_the_replay_went_back_is_taken_in_its_new_order() -> None:
    heard = Heard(behind="run-1")
    heard.hear(7, 8)
    heard.hear(4, 5, 6, 7, session="run-1.1")
    assert heard.sequences == [4, 5, 6, 7]


def test_a_replay_of_another_run_is_taken_at_once() -> None:
    heard = Heard(behind="run-1")
    heard.hear(1, session="run-2")
    assert heard.sequences == [1]


def test_what_was_kept_back_is_taken_when_the_replay_does_not_go_back() -> None:
    heard = Heard(behind="run-1")
    heard.hear(7, 8)
    heard.feed.look(now_s=10.0)
    heard.feed.look(now_s=11.9)
    assert heard.sequences == []
    heard.feed.look(now_s=12.0)
    heard.hear(9)
    assert heard.sequences == [7, 8, 9]


@pytest.mark.parametrize("junk", [b"", b"[" * 100_000, b'{"session": 7}', b"\xff"])
def test_what_cannot_be_read_decides_nothing(junk: bytes) -> None:
    heard = Heard(behind="run-1")
    heard.hear(7)
    heard.feed.take(junk)
    assert heard.sequences == []
    heard.hear(6, 7, session="run-1.1")
    assert heard.sequences == [6, 7]


def test_a_book_tells_its_best_bid_and_ask() -> None:
    book = {"bids": [[100.0, 2.0], [99.0, 9.0]], "asks": [[101.0, 3.0], [102.0, 9.0]]}
    both = [quote_of(decode(json.dumps(each).encode())) for each in (tick(1), _book(book))]
    (of_tick, of_book) = [(q.bid, q.bid_size, q.ask, q.ask_size) for q in both if q]
    assert of_tick == of_book


def _book(levels: dict[str, Any]) -> dict[str, Any]:
    return {"type": "book", "symbol": "BTCUSDT", "sequence": 1, "timestamp": 1, **levels}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "trade", "last_price": 100.0, "volume": 1.0},
        {"type": "candle", "open": 1, "high": 2, "low": 1, "close": 2, "interval": "1m"},
    ],
    ids=["a trade", "a candle"],
)
def test_it_tells_no_quote(fields: dict[str, Any]) -> None:
    event = decode(json.dumps({**_book({}), **fields}).encode())
    assert quote_of(event) is None
