"""Every kind of file becomes the same messages that consumers know; a bad row is named."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market_feed import sample
from market_feed.files import InvalidFile, InvalidRow
from market_feed.merge import messages, open_all

Write = Callable[..., Path]

QUOTES = (
    "timestamp,ts_ns,symbol,sequence,bid_price,bid_size,ask_price,ask_size,last_price,last_size"
)
QUOTE = "2024-08-08T23:54:14.116723Z,1723161254116723068,BTCUSDT,19,61837.630,3.7,61838,1.6,,"
TRADES = "timestamp,ts_ns,symbol,sequence,price,size,side,exchange_ts_ns"
TRADE = "2024-08-08T23:54:14.087896Z,1723161254087896568,BTCUSDT,3,61837.63,0.02,sell,1"
CANDLES = "timestamp,ts_ns,symbol,interval,open,high,low,close,volume,volume_quote"
CANDLE = "2020-01-01T00:00:00.000000Z,1577836800000000000,BTCUSD,4h,2,4,1,3,907.7,"
BACKTEST = "timestamp,symbol,bid_price,bid_qty,ask_price,ask_qty"
BOOK = "ts_ns,symbol,sequence,bid_price_1,bid_size_1,bid_price_2,bid_size_2,ask_price_1,ask_size_1"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*lines: str, name: str = "data.csv", packed: bool = False) -> Path:
        content = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
        return tmp_path / name

    return write


def read(*paths: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages, and what was said of bad rows."""
    errors: list[InvalidRow] = []
    found = [m.wire + b"}" for m in messages(open_all(paths), errors.append)]
    return [msgspec.json.decode(one) for one in found], [str(error) for error in errors]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            (QUOTES, QUOTE),
            {
                "type": "tick",
                "symbol": "BTCUSDT",
                "sequence": 19,
                "timestamp": 1723161254116723068,
                "bid_price": 61837.63,
                "bid_size": 3.7,
                "ask_price": 61838,
                "ask_size": 1.6,
            },
        ),
        (
            (TRADES, TRADE),
            {
                "type": "trade",
                "symbol": "BTCUSDT",
                "sequence": 3,
                "timestamp": 1723161254087896568,
                "last_price": 61837.63,
                "volume": 0.02,
                "side": "sell",
            },
        ),
        (
            (CANDLES, CANDLE),
            {
                "type": "candle",
                "symbol": "BTCUSD",
                "sequence": 1,
                "timestamp": 1577836800000000000,
                "interval": "4h",
                "open": 2,
                "high": 4,
                "low": 1,
                "close": 3,
                "volume": 907.7,
            },
        ),
        (
            (BACKTEST, "2024-08-08T23:54:14.087891Z,BTCUSDT,1.5,2,1.6,3"),
            {
                "type": "tick",
                "symbol": "BTCUSDT",
                "sequence": 1,
                "timestamp": 1723161254087891000,
                "bid_price": 1.5,
                "bid_size": 2,
                "ask_price": 1.6,
                "ask_size": 3,
            },
        ),
        (
            (BOOK, "17,BTCUSDT,4,9.5,1,9.4,2,9.6,3"),
            {
                "type": "book",
                "symbol": "BTCUSDT",
                "sequence": 4,
                "timestamp": 17,
                "bids": [[9.5, 1], [9.4, 2]],
                "asks": [[9.6, 3]],
            },
        ),
        (
            (
                '{"symbol":"A","timestamp":"1970-01-01T00:00:01.5Z","type":"tick","sequence":5,'
                '"bid_price":1,"ask_price":2,"venue":"x","session":"old"}',
            ),
            {
                "type": "tick",
                "symbol": "A",
                "sequence": 5,
                "timestamp": 1_500_000_000,
                "bid_price": 1,
                "ask_price": 2,
                "venue": "x",
            },
        ),
    ],
    ids=["quotes", "trades", "candles", "backtest", "book", "messages"],
)
def test_a_row_of_each_kind_becomes_its_message(
    write: Write, lines: tuple[str, ...], message: dict[str, Any]
) -> None:
    assert read(write(*lines)) == ([message], [])
    assert read(write(*lines, name="packed", packed=True)) == ([message], [])


