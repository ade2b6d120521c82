"""A disk that fills: nothing more is opened, what closes goes on; full, nothing told is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk_driver import DeskDriver, buy, cancel, fill
from risk_gateway.archive import Archive
from risk_gateway.room import Room
from trading.signals import Action, OrderType, Side

MORE_THAN_ANY_DISK = 2**62


async def test_with_little_room_only_closing_goes_on(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("held"), buy("open"))
    await desk.filled(fill("held"))
    desk.state.no_room = Room(desk.journal.path, MORE_THAN_ANY_DISK).objection()
    desk.feed_next()
    more = buy("more", cause=2)
    close = buy("close", cause=2, side=Side.SELL)
    opened, closed, cancelled = await runner.decide(more, close, cancel("c", of="open", cause=2))
    assert (opened.reason, closed.accepted, cancelled.accepted) == (
        "journal_unavailable",
        True,
        True,
    )
    assert str(MORE_THAN_ANY_DISK) in opened.message
    assert "more-0" not in desk.strategy.account.orders


async def test_with_little_room_an_order_is_modified_only_to_be_less(desk: DeskDriver) -> None:
    runner = await desk.armed()
    resting: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": Decimal(90)}
    await runner.decide(buy("one", quantity="2", **resting), buy("two", quantity="2", **resting))
    desk.state.no_room = Room(desk.journal.path, MORE_THAN_ANY_DISK).objection()
    desk.feed_next()
    change: dict[str, Any] = {"cause": 2, "action": Action.MODIFY}
    more = buy("more", quantity="3", modifies="one", **change)
    dearer = buy("dearer", quantity="2", modifies="one", price=Decimal(91), **change)
    less = buy("less", quantity="1", modifies="two", **change)
    verdicts = await runner.decide(more, dearer, less)
    refused = "journal_unavailable"
    assert [verdict.reason for verdict in verdicts] == [refused, refused, None]


async def test_room_that_is_there_again_is_used(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.state.no_room = Room(desk.journal.path, least_free_bytes=1).objection()
    (verdict,) = await runner.decide(buy("x"))
    assert verdict.accepted


async def test_the_journal_is_measured_with_its_wal(desk: DeskDriver) -> None:
    room = Room(desk.journal.path)
    before = room.journal_bytes()
    desk.desk.bounds.halt("x" * 100_000)
    await desk.settled()
    assert room.journal_bytes() > before + 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("A FULL DISK WAS NOT TRIED: no tmpfs can be mounted here, which takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


WRITER = """
import asyncio, sys
from pathlib import Path
from typing import Any
from risk_gateway.journal import Journal, JournalUnusable, Record

async def main():
    journal = Journal(Path(sys.argv[1]), asyncio.get_running_loop())
    for n in range(100_000):
        written = Record("stray", "x" * 1000, 0, key=str(n))
        journal.append([written], lambda n=n: print(n, flush=True))
        durable = asyncio.ensure_future(journal.durable())
        await asyncio.wait({journal.failed, durable}, return_when="FIRST_COMPLETED")
        if journal.failed.done():
            sys.exit(str(journal.failed.exception()))

asyncio.run(main())
"""


@pytest.mark.servers
def test_a_full_disk_ends_the_journal_and_loses_nothing_that_was_told(small_disk: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(small_disk)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "disk is full" in ended.stderr
    told = ended.stdout.split()
    archive = Archive(small_disk / "journal.db")
    assert len(told) > 100
    assert archive.known("stray", told) == set(told)
    head = archive.head()
    assert head.number == archive.first() + len(archive.known("stray", told)) - 1
    archive.close()
