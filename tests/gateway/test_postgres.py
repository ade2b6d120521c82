"""The journal in a real PostgreSQL: the same records, and one leader at a time."""

import asyncio
import os
import socket
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from postgres_driver import PostgresServer
from risk_gateway.archive import Archive
from risk_gateway.home import JournalLocked, JournalUnusable, Postgres
from risk_gateway.journal import Journal, OrderRow, Record, Seal
from risk_gateway.postgres_store import PostgresWriter
from risk_gateway.proof import chained

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


@pytest.fixture
def home(postgres_server: PostgresServer) -> Postgres:
    return replace(postgres_server.database(), patience_s=4.0)


def journal_at(home: Postgres | Path) -> Journal:
    return Journal(home, asyncio.get_running_loop())


def note(body: str, **fields: object) -> Record:
    return Record(kind="note", body=body, at_ns=7, **fields)  # type: ignore[arg-type]  # by name


def some() -> list[Record]:
    def order(state: str, filled: str = "0") -> OrderRow:
        return OrderRow("s-0", "momentum", state, Decimal(filled), Decimal("0.10"), Decimal("1E-8"))

    return [
        note("a", key="k1", strategy="momentum", order=order("pending")),
        note("ä \u0001 '%s' ?", key="K2", strategy="momentum", outcome=1),
        note("c", order=order("filled", "2.50")),
        note("d", seal=Seal(2, b"\x00\xff", '{"a": 1}')),
    ]


async def written(home: Postgres | Path, *batches: list[Record]) -> None:
    journal = journal_at(home)
    for batch in batches:
        journal.append(batch)
        await journal.durable()
    journal.close()


async def test_it_tells_what_a_file_would(home: Postgres, tmp_path: Path) -> None:
    told = []
    for place in (home, tmp_path):
        await written(place, some()[:2], some()[2:])
        journal = journal_at(place)
        archive = Archive(journal.home)
        told.append(
            (
                [row.columns for row in archive.read()],
                archive.known("note", ["k1", "K2", "k2"]),
                archive.order("s-0"),
                [placed.order for placed in archive.orders(strategy="momentum")],
                archive.orders(after="s-0"),
                [row.number for row in archive.outcomes("momentum", 0, 5)],
                [row.number for row in archive.between("note", "K", "l")],
                archive.seals(),
                archive.seal(2),
                (archive.first(), archive.head().number),
            )
        )
        assert len(list(chained(archive.read(), genesis(archive), archive.head()))) == 4
        archive.close()
        journal.close()
    assert told[0] == told[1]


def genesis(archive: Archive) -> Seal:
    from risk_gateway import chain

    return Seal(0, chain.genesis(archive.head().journal), "")


async def test_what_was_called_back_outlives_a_crash_of_the_database(
    postgres_server: PostgresServer, home: Postgres
) -> None:
    journal, durable = journal_at(home), []
    for n in range(200):
        journal.append([note(str(n), key=str(n))], lambda n=n: durable.append(str(n)))  # type: ignore[misc]  # bound at once
        await asyncio.sleep(0)
        if n == 100:
            await journal.durable()
            postgres_server.kill()
    with pytest.raises(JournalUnusable):
        await journal.failed
    journal.close()
    postgres_server.start()
    archive = Archive(home)
    there = [row.body for row in archive.read()]
    archive.close()
    assert len(durable) >= 100
    assert there[: len(durable)] == durable


async def test_one_leads_and_another_waits(home: Postgres) -> None:
    first = journal_at(home)
    with pytest.raises(JournalLocked, match=r"leads, heard from [0-3]\.\d s ago"):
        journal_at(home)
    await asyncio.sleep(2 * home.patience_s)  # it says that it is there, with nothing to write
    with pytest.raises(JournalLocked):
        journal_at(home)
    first.close()
    journal_at(home).close()  # released: at once


async def test_who_is_asked_all_the_time_says_that_it_leads_too(home: Postgres) -> None:
    """Whoever waits for the disk writes nothing, and leaves no moment to say so."""
    leader = journal_at(home)
    deadline = time.monotonic() + 2 * home.patience_s
    while time.monotonic() < deadline:
        await leader.durable()
    with pytest.raises(JournalLocked):
        journal_at(home)
    leader.close()


async def test_who_only_waits_for_the_disk_hears_that_it_was_replaced(home: Postgres) -> None:
    former = journal_at(home)
    silence(home)
    successor = journal_at(home)
    waiting = asyncio.ensure_future(former.durable())
    with pytest.raises(JournalUnusable, match="another gateway leads"):
        await former.failed
    assert not waiting.done()
    waiting.cancel()
    former.close()
    successor.close()


