"""After old records are deleted the desk is the one it was, and nothing old is taken twice."""

import asyncio
import shutil
import sqlite3
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given

from desk_driver import DeskDriver, Runner, buy, fill, foreign_order
from desk_story import ALL_STEPS, Story
from examples import examples
from handover.messages import Batch, Input, Mark
from postgres_driver import PostgresServer
from risk_gateway.adoption import Adoption, fills_of
from risk_gateway.archive import Archive
from risk_gateway.audit import main
from risk_gateway.home import Home, JournalLocked, Postgres
from risk_gateway.postgres_store import PostgresWriter
from risk_gateway.proof import NotProven
from risk_gateway.pruning import pruned
from risk_gateway.recollection import recollected
from risk_gateway.reconcile import _books, _Held, _ours
from risk_gateway.records import Kind, Marked, record
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.snapshot import Snapshot, taken
from risk_gateway.verification import Proven, verified
from trading.fills import Fill
from trading.orders import OrderState
from trading.reasons import Reason
from trading.routes import Route, Routes
from trading.samples import Sample
from trading.signals import Side

DAY_NS = 86_400 * 10**9
TABLES = ("log", "orders", "seals", "head")


def later() -> int:
    """Two days after what was just written."""
    return time.time_ns() + 2 * DAY_NS


async def seal(desk: DeskDriver, runner: Runner) -> int:
    """When the runner has applied what it was told, and said so."""
    if desk.strategy.grants.epoch:
        desk.feed_next()
        runner.number, runner.count = runner.number + 1, runner.count + 1
        told = desk.strategy.told.last_outcome()
        sequences = {"BTCUSDT/tick": runner.count}
        mark = Mark(runner.count, outcome=told, sequences=sequences, session=runner.session)
        inputs = tuple(Input(runner.count, number) for number in range(1, told + 1))
        runner.say(Batch(runner.epoch, runner.number, mark, (), inputs))
    await desk.settled()
    made = made_of(desk.archive)
    desk.journal.append([seal_record(made, time.time_ns())])
    await desk.settled()
    return made.number


async def told(folder: Path, before: list[tuple[str, str]], after: list[tuple[str, str]]) -> int:
    """A story with a seal in its middle, in a journal that is closed. The seal's number."""
    desk = DeskDriver(folder)
    try:
        story = Story(desk)
        await story.play(before)
        number = await seal(desk, story.runner)
        for decision, echo in after:
            story.count += 1
            desk.feed_next(bid=100 + story.count)
            await story.decide(decision)
            await story.echo(echo)
        await desk.settled()
    finally:
        desk.close()
    return number


def desk_of(home: Home) -> tuple[Snapshot, list[str]]:
    """What a start makes of it, and how its books differ from its fills."""
    archive = Archive(home)
    try:
        restoration = recollected(archive)
        restoration.read_all()
        strategies = restoration.state.strategies
        held = {
            name: _Held(each.told.last_outcome(), each.told.holdings().positions)
            for name, each in strategies.items()
        }
        return taken(restoration.state, restoration.grants), _books(archive, held)
    finally:
        archive.close()


def ids_of(home: Home, ids: list[tuple[str, str]]) -> list[bool]:
    """Whether each is known as taken."""
    archive = Archive(home)
    try:
        return [
            archive.knows_fill(key) if kind == Kind.FILL else key in archive.known(kind, [key])
            for kind, key in ids
        ]
    finally:
        archive.close()


def rows_of(home: Home, query: str) -> list[tuple[str, str]]:
    archive = Archive(home)
    try:
        found = archive._connection.execute(query)
        return sorted(((kind, key) for kind, key in found), key=repr)
    finally:
        archive.close()


def books(proven: Proven) -> object:
    return {
        name: (ledger.positions, ledger.cash, ledger.realized_pnl, ledger.fees)
        for name, ledger in proven.ledgers.items()
    }


