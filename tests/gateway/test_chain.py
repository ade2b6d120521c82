"""The chain of the journal: anybody can compute it, and an older journal gets one."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chance import SEED
from risk_gateway import chain, schema
from risk_gateway.journal import Journal, OrderRow, Record

OLD = Path(__file__).parent / "journals" / "version-1.sql"
TEXT = st.text(st.characters(codec="utf-8"))
ROW = st.tuples(st.integers(0, 2**63 - 1), TEXT, st.none() | TEXT, st.none() | st.integers(0, 9))


def old_journal(path: Path, records: int = 0) -> None:
    """Of version 1, with `records` more than the committed one has."""
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text())
    more = ((100 + n, "stray", "", f"k{n}", None, n, '{"n":1}') for n in range(records))
    connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", more)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def is_chained(path: Path) -> int:
    """By the documented recipe, with nothing of ours; the number of records."""
    connection = sqlite3.connect(path)
    ((journal_id, last, head),) = connection.execute("SELECT journal, number, hash FROM head")
    before = sha256(f"stratops journal {journal_id}".encode()).digest()
    count = 0
    for *columns, found in connection.execute("SELECT * FROM log ORDER BY number"):
        text = json.dumps(columns, separators=(",", ":"), ensure_ascii=False)
        before = sha256(before + text.encode()).digest()
        assert found == before
        count += 1
    assert (head, last) == (before, columns[0])
    connection.close()
    return count


@given(st.binary(min_size=32, max_size=32), ROW)
def test_anybody_can_compute_a_hash(before: bytes, row: tuple[object, ...]) -> None:
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    assert chain.link(before, row) == sha256(before + text.encode()).digest()


async def test_what_is_appended_is_chained_over_restarts(tmp_path: Path) -> None:
    for life in range(3):
        journal = Journal(tmp_path, asyncio.get_running_loop())
        for n in range(100):
            order = OrderRow(f"o{life}-{n}", "s", "pending")
            journal.append([Record("note", f"{n}", 7, "s", order=order), Record("note", "ü", n)])
        await journal.durable()
        journal.close()
    assert is_chained(tmp_path / "journal.db") == 600


async def test_no_two_journals_begin_alike(tmp_path: Path) -> None:
    heads = []
    for name in "ab":
        journal = Journal(tmp_path / name, asyncio.get_running_loop())
        journal.close()
        heads.append(schema.opened(journal.path).execute("SELECT hash FROM head").fetchone())
    assert heads[0] != heads[1]


def test_an_older_journal_is_chained_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    old_journal(path)
    connection = schema.opened(path)
    written = connection.execute(
        "SELECT order_id, order_state FROM log WHERE order_id IS NOT NULL ORDER BY number"
    ).fetchall()
    connection.close()
    assert is_chained(path) == 20
    assert written == [("x-0", "pending"), ("x-0", "filled"), ("y-0", "pending")]


MIGRATION = """
import sys
from pathlib import Path
from risk_gateway import schema

print("on", flush=True)
schema.opened(Path(sys.argv[1]))
"""


@pytest.mark.servers
@pytest.mark.parametrize("seed", [SEED], ids=str)
def test_a_migration_that_is_killed_leaves_one_version_or_the_other(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "journal.db"
    old_journal(path, records=60_000)
    moments, killed = random.Random(seed), 0
    for _ in range(8):
        if not killed:  # what was held up here let the one before come to its end
            path.unlink()
            old_journal(path, records=60_000)
        migrating = subprocess.Popen(
            [sys.executable, "-c", MIGRATION, path], stdout=subprocess.PIPE
        )
        assert migrating.stdout is not None
        migrating.stdout.readline()
        time.sleep(moments.uniform(0, 0.3))
        os.kill(migrating.pid, signal.SIGKILL)
        killed += migrating.wait() == -signal.SIGKILL
        migrating.stdout.close()
    assert killed
    schema.opened(path).close()
    assert is_chained(path) == 60_020
