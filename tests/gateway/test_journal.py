"""The journal and its archive, on a real file."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from risk_gateway.archive import Archive
from risk_gateway.journal import Journal, JournalLocked, JournalUnusable, OrderRow, Record


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path, asyncio.get_running_loop())
    yield journal
    journal.close()


@pytest.fixture
def archive(journal: Journal) -> Iterator[Archive]:
    archive = Archive(journal.path)
    yield archive
    archive.close()


def note(body: str, **fields: Any) -> Record:
    return Record(kind="note", body=body, at_ns=7, **fields)


def order(state: str, filled: int = 0) -> OrderRow:
    return OrderRow("s-0", "momentum", state, Decimal(filled))


async def test_what_was_called_back_is_on_disk(journal: Journal, archive: Archive) -> None:
    seen: list[list[str]] = []
    journal.append([note("a")], lambda: seen.append([row.body for row in archive.read()]))
    await journal.durable()
    assert seen == [["a"]]


async def test_callbacks_come_in_the_order_of_appending(journal: Journal) -> None:
    order_of_calls: list[int] = []
    for n in range(1_000):
        journal.append([note(str(n))], partial(order_of_calls.append, n))
    await journal.durable()
    assert order_of_calls == list(range(1_000))


async def test_what_gathers_during_a_commit_is_committed_together(journal: Journal) -> None:
    for n in range(1_000):
        journal.append([note(str(n))])
    await journal.durable()
    assert journal.written == 1_000
    assert journal.commits < 100


async def test_whoever_else_is_on_the_loop_waits_for_a_part_of_a_large_commit_only(
    journal: Journal,
) -> None:
    told: list[int] = []
    for n in range(2_000):
        journal.append([note(str(n))], partial(told.append, n))
    turns = set()
    while journal.waiting:
        turns.add(len(told))
        await asyncio.sleep(0)
    assert max(b - a for a, b in pairwise(sorted(turns | {len(told)}))) <= 25
    assert told == list(range(2_000))


async def test_the_log_is_read_in_order_and_from_a_number(
    journal: Journal, archive: Archive
) -> None:
    journal.append([note(str(n)) for n in range(150)])
    await journal.durable()
    assert [row.body for row in archive.read()] == [str(n) for n in range(150)]
    assert [row.body for row in archive.read(after=148)] == ["148", "149"]


async def test_keys_that_were_journalled_are_known(journal: Journal, archive: Archive) -> None:
    journal.append([note("", key=key) for key in ("a", "b")])
    await journal.durable()
    assert archive.known("note", ["a", "c", "b"]) == {"a", "b"}
    assert archive.known("other", ["a"]) == set()


async def test_a_key_cannot_be_journalled_twice(journal: Journal) -> None:
    journal.append([note("", key="a"), note("", key="a")])
    with pytest.raises(JournalUnusable, match="UNIQUE"):
        await asyncio.wait_for(journal.failed, 60)


async def test_outcomes_are_read_by_their_number(journal: Journal, archive: Archive) -> None:
    journal.append([note(str(n), strategy="s", outcome=n) for n in range(1, 6)])
    await journal.durable()
    assert [row.outcome for row in archive.outcomes("s", after=2, most=2)] == [3, 4]


async def test_an_order_keeps_its_place_as_its_state_changes(
    journal: Journal, archive: Archive
) -> None:
    journal.append([note("made", order=order("pending"))])
    journal.append([note("more", order=order("partially_filled", 1))])
    journal.append([note("done", order=order("filled", 3))])
    await journal.durable()
    (placed,) = archive.orders()
    assert placed.order == order("filled", 3)
    assert placed.made.body == "made"


async def test_orders_come_in_pages(journal: Journal, archive: Archive) -> None:
    rows = [OrderRow(f"o{n}", "a" if n % 2 else "b", "pending") for n in range(10)]
    journal.append([note("", order=row) for row in rows])
    await journal.durable()
    first = archive.orders(most=4)
    second = archive.orders(after=first[-1].order.client_order_id, most=4)
    assert [p.order.client_order_id for p in first + second] == [f"o{n}" for n in range(8)]
    assert [p.order.client_order_id for p in archive.orders(strategy="a", most=2)] == ["o1", "o3"]


async def test_a_second_gateway_cannot_open_it(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalLocked, match="another gateway"):
        Journal(tmp_path, asyncio.get_running_loop())


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2):
        journal = Journal(tmp_path, asyncio.get_running_loop())
        journal.append([note("x")])
        await journal.durable()
        journal.close()
        archive = Archive(journal.path)
        assert [row.number for row in archive.read()] == list(range(1, expected + 1))
        archive.close()


async def test_another_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalUnusable, match="version 99, expected 2"):
        Journal(tmp_path, asyncio.get_running_loop())


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database, whatever its name may say" * 100)
    with pytest.raises(JournalUnusable, match="not a database"):
        Journal(tmp_path, asyncio.get_running_loop())


WRITER = """
import asyncio, sys
from pathlib import Path
from risk_gateway.journal import Journal, Record

async def main():
    journal = Journal(Path(sys.argv[1]), asyncio.get_running_loop())
    n = 0
    while True:
        n += 1
        pair = [Record("note", str(n), 0, key=f"{n}{side}") for side in "ab"]
        journal.append(pair, lambda n=n: print(n, flush=True))
        if n % 50 == 0:
            await journal.durable()

asyncio.run(main())
"""


@pytest.mark.servers
def test_what_was_told_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(500)]
    os.kill(writer.pid, signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
    writer.wait()
    writer.stdout.close()
    bodies = [int(row.body) for row in Archive(tmp_path / "journal.db").read()]
    assert set(told) <= set(bodies)
    assert bodies == sorted(bodies)
    assert all(bodies.count(n) == 2 for n in bodies[-5:])


async def test_a_record_that_cannot_be_written_ends_the_journal(journal: Journal) -> None:
    journal.append([replace(note("late"), at_ns=2**63)])
    with pytest.raises(JournalUnusable, match="too large"):
        await asyncio.wait_for(journal.failed, 60)


async def test_what_cannot_be_told_ends_the_journal(journal: Journal) -> None:
    """What was to follow from the record did not: nobody may rely on what stands in memory."""
    heard: list[Any] = []
    strategies: dict[str, None] = {}
    asyncio.get_running_loop().set_exception_handler(lambda _, said: heard.append(said))
    journal.append([note("a")], lambda: strategies["nobody"])
    with pytest.raises(JournalUnusable, match=r"record was written, and not followed: .*nobody"):
        await asyncio.wait_for(journal.failed, 60)
    assert isinstance(heard[0]["exception"], KeyError)
