"""Whatever is changed in a journal is found, and the first record that is wrong is named."""

import asyncio
import random
import sqlite3
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from chance import SEED
from desk_driver import DeskDriver, buy, fill
from desk_story import ALL_STEPS, Story
from examples import examples
from risk_gateway.audit import main
from risk_gateway.backup import TargetExists, back_up
from risk_gateway.home import JournalUnusable
from risk_gateway.proof import NotProven
from risk_gateway.recollection import recollected
from risk_gateway.records import Kind, Started, record, started_key
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.settings import Clock
from risk_gateway.verification import verified
from trading.reasons import Reason
from trading.signals import Action, OrderType, Side


async def traded(desk: DeskDriver) -> Path:
    """Orders filled, refused and at work, and a seal in the middle."""
    runner = await desk.armed()
    await runner.decide(buy("x"), buy("big", quantity="5000"))
    await desk.filled(fill("x"))
    desk.journal.append([seal_record(made_of(desk.archive), 7)])
    desk.feed_next()
    await runner.decide(buy("y", cause=2))
    await desk.filled(fill("y", quantity="0.5"))
    return desk.journal.path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_a_journal_proves_what_it_comes_to(desk: DeskDriver) -> None:
    proven = verified(await traded(desk))
    ledger = proven.ledgers["s"]
    assert (proven.first, proven.last) == (1, desk.archive.head().number)
    assert (proven.seals, proven.orders) == (1, 2)
    assert ledger.positions == desk.strategy.account.positions
    assert ledger.cash == desk.strategy.account.ledger.cash


