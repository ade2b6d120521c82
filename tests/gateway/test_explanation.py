"""From an order, or a refusal, to all that it came from: on the journal of a real desk."""

import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from desk_driver import DeskDriver, buy, cancel, content, fill
from risk_gateway.audit import main
from risk_gateway.explanation import Explanation, UnknownSignal
from risk_gateway.findings import Result
from risk_gateway.sealing import made_of, seal_record
from trading.signals import Side


def compared(found: Explanation, check: str) -> dict[str, str]:
    return next(each.compared for each in found.checks if each.check == check)


async def test_an_order_is_told_from_signal_to_fill(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x", quantity="2"))
    await desk.filled(fill("x", quantity="2"))
    found = desk.explain("x-0")
    assert (found.verdict, found.order_id, found.epoch) == ("accepted", "x-0", 1)
    assert (found.bid, found.ask) == (Decimal(100), Decimal(101))
    assert found.signal.cause.sequence == 1
    assert [(each.kind, each.state) for each in found.events] == [
        ("decided", "pending"),
        ("fill", "filled"),
    ]
    assert found.grant is not None
    assert (found.grant.instance, found.grant.why) == ("a", "first")
    assert found.terms == desk.strategy.account.terms


async def test_every_check_is_told_with_what_it_compared(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_order_value="500"))
    await runner.decide(buy("x", quantity="2"))
    found = desk.explain("x")
    assert {each.result for each in found.checks} == {Result.PASSED}
    assert compared(found, "order_is_small_enough") == {
        "notional": "202.000000",
        "limits.max_order_value": "500",
    }


async def test_a_refusal_is_told_by_the_check_that_refused(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_order_value="500"))
    (verdict,) = await runner.decide(buy("x", quantity="20"))
    found = desk.explain("x")
    refused = [each for each in found.checks if each.result is Result.REFUSED]
    assert (found.verdict, found.message) == ("max_order_value", verdict.message)
    assert [(each.check, each.message) for each in refused] == [
        ("order_is_small_enough", verdict.message)
    ]
    assert found.checks[-1].result is Result.NOT_REACHED
    assert (found.order_id, found.events, found.fills) == ("", (), ())


async def test_the_limits_are_those_that_were_in_force_then(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_order_value="500"))
    await runner.decide(buy("x"))
    await desk.deploy("r2", content(max_order_value="300"))
    desk.feed_next()
    await runner.decide(buy("y", cause=2))
    limits = [desk.explain(name).terms for name in "xy"]
    assert [each and each.limits.max_order_value for each in limits] == [500, 300]


@pytest.mark.parametrize("sealed", [False, True], ids=["whole journal", "from a seal"])
async def test_what_an_order_earned_is_made_from_the_books(
    desk: DeskDriver, *, sealed: bool
) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x", quantity="2"))
    await desk.filled(fill("x", quantity="2", price=Decimal(100)))
    if sealed:
        desk.journal.append([seal_record(made_of(desk.archive), 7)])
        await desk.settled()
    desk.feed_next()
    await runner.decide(buy("y", cause=2, quantity="2", side=Side.SELL))
    for number, price in enumerate((110, 120)):
        await desk.filled(fill("y", number, side=Side.SELL, price=Decimal(price)))
    found = desk.explain("y-0")
    assert [each.realized_pnl for each in found.fills] == [10, 20]
    assert [each.position for each in found.fills] == [1, 0]
    assert (found.realized_pnl, found.fees) == (Decimal(30), Decimal("0.2"))


async def test_what_was_refused_before_any_check_says_so(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.venue_available = False
    await runner.decide(buy("x"), cancel("c", of="nothing"))
    assert desk.explain("x").verdict == "venue_unavailable"
    assert "no check was made" in desk.explain("x").unchecked
    assert "obeys no limits" in desk.explain("c").unchecked


async def test_the_checks_made_again_decide_as_they_did(desk: DeskDriver) -> None:
    """Whatever the verdict was."""
    runner = await desk.armed(content(max_order_value="250", max_position_size="3"))
    for n in range(1, 6):
        desk.feed_next(bid=100 + 40 * n)
        await runner.decide(buy(f"n{n}", cause=n, quantity=str(n)), buy(f"m{n}", cause=n))
    for name in [f"{kind}{n}" for n in range(1, 6) for kind in "nm"]:
        found = desk.explain(name)
        objections = [each.message for each in found.checks if each.result is Result.REFUSED]
        assert objections == ([] if found.verdict == "accepted" else [found.message])


async def test_what_was_never_decided_is_named(desk: DeskDriver) -> None:
    with pytest.raises(UnknownSignal, match="nobody-0: neither"):
        desk.explain("nobody-0")


async def test_the_command_tells_people_and_programs(
    desk: DeskDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    place = str(desk.journal.path)
    assert main(["explain", place, "x-0"]) == 0
    told = capsys.readouterr().out
    assert "passed      order_is_small_enough" in told
    assert "max_order_value 1000000" in told
    assert main(["explain", place, "x-0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fills"][0]["fill"]["price"] == "101"
    assert document["realized_pnl"] == "0"
    assert main(["explain", place, "y"]) == 1


async def test_an_order_of_an_older_journal_is_told_without_its_checks(tmp_path: Path) -> None:
    old = Path(__file__).parent / "journals" / "version-1.sql"
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.executescript(old.read_text())
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    desk = DeskDriver(tmp_path)
    found = desk.explain("x-0")
    assert "older gateway" in found.unchecked
    assert [each.fill.price for each in found.fills] == [101]
    desk.close()
