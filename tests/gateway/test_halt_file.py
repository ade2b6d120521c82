"""The halt by a file: it holds while the file is there, whatever else there is or is not."""

import json
import sqlite3
from pathlib import Path

import pytest

from desk_driver import DeskDriver, buy
from gateway_driver import Stack, until
from risk_gateway.halt_file import HaltFile


@pytest.fixture
def halt(desk: DeskDriver, tmp_path: Path) -> HaltFile:
    return HaltFile(tmp_path, desk.state, desk.desk.bounds)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param(b"", "no reason given", id="touched"),
        pytest.param(b"news at\n 14:00\n", "news at 14:00", id="with a reason"),
        pytest.param(b"\xff\x00" * 500, "\ufffd\x00" * 100, id="no text"),
    ],
)
async def test_it_halts_while_it_is_there(
    desk: DeskDriver, halt: HaltFile, tmp_path: Path, written: bytes, reason: str
) -> None:
    halt.look()
    assert dict(desk.state.halts) == {}
    (tmp_path / "halt").write_bytes(written)
    halt.look()
    assert dict(desk.state.halts) == {"file": reason}
    (tmp_path / "halt").unlink()
    halt.look()
    assert dict(desk.state.halts) == {}


async def test_what_is_written_there_later_is_the_reason(
    desk: DeskDriver, halt: HaltFile, tmp_path: Path
) -> None:
    (tmp_path / "halt").touch()
    halt.look()
    (tmp_path / "halt").write_text("a fat finger")
    halt.look()
    assert desk.state.halted == "file: a fat finger"


async def test_each_halt_is_lifted_only_where_it_was_set(
    desk: DeskDriver, halt: HaltFile, tmp_path: Path
) -> None:
    (tmp_path / "halt").touch()
    desk.desk.bounds.halt("drill")
    halt.look()
    desk.desk.bounds.resume("")
    assert dict(desk.state.halts) == {"file": "no reason given"}
    desk.desk.bounds.halt("drill")
    (tmp_path / "halt").unlink()
    halt.look()
    assert desk.state.halted == "drill"


async def test_where_it_cannot_be_looked_at_it_halts(desk: DeskDriver, tmp_path: Path) -> None:
    (tmp_path / "no-folder").touch()
    HaltFile(tmp_path / "no-folder", desk.state, desk.desk.bounds).look()
    assert "cannot be read: Not a directory" in desk.state.halted
    (tmp_path / "halt").mkdir()
    HaltFile(tmp_path, desk.state, desk.desk.bounds).look()
    assert "cannot be read: Is a directory" in desk.state.halted


async def test_a_replica_without_the_file_lifts_no_halt_of_anothers(
    desk: DeskDriver, halt: HaltFile, tmp_path: Path
) -> None:
    (tmp_path / "halt").touch()
    halt.look()
    (tmp_path / "other").mkdir()
    other = HaltFile(tmp_path / "other", desk.state, desk.desk.bounds, replicas=True)
    other.look()
    assert dict(desk.state.halts) == {"file": "no reason given"}
    (tmp_path / "other" / "halt").touch()
    other.look()
    (tmp_path / "other" / "halt").unlink()
    other.look()
    assert dict(desk.state.halts) == {}


async def test_it_is_journalled_once(desk: DeskDriver, halt: HaltFile, tmp_path: Path) -> None:
    (tmp_path / "halt").touch()
    for _ in range(3):
        halt.look()
    await desk.settled()
    journal = sqlite3.connect(desk.state.journal.path)
    rows = journal.execute("SELECT json(body) FROM log WHERE kind = 'halted'").fetchall()
    journal.close()
    (body,) = [json.loads(row[0]) for row in rows]
    assert (body["source"], body["level"], body["standing"]) == ("file", "desk", "halted")
    assert dict(desk.again().state.halts) == {"file": "no reason given"}


@pytest.mark.servers
async def test_a_file_stops_the_next_order_of_a_desk_at_work(stack: Stack) -> None:
    await stack.deploy()
    runner = await stack.armed()
    (verdict,) = await runner.decide(buy("x", await stack.market.next()))
    assert verdict.accepted
    file = stack.gateway.folder / "halt"
    file.write_text("news")
    while dict((await stack.desk()).halt_sources) != {"file": "news"}:
        pass
    (verdict,) = await runner.decide(buy("y", await stack.market.next()))
    assert (verdict.reason, verdict.message) == ("halted", "the desk is halted: file: news")
    stack.gateway.kill()
    await stack.gateway.start_again()
    assert dict((await stack.desk()).halt_sources) == {"file": "news"}
    stack.gateway.kill()
    file.unlink()
    await stack.gateway.start_again()

    async def is_lifted() -> bool:
        return dict((await stack.desk()).halt_sources) == {}

    await until(is_lifted)