async def test_what_was_taken_back_and_what_was_modified_is_proven(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x", quantity="2"))
    back: dict[str, Any] = {
        "side": Side.SELL,
        "fee": Decimal("-0.1"),
        "busts": "x-0-1",
        "fill_id": "bust",
    }
    await desk.filled(fill("x", 1), fill("x", 2), fill("x", 3, **back))
    desk.feed_next()
    limit = buy("y", cause=2, quantity="2", order_type=OrderType.LIMIT, price=Decimal(90))
    await runner.decide(limit)
    desk.feed_next()
    await runner.decide(buy("m", cause=3, quantity="3", action=Action.MODIFY, modifies="y"))
    desk.desk.execution.refuse_modification(desk.strategy, "y-0", Reason.VENUE_REJECTED)
    await desk.settled()
    proven = verified(desk.journal.path)
    assert proven.ledgers["s"].positions == desk.strategy.account.positions


async def test_a_desk_is_remembered_with_its_policies_and_its_venue(desk: DeskDriver) -> None:
    instruments = dict(desk.state.instruments)
    for told in ((True, False, True), (False, True, False), (True, True, True)):
        asked, real, missing = told
        started = Started(Clock.WALL, asked, real, instruments, missing)
        at_ns = desk.state.wall_ns()
        written = record(Kind.STARTED, started, at_ns, key=started_key(at_ns))
        desk.journal.append([written])
        await desk.settled()
        policies = recollected(desk.archive).state.policies
        assert (policies.asked_for, policies.routes.all[0].real, policies.may_be_missing) == told


async def play(steps: list[tuple[str, str]], folder: Path) -> None:
    desk = DeskDriver(folder)
    await Story(desk).play(steps)
    proven = verified(desk.journal.path)
    assert proven.ledgers["s"].positions == desk.strategy.account.positions
    desk.close()


@given(ALL_STEPS)
@examples(30)
def test_whatever_a_desk_does_its_journal_is_proven(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(steps, Path(folder)))


PUT_IN = (
    "INSERT INTO log SELECT max(number) + 1, 'halted', '', NULL, NULL, 7,"
    ' \'{"reason":""}\', NULL, NULL, zeroblob(32) FROM log'
)
ORDER_PUT_IN = "INSERT INTO orders VALUES ('z-0', 9, 's', 'filled', '1', '1', '0')"
CHANGES = {
    "a body": ("UPDATE log SET body = replace(body, '101', '102') WHERE kind = 'fill'", "(fill)"),
    "a time": ("UPDATE log SET at_ns = at_ns + 1 WHERE number = 2", "record 2 (deployed)"),
    "a hash": ("UPDATE log SET hash = zeroblob(32) WHERE number = 3", "record 3"),
    "one dropped": ("DELETE FROM log WHERE number = 4", "record 4: missing"),
    "the first dropped": ("DELETE FROM log WHERE number = 1", "record 1: missing"),
    "the last dropped": ("DELETE FROM log WHERE key = 'y-0-1'", "missing"),
    "one put in": (PUT_IN, "(halted)"),
    "an order's state": ("UPDATE orders SET state = 'cancelled'", "order x-0"),
    "an order's fee": ("UPDATE orders SET fee = '0'", "with fee 0"),
    "an order dropped": ("DELETE FROM orders WHERE client_order_id = 'x-0'", "no such order"),
    "an order put in": (ORDER_PUT_IN, "z-0: in the table"),
    "a snapshot": ("UPDATE seals SET snapshot = replace(snapshot, '101', '102')", "its snapshot"),
    "a seal dropped": ("DELETE FROM seals", "is missing"),
}


@pytest.mark.parametrize(("statement", "named"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_found_and_named(desk: DeskDriver, statement: str, named: str) -> None:
    path = await traded(desk)
    change(path, statement)
    with pytest.raises(NotProven) as found:
        verified(path)
    assert named in str(found.value)


async def test_two_that_are_swapped_are_found(desk: DeskDriver) -> None:
    path = await traded(desk)
    change(
        path,
        "UPDATE log SET number = -3 WHERE number = 3",
        "UPDATE log SET number = 3 WHERE number = 4",
        "UPDATE log SET number = 4 WHERE number = -3",
    )
    with pytest.raises(NotProven, match="record 3"):
        verified(path)


@pytest.mark.parametrize("seed", [SEED], ids=str)
async def test_any_single_bit_of_any_record_is_found(desk: DeskDriver, seed: int) -> None:
    path = await traded(desk)
    chance = random.Random(seed)
    for number, body in sqlite3.connect(path).execute("SELECT number, body FROM log").fetchall():
        place = chance.randrange(len(body))
        other = body[:place] + chr(ord(body[place]) ^ 1) + body[place + 1 :]
        connection = sqlite3.connect(path)
        connection.execute("UPDATE log SET body = ? WHERE number = ?", (other, number))
        connection.commit()
        with pytest.raises(NotProven, match=f"record {number} "):
            verified(path)
        connection.execute("UPDATE log SET body = ? WHERE number = ?", (body, number))
        connection.commit()
        connection.close()
    verified(path)


async def test_a_journal_that_was_written_anew_lacks_the_hash_that_was_noted(
    desk: DeskDriver,
) -> None:
    path = await traded(desk)
    noted = verified(path).head
    assert verified(path, contains=noted)
    with pytest.raises(NotProven, match="no record has it"):
        verified(path, contains="00" * 32)


async def test_old_records_may_be_moved_away(desk: DeskDriver) -> None:
    path = await traded(desk)
    (number,) = desk.archive.seals()
    change(path, f"DELETE FROM log WHERE number <= {number}")
    proven = verified(path)
    assert proven.first == number + 1
    assert proven.ledgers["s"].positions == desk.strategy.account.positions


async def test_a_backup_is_the_desk_that_it_was(desk: DeskDriver, tmp_path: Path) -> None:
    await traded(desk)
    folder = tmp_path / "restored"
    folder.mkdir()
    back_up(desk.journal.path, folder / "journal.db")
    await desk.filled(fill("y", number=2, quantity="0.5"))
    restored = DeskDriver(folder)
    assert restored.strategy.account.positions["BTCUSDT"].quantity == 1.5
    restored.desk.bounds.halt("drill")
    await restored.settled()
    assert verified(restored.journal.path).last == restored.archive.head().number
    restored.close()


async def test_a_backup_replaces_nothing(desk: DeskDriver, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    with pytest.raises(TargetExists, match="there: exists"):
        back_up(desk.journal.path, tmp_path / "there")


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match="not there"):
        verified(tmp_path / "journal.db")


async def test_the_command_answers_with_its_exit_code(
    desk: DeskDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    path = await traded(desk)
    assert main(["verify", str(path.parent)]) == 0
    assert "proven: records 1 to" in capsys.readouterr().out
    change(path, "DELETE FROM log WHERE number = 4")
    assert main(["verify", str(path)]) == 1
    assert "record 4: missing, the next one is 5" in capsys.readouterr().err


async def test_a_seal_is_proven_after_the_venue_became_another(desk: DeskDriver) -> None:
    """What its strategies may do follows from the settings of then."""

    async def started(*, real: bool, asked: bool = False) -> None:
        at_ns = desk.state.wall_ns()
        body = Started(Clock.MARKET, asked, real, dict(desk.state.instruments))
        desk.journal.append([record(Kind.STARTED, body, at_ns, key=started_key(at_ns))])
        await desk.settled()

    async def seal() -> None:
        await desk.settled()
        desk.journal.append([seal_record(made_of(desk.archive), 7)])
        await desk.settled()

    await started(real=False)
    await desk.deploy()
    await seal()
    desk.again(real_venue=True)
    await started(real=True)
    await seal()
    verified(desk.journal.path)
    desk.again()
    await started(real=False, asked=True)
    await seal()
    verified(desk.journal.path)
