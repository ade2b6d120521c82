"""A replay without end: what it is made of, wherever one looks at it."""

import json
from collections import Counter
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data import Intake
from market_feed.files import InvalidFile, InvalidRow
from market_feed.laps import Laps, LostLife
from market_feed.merge import Message, open_all

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["X", "Y"]),
        st.sampled_from(["tick", "trade"]),
        st.integers(0, 10**10),  # nanoseconds since the row before
        st.integers(1, 1_000),  # in sequence since the row before of that stream; 1000: not told
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laps")


def written(folder: Path, rows: list[tuple[str, str, int, int]], counted: bool = False) -> Path:
    lines, at_ns, last = [], 10**18, Counter[str]()
    for symbol, kind, later_ns, further in rows:
        at_ns += later_ns
        last[symbol + kind] += further
        prices = (
            {"bid_price": 1, "ask_price": 2} if kind == "tick" else {"last_price": 1, "volume": 1}
        )
        row = {"symbol": symbol, "type": kind, "timestamp": at_ns, **prices}
        lines.append(json.dumps(row if counted else row | {"sequence": last[symbol + kind]}))
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines))
    return path


def endless(path: Path, start: int, stop: int) -> list[Message]:
    """Of the messages of a replay from its beginning, those from `start` to `stop`."""
    with closing(Laps(open_all([path]), refuse, repeat=True)) as laps:
        return list(islice(laps, start, stop))


def refuse(error: InvalidRow) -> None:
    raise error


def surveyed(path: Path) -> Laps:
    laps = Laps(open_all([path]), refuse, repeat=True)
    list(laps.survey())
    return laps


def going_on(path: Path, position: int, many: int) -> list[Message]:
    """So many messages from that position on, by arithmetic."""
    with closing(surveyed(path)) as laps:
        lap, rest = divmod(position, laps.course.length)
        laps.begin(lap)
        return list(islice(laps, rest, rest + many))


@given(rows=ROWS, counted=st.booleans())
def test_times_and_sequences_go_on_rising_over_every_seam(
    folder: Path, rows: Any, counted: bool
) -> None:
    first = endless(written(folder, rows, counted), 0, 4 * len(rows))
    assert all(one.at_ns <= other.at_ns for one, other in pairwise(first))
    for stream in {one.stream for one in first}:
        sequences = [one.sequence for one in first if one.stream == stream]
        assert sequences == sorted(set(sequences))
    intake = Intake()
    assert all(intake.accept(one.wire + b"}") for one in first)


@given(rows=ROWS)
def test_each_lap_is_the_same_but_for_times_and_sequences(folder: Path, rows: Any) -> None:
    def content(one: Message) -> Any:
        fields = json.loads(one.wire + b"}")
        return [fields[name] for name in fields if name not in ("sequence", "timestamp")]

    all_of_it = [content(one) for one in endless(written(folder, rows), 0, 3 * len(rows))]
    lap = all_of_it[: len(rows)]
    assert all_of_it == 3 * lap


@given(rows=ROWS, position=st.integers(0, 50))
def test_a_position_says_all_that_comes_after_it(folder: Path, rows: Any, position: int) -> None:
    path = written(folder, rows)
    assert going_on(path, position, 20) == endless(path, position, position + 20)


@given(rows=ROWS, lap=st.integers(0, 4))
def test_what_lies_behind_is_known_without_reading_it(folder: Path, rows: Any, lap: int) -> None:
    path = written(folder, rows)
    behind = endless(path, 0, lap * len(rows))
    counts, last = surveyed(path).course.before(lap)
    assert counts == Counter(one.stream for one in behind)
    assert last == {one.stream: one.sequence for one in behind}


@given(rows=ROWS, seen=st.data())
def test_the_lap_after_what_was_seen_is_the_first_that_is_all_new(
    folder: Path, rows: Any, seen: st.DataObject
) -> None:
    path = written(folder, rows)
    behind = seen.draw(st.lists(st.sampled_from(endless(path, 0, 3 * len(rows)))))
    known = {one.stream: one.sequence for one in behind}

    def is_all_new(lap: int) -> bool:
        of_lap = reversed(going_on(path, lap * len(rows), len(rows)))
        firsts = {one.stream: one.sequence for one in of_lap}
        return all(firsts[name] > at for name, at in known.items())

    lap = surveyed(path).course.lap_after(known)
    assert is_all_new(lap)
    assert lap == 0 or not is_all_new(lap - 1)


def test_a_gap_is_the_usual_one(folder: Path) -> None:
    """Four messages in 30 ns, sequences 10 apart."""
    path = written(folder, [("X", "tick", 10, 10)] * 4)
    first, *_, last, seam = endless(path, 0, 5)
    assert (seam.at_ns - last.at_ns, seam.sequence - last.sequence) == (10, 10)
    assert last.at_ns - first.at_ns == 30


def test_files_without_a_message_are_not_read_for_ever(folder: Path) -> None:
    path = folder / "none.csv"
    path.write_text("timestamp,symbol,bid_price,bid_qty,ask_price,ask_qty\nx,X,1,1,2,1\n")
    bad: list[Any] = []
    assert list(Laps(open_all([path]), bad.append, repeat=True)) == []
    assert len(bad) == 1


def test_it_ends_before_a_time_that_no_message_can_have(folder: Path) -> None:
    path = written(folder, [("X", "tick", 1, 1), ("X", "tick", 2 * 10**18, 1)])
    assert [one.at_ns >> 62 for one in endless(path, 0, 9)] == [0, 0, 1, 1]


def test_bad_rows_are_told_once(folder: Path) -> None:
    path = written(folder, [("X", "tick", 1, 1)] * 3)
    path.write_text(path.read_text().replace("bid_price", "price", 1))
    bad: list[Any] = []
    with closing(Laps(open_all([path]), bad.append, repeat=True)) as laps:
        assert len(list(islice(laps, 6))) == 6
    assert len(bad) == 1


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    path = written(folder, [("X", "tick", 1, 1)])
    laps = Laps(open_all([path]), refuse, repeat=True)
    next(laps)
    path.unlink()
    with pytest.raises(InvalidFile, match=r"rows\.jsonl"):
        next(laps)


@pytest.mark.parametrize(
    ("streams", "last", "is_ahead"),
    [
        ({"X/tick": 5}, {}, False),
        ({"X/tick": 5}, {"X/tick": 4}, True),
        ({"X/tick": 5}, {"X/tick": 5}, False),
        ({"Z/tick": 5}, {"X/tick": 4}, False),
    ],
    ids=["nothing published", "ahead", "as far", "of another feed"],
)
def test_a_consumer_that_is_ahead_knows_a_lost_life(
    streams: dict[str, int], last: dict[str, int], is_ahead: bool
) -> None:
    assert LostLife().is_known_by(streams, last) is is_ahead