async def test_who_was_taken_for_dead_writes_nothing_any_more(home: Postgres) -> None:
    former = journal_at(home)
    former.append([note("before")])
    await former.durable()
    silence(home)
    successor = journal_at(home)
    told: list[str] = []
    former.append([note("of the former")], lambda: told.append("former"))
    with pytest.raises(JournalUnusable, match="another gateway leads"):
        await former.failed
    successor.append([note("of the successor")], lambda: told.append("successor"))
    await successor.durable()
    former.close()
    successor.close()
    archive = Archive(home)
    assert [row.body for row in archive.read()] == ["before", "of the successor"]
    archive.close()
    assert told == ["successor"]


def silence(home: Postgres) -> None:
    """As if its leader had said nothing for long."""
    with psycopg.connect(home.url, autocommit=True) as connection:
        connection.execute("UPDATE leader SET seen = seen - interval '1 hour'")


def _led_at_last(home: Postgres) -> int:
    """The generation of a gateway that tries until nobody else leads."""
    while True:
        try:
            writer = PostgresWriter(home)
        except JournalLocked:
            time.sleep(0.1)
        else:
            writer.close()
            return writer.generation


async def test_who_was_stopped_in_the_middle_of_a_commit_keeps_nobody_from_leading(
    home: Postgres,
) -> None:
    stopped = PostgresWriter(home)
    stopped._connection.execute("BEGIN")
    stopped._connection.execute("UPDATE leader SET seen = clock_timestamp()")
    leading = asyncio.create_task(asyncio.to_thread(_led_at_last, home))
    done, _ = await asyncio.wait([leading], timeout=10 * home.patience_s)
    stopped._connection.close()  # or whoever still waits would wait for ever
    assert done
    assert await leading > stopped.generation


def test_who_stands_by_does_not_wait_for_a_commit_that_hangs(home: Postgres) -> None:
    """It is asked meanwhile whether it is there."""
    PostgresWriter(home).close()
    with psycopg.connect(home.url) as leader:
        leader.execute("UPDATE leader SET released = false, seen = seen - interval '1 hour'")
        leader.commit()
        leader.execute("UPDATE leader SET seen = clock_timestamp()")  # and hangs
        with pytest.raises(JournalLocked):
            PostgresWriter(home)
        leader.rollback()
    PostgresWriter(home).close()


def test_whoever_waits_for_an_answer_asks_whether_the_host_is_still_there(home: Postgres) -> None:
    """By its kernel: one that has lost power says nothing, and has acknowledged the question."""
    writer = PostgresWriter(home)
    with socket.socket(fileno=os.dup(writer._connection.fileno())) as connection:
        after_s = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        ended_after_ms = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    writer.close()
    assert after_s * 1_000 < ended_after_ms <= home.patience_s * 1_000


async def test_an_idle_leader_that_was_replaced_hears_of_it(home: Postgres) -> None:
    former = journal_at(home)
    silence(home)
    successor = journal_at(home)
    with pytest.raises(JournalUnusable, match="another gateway leads"):
        await former.failed
    former.close()
    successor.close()


async def test_the_former_s_end_does_not_release_its_successor(home: Postgres) -> None:
    former = journal_at(home)
    silence(home)
    successor = journal_at(home)
    former.close()
    with pytest.raises(JournalLocked):
        journal_at(home)
    successor.close()


async def test_a_record_twice_writes_neither(home: Postgres) -> None:
    journal = journal_at(home)
    journal.append([note("a", key="k")])
    await journal.durable()
    journal.append([note("b"), note("c", key="k")])
    with pytest.raises(JournalUnusable, match="log_key"):
        await journal.failed
    journal.close()
    archive = Archive(home)
    assert [row.body for row in archive.read()] == ["a"]
    archive.close()


async def test_a_journal_of_another_version_is_left_alone(home: Postgres) -> None:
    journal_at(home).close()
    with psycopg.connect(home.url, autocommit=True) as connection:
        connection.execute("UPDATE leader SET version = 99")
    with pytest.raises(JournalUnusable, match="version 99, expected 2"):
        journal_at(home)


async def test_an_error_shows_no_password(postgres_server: PostgresServer) -> None:
    nowhere = Postgres(f"postgresql://stratops:secret@127.0.0.1:{postgres_server.port}/nowhere")
    with pytest.raises(JournalUnusable, match=r"127\.0\.0\.1/nowhere") as raised:
        journal_at(nowhere)
    assert "secret" not in str(raised.value)