def test_numbers_keep_their_text(write: Write) -> None:
    (one,) = messages(open_all([write(QUOTES, QUOTE)]), print)
    assert b'"bid_price":61837.630,' in one.wire


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (QUOTE.replace("61837.630", "abc"), "column bid_price: 'abc', expected a decimal number"),
        (QUOTE.replace("61837.630", ""), "column bid_price: '', expected a decimal number"),
        (QUOTE.replace("61837.630", "-1"), "column bid_price: '-1', expected a price above 0"),
        (QUOTE.replace("61837.630", "NaN"), "column bid_price: 'NaN', expected a decimal number"),
        (QUOTE.replace("3.7", "-3.7"), "column bid_size: '-3.7', expected 0 or more"),
        (QUOTE.replace("61837.630", "70000"), "crossed: "),
        (QUOTE.replace("1723161254116723068", "now"), "column ts_ns: 'now', expected a time"),
        (QUOTE.replace(",19,", ",-19,"), "column sequence: '-19', expected a whole number"),
        (QUOTE.replace("BTCUSDT", 'B"TC'), "expected a tick"),
        (QUOTE.replace("BTCUSDT", "B\\u0041"), "expected a tick"),
        (QUOTE + ",1", "11 columns, expected 10"),
        ("", None),
    ],
)
def test_a_bad_row_is_named_and_left_out(write: Write, row: str, what: str | None) -> None:
    later = QUOTE.replace(",19,", ",20,")
    found, errors = read(write(QUOTES, row, later))
    assert [one["sequence"] for one in found] == [20]
    assert (what is None and not errors) or (
        "data.csv:2: " in errors[0] and str(what) in errors[0] and len(errors) == 1
    )


def test_a_trade_of_an_unknown_side_is_named(write: Write) -> None:
    _, errors = read(write(TRADES, TRADE.replace("sell", "short")))
    assert errors[0].endswith("column side: 'short', expected buy, sell or nothing")


def test_a_sequence_that_does_not_rise_is_named(write: Write) -> None:
    _, errors = read(write(QUOTES, QUOTE, QUOTE))
    assert errors[0].endswith("data.csv:3: column sequence: 19, expected more than 19")


def test_time_that_goes_back_is_named(write: Write) -> None:
    earlier = QUOTE.replace("1723161254116723068", "1723161254116723067").replace(",19,", ",20,")
    _, errors = read(write(QUOTES, QUOTE, earlier))
    assert "data.csv:3: time 1723161254116723067 goes back" in errors[0]


@pytest.mark.parametrize("line", ["{", "[]", '{"symbol":"A"}', '{"a":' * 9_000])
def test_a_bad_line_of_messages_is_named(write: Write, line: str) -> None:
    good = '{"symbol":"A","timestamp":5,"type":"tick","sequence":5,"bid_price":1,"ask_price":2}'
    found, errors = read(write(good, line))
    assert len(found) == 1
    assert "data.csv:2: " in errors[0]


@pytest.mark.parametrize("header", ["", "a,b,c", "timestamp,symbol,price", "\x00\x01"])
def test_a_file_of_unknown_kind_is_refused(write: Write, header: str) -> None:
    with pytest.raises(InvalidFile, match=r"data\.csv:1: header .*, expected one of: book \("):
        open_all([write(header, "1,2,3")])


def test_a_damaged_archive_gives_what_it_has(write: Write) -> None:
    path = write(QUOTES, *(QUOTE.replace(",19,", f",{n},") for n in range(20, 5_000)), packed=True)
    path.write_bytes(path.read_bytes()[:-2_000])
    found, errors = read(path)
    assert 0 < len(found) < 4_980
    assert "the rest cannot be read" in errors[0]


def test_a_line_without_end_is_left_out(write: Write) -> None:
    found, errors = read(write(QUOTES, "x" * 3_000_000, QUOTE))
    assert (len(found), len(errors)) == (1, 1)
    assert "data.csv:2: longer than 1000000 characters" in errors[0]


def test_windows_line_ends_and_a_byte_order_mark_are_read(write: Write) -> None:
    found, errors = read(write("\ufeff" + QUOTES + "\r", QUOTE + "\r"))
    assert (len(found), errors) == (1, [])


def test_files_are_merged_by_time_and_counted_per_stream(write: Write) -> None:
    row = "1970-01-01T00:00:0{0}Z,{1},1,1,2,1"
    one = write(BACKTEST, row.format(1, "A"), row.format(3, "A"), name="one")
    two = write(BACKTEST, row.format(2, "A"), row.format(3, "B"), name="two")
    found, _ = read(one, two)
    assert [(m["timestamp"] // 10**9, m["symbol"], m["sequence"]) for m in found] == [
        (1, "A", 1),
        (2, "A", 2),
        (3, "A", 3),
        (3, "B", 1),
    ]


def test_the_sample_is_whole_and_small() -> None:
    found, errors = read(*sample.paths())
    assert (len(found), errors) == (28_040 + 24_077, [])
    assert sum(path.stat().st_size for path in sample.paths()) < 1_000_000
    assert "MIT License" in (sample.paths()[0].parent / "NOTICE").read_text()