def check_pruning(home: Home, number: int) -> None:
    keyed = "SELECT kind, key FROM log WHERE kind IN ('decided', 'fill') AND key IS NOT NULL"
    ids = rows_of(home, keyed)
    orders = rows_of(home, "SELECT client_order_id, state FROM orders")
    desk, proven = desk_of(home), verified(home)
    count = f"SELECT kind, key FROM log WHERE number <= {number}"  # ours
    there = len(rows_of(home, count))

    done = pruned(home, 1, later())

    assert done.through == number
    assert len(rows_of(home, count)) == there - done.deleted
    assert desk_of(home) == desk
    after = verified(home)
    assert (after.first, after.last, after.head) == (number + 1, proven.last, proven.head)
    assert books(after) == books(proven)
    assert rows_of(home, "SELECT client_order_id, state FROM orders") == orders
    assert ids_of(home, ids) == [True] * len(ids)
    assert ids_of(home, [(Kind.DECIDED, "never"), (Kind.FILL, "never")]) == [False, False]


@given(ALL_STEPS, ALL_STEPS)
@examples(10)
def test_the_desk_is_the_one_that_it_was(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        number = asyncio.run(told(Path(folder), before, after))
        check_pruning(Path(folder) / "journal.db", number)


STORY = [("buy", "fill"), ("buy", "part"), ("sell", "part, then the end"), ("too much", "nothing")]


@pytest.mark.servers
async def test_in_a_database_it_is_the_same(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    number = await told(tmp_path, STORY * 2, STORY)
    home = replace(postgres_server.database(), patience_s=1.0)
    copy_to(home, tmp_path / "journal.db")
    await asyncio.to_thread(check_pruning, home, number)


def copy_to(home: Postgres, path: Path) -> None:
    source = sqlite3.connect(path)
    log, orders, seals, head = (
        source.execute(f"SELECT * FROM {table}").fetchall()  # constants
        for table in TABLES
    )
    source.close()
    writer = PostgresWriter(home)
    writer.write(log, orders, seals)
    writer.close()
    with psycopg.connect(home.url) as connection:
        connection.execute("UPDATE head SET journal = %s", (head[0][1],))


async def traded(folder: Path) -> DeskDriver:
    """Orders filled and ended, then a seal."""
    desk = DeskDriver(folder)
    runner = await desk.armed()
    await runner.decide(buy("x"), buy("big", quantity="5000"))
    await desk.filled(fill("x"))
    await seal(desk, runner)
    return desk


async def armed_again(desk: DeskDriver) -> Runner:
    """After a restart, on another run of the replay."""
    await desk.settled(3)
    runner = await desk.armed(instance="b")
    runner.session, runner.count = "run-2", 1
    desk.feed_next()
    return runner


async def test_what_was_taken_before_is_not_taken_again(tmp_path: Path) -> None:
    desk = await traded(tmp_path)
    position = desk.strategy.account.positions["BTCUSDT"]
    desk.close()
    done = pruned(tmp_path / "journal.db", 1, later())
    assert (done.deleted, done.ids) == (4, 3)  # a batch; two signals and a fill
    assert main(["explain", str(tmp_path), "x"]) == 1
    desk = DeskDriver(tmp_path)
    try:
        assert await desk.filled(fill("x")) == ["x-0-1"]  # acknowledged: it was counted
        assert desk.strategy.account.positions["BTCUSDT"] == position
        runner = await armed_again(desk)
        (again, refused) = await runner.decide(buy("x", cause=2), buy("big", cause=2))
        assert (again.reason, refused.reason) == (Reason.DUPLICATE, Reason.DUPLICATE)
    finally:
        desk.close()


async def test_a_late_fill_of_an_order_that_is_gone_is_named_and_moves_nothing(
    tmp_path: Path,
) -> None:
    desk = await traded(tmp_path)
    position = desk.strategy.account.positions["BTCUSDT"]
    desk.close()
    pruned(tmp_path / "journal.db", 1, later())
    desk = DeskDriver(tmp_path)
    try:
        bust = fill("x", number=3, busts="x-0-1")
        assert await desk.filled(fill("x", number=2), bust) == ["x-0-2", "x-0-3"]
        assert desk.strategy.account.positions["BTCUSDT"] == position
        held = {"s": _Held(10**6, desk.strategy.told.holdings().positions)}
        assert [line.partition(": ")[0] for line in _books(desk.archive, held)] == [
            "fill x-0-2",
            "fill x-0-3",
        ]
    finally:
        desk.close()


async def test_an_order_that_a_start_took_for_unknown_is_still_proven(tmp_path: Path) -> None:
    """Its fill left it UNKNOWN in the table of orders; by records alone it is filled in part."""
    desk = DeskDriver(tmp_path)
    await (await desk.armed()).decide(buy("x"))
    desk.again()
    await desk.filled(fill("x", quantity="0.5"))
    desk.journal.append([seal_record(made_of(desk.archive), time.time_ns())])
    await desk.settled()
    desk.close()
    assert pruned(tmp_path / "journal.db", 1, later()).through
    assert verified(tmp_path / "journal.db").ledgers["s"].positions["BTCUSDT"].quantity == 0.5


async def test_it_is_done_once_and_then_from_the_next_seal(tmp_path: Path) -> None:
    desk = await traded(tmp_path)
    desk.close()
    path = tmp_path / "journal.db"
    first = pruned(path, 1, later())
    assert pruned(path, 1, later()).through == 0
    desk = DeskDriver(tmp_path)
    runner = await armed_again(desk)
    await runner.decide(buy("y", cause=2))
    await desk.filled(fill("y"))
    number = await seal(desk, runner)
    desk.close()
    assert number > first.through
    check_pruning(path, number)
    assert ids_of(path, [(Kind.DECIDED, "x"), (Kind.FILL, "x-0-1")]) == [True, True]


# ---- what it refuses


async def test_nothing_is_deleted_under_a_gateway_that_runs(tmp_path: Path) -> None:
    desk = await traded(tmp_path)
    with pytest.raises(JournalLocked):
        pruned(tmp_path / "journal.db", 1, later())
    desk.close()


async def test_nothing_is_deleted_of_a_journal_that_is_not_proven(tmp_path: Path) -> None:
    desk = await traded(tmp_path)
    desk.close()
    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE log SET body = '{}' WHERE kind = 'ended' OR kind = 'fill'")
    connection.commit()
    connection.close()
    before = shutil.copy(path, tmp_path / "before.db")
    with pytest.raises(NotProven):
        pruned(path, 1, later())
    assert path.read_bytes() == Path(before).read_bytes()


async def test_nothing_is_deleted_that_is_younger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = await traded(tmp_path)
    desk.close()
    assert main(["explain", str(tmp_path), "x"]) == 0
    capsys.readouterr()
    assert main(["prune", str(tmp_path), "--keep-days", "1"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("nothing deleted: no seal is older than 1 days\n")
    with pytest.raises(SystemExit):
        main(["prune", str(tmp_path), "--keep-days", "0"])
    assert "'0', expected a whole number of days, 1 or more" in capsys.readouterr().err


# ---- what comes after the seal, of orders from before it


def back(of: str, number: int) -> Fill:
    """A bust of its first fill, as the fill book gets it."""
    return fill(of, number, side=Side.SELL, fee=Decimal("-0.1"), busts=f"{of}-0-1")


async def test_a_fill_that_was_taken_back_after_the_seal_stays_proven(tmp_path: Path) -> None:
    desk = await traded(tmp_path)
    number = desk.archive.seals()[-1]
    await desk.filled(back("x", 2))
    desk.close()
    check_pruning(tmp_path / "journal.db", number)


async def test_a_late_fill_of_an_adopted_order_that_is_gone_is_a_stray(tmp_path: Path) -> None:
    desk = DeskDriver(tmp_path)
    runner = await desk.armed()
    Adoption(desk.state, desk.desk.fill_book)._keep(foreign_order())
    await desk.filled(fill("hand"))
    desk.desk.execution.end(desk.strategy, "hand-0", OrderState.CANCELLED, None)
    await desk.settled()
    await seal(desk, runner)
    position = desk.strategy.account.positions["BTCUSDT"]
    desk.close()
    path = tmp_path / "journal.db"
    pruned(path, 1, later())
    desk = DeskDriver(tmp_path)
    assert await desk.filled(fill("hand", 2)) == ["hand-0-2"]
    assert desk.strategy.account.positions["BTCUSDT"] == position
    assert desk.archive.record(Kind.STRAY, "hand-0-2") is not None
    desk.close()
    verified(path)


async def test_an_adopted_order_that_was_open_then_goes_on(tmp_path: Path) -> None:
    desk = DeskDriver(tmp_path)
    runner = await desk.armed()
    Adoption(desk.state, desk.desk.fill_book)._keep(foreign_order())
    await desk.filled(fill("hand"))
    number = await seal(desk, runner)
    await desk.filled(fill("hand", 2))
    desk.close()
    path = tmp_path / "journal.db"
    check_pruning(path, number)
    desk = DeskDriver(tmp_path)
    await desk.filled(fill("hand", 3))
    order = desk.archive.order("hand-0")
    assert order is not None
    assert (order.state, order.filled_quantity) == ("filled", Decimal(3))
    desk.close()
    verified(path)


async def test_fills_of_an_order_that_may_yet_be_adopted_are_kept(tmp_path: Path) -> None:
    desk = DeskDriver(tmp_path)
    runner = await desk.armed()
    await desk.filled(fill("hand"))
    number = await seal(desk, runner)
    desk.close()
    path = tmp_path / "journal.db"
    check_pruning(path, number)
    archive = Archive(path)
    assert [each.fill_id for each in fills_of(archive, "hand-0", archive.head().number)] == [
        "hand-0-1"
    ]
    archive.close()


async def test_samples_and_marks_are_deleted_too(tmp_path: Path) -> None:
    desk = DeskDriver(tmp_path)
    runner = await desk.armed()
    mark = desk.strategy.account.watermarks
    bodies = ((Kind.SAMPLED, Sample(1, 1, {"BTCUSDT": 100.5})), (Kind.MARKED, Marked({"s": mark})))
    desk.journal.append([record(kind, body, time.time_ns()) for kind, body in bodies])
    number = await seal(desk, runner)
    desk.close()
    path = tmp_path / "journal.db"
    check_pruning(path, number)
    archive = Archive(path)
    left = {row.kind for row in archive.read(0, number)}
    archive.close()
    assert left.isdisjoint({Kind.SAMPLED, Kind.MARKED})


# ---- compared with the venues


async def test_of_each_venue_its_own_orders_are_compared_and_pruned_ones_where_they_are(
    tmp_path: Path,
) -> None:
    apart = Routes((Route("a", symbols=frozenset({"BTCUSDT"})), Route("b", symbols=frozenset())))
    desk = DeskDriver(tmp_path, routes=apart)
    runner = await desk.armed()
    await runner.decide(buy("x"), buy("y"))
    Adoption(desk.state, desk.desk.fill_book)._keep(foreign_order(venue="b"))
    await desk.filled(fill("x"))
    await seal(desk, runner)
    archive = desk.archive
    assert [set(_ours(archive, name, ["x-0", "z-0"])) for name in ("a", "b", "c")] == [
        {"x-0", "y-0"}, {"hand-0"}, set()
    ]  # fmt: skip
    desk.close()
    pruned(tmp_path / "journal.db", 1, later())
    archive = Archive(tmp_path / "journal.db")
    try:
        assert archive.placed("x-0") is None
        assert set(_ours(archive, "a", [])) == {"y-0"}
        assert set(_ours(archive, "b", [])) == {"hand-0"}
        listed = _ours(archive, "a", ["x-0", "y-0", "hand-0", "z-0"])
        assert set(listed) == {"x-0", "y-0"}
        assert listed["x-0"].filled_quantity == Decimal(1)
        assert set(_ours(archive, "b", ["y-0"])) == {"hand-0"}
    finally:
        archive.close()
