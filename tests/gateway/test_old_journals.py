"""A journal that an older gateway wrote is the desk that it was, and is written on."""

import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from desk_driver import HASH, DeskDriver
from risk_gateway.callers import Runners

OLD = Path(__file__).parent / "journals" / "version-1.sql"


@pytest.fixture
async def old_desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.executescript(OLD.read_text())
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    driver = DeskDriver(tmp_path)
    yield driver
    driver.close()


async def test_its_books_are_as_they_were(old_desk: DeskDriver) -> None:
    account, tally = old_desk.strategy.account, old_desk.strategy.tally
    position = account.positions["BTCUSDT"]
    money = (position.quantity, position.cost, position.fees)
    assert money == (Decimal(2), Decimal(202), Decimal("0.1"))
    assert (tally.signals, tally.accepted, tally.fills) == (3, 2, 1)
    assert list(account.orders) == ["y-0"]


async def test_its_grants_halt_and_term_are_as_they_were(old_desk: DeskDriver) -> None:
    grants, state = old_desk.strategy.grants, old_desk.state
    assert (grants.epoch, grants.wanted, state.term) == (0, "r3", 3)
    assert state.halts == {"operator": "drill"}
    assert old_desk.strategy.deployments["r3"].runners == Runners(HASH)


async def test_it_is_written_on(old_desk: DeskDriver) -> None:
    old_desk.desk.bounds.resume("over")
    old_desk.desk.withdraw(3, "s", "deleted", flatten=True)
    await old_desk.settled()
    again = old_desk.again()
    assert again.state.halts == {}
    assert again.strategy.flattening is not None
