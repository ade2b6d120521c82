"""What the alerts of a desk rest on, as a scrape shows it: there while it is so."""

import math
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from desk_driver import DeskDriver, buy
from risk_gateway.metrics import DeskCollector, exposition
from risk_gateway.report import FeedView, levels
from risk_gateway.room import Room
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.scopes import DESK, Level, Scope
from trading.standings import Standing

OF_S = Scope(Level.STRATEGY, "s")


def shown(
    desk: DeskDriver, name: str, age_ns: Callable[[], int | None] = lambda: None
) -> dict[tuple[str, ...], float]:
    """Of that name, values by their labels' values."""
    feed = FeedView(lambda: "", age_ns)
    room = Room(desk.journal.path, least_free_bytes=7)
    collector = DeskCollector(desk.state.counts, lambda: levels(desk.desk, room, feed=feed))
    families = text_string_to_metric_families(exposition(collector).decode())
    samples = [each for family in families for each in family.samples]
    found = [each for each in samples if each.name == f"strategy_engine_{name}"]
    return {tuple(each.labels.values()): each.value for each in found}


@pytest.mark.parametrize("scope", [OF_S, DESK], ids=str)
async def test_a_standing_is_shown_until_it_is_taken_back(desk: DeskDriver, scope: Scope) -> None:
    await desk.armed()
    assert shown(desk, "standings") == {}
    desk.desk.bounds.halt("drill", scope)
    assert shown(desk, "standings") == {(str(scope), "halted"): 1}
    desk.desk.resume("seen", scope, "operator", "ann")
    assert shown(desk, "standings") == {}


async def test_reducing_is_told_from_halted(desk: DeskDriver) -> None:
    await desk.armed()
    desk.desk.bounds.halt("drill", OF_S, Standing.REDUCING)
    assert shown(desk, "standings") == {("strategy s", "reducing"): 1}


async def test_a_hand_over_is_shown_while_the_old_revision_is_armed(desk: DeskDriver) -> None:
    await desk.armed()
    assert shown(desk, "handing_over") == {}
    await desk.deploy("r2")
    assert shown(desk, "handing_over") == {("s",): 1}
    await desk.deploy("r1")
    assert shown(desk, "handing_over") == {}


async def test_a_first_deployment_hands_nothing_over(desk: DeskDriver) -> None:
    await desk.deploy("r1")
    assert shown(desk, "handing_over") == {}


async def test_a_withdrawal_hands_nothing_over(desk: DeskDriver) -> None:
    await desk.armed()
    desk.desk.withdraw(desk.desk.begin_term("test"), "s", "suspended")
    assert shown(desk, "handing_over") == {}


async def test_an_order_without_an_answer_is_shown_until_it_is_settled(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    assert shown(desk, "orders_unknown") == {("s",): 0}
    desk.desk.execution.unanswered(desk.left[0], "DEADLINE_EXCEEDED")
    assert shown(desk, "orders_unknown") == {("s",): 1}
    answered = pb.OrderResponse(client_order_id="x-0", state=types.ORDER_STATE_CANCELLED)
    desk.desk.execution.settle(desk.strategy, answered)
    assert shown(desk, "orders_unknown") == {("s",): 0}


async def test_a_feed_without_a_link_is_infinitely_old(desk: DeskDriver) -> None:
    assert shown(desk, "feed_age_seconds") == {(): math.inf}
    assert shown(desk, "feed_age_seconds", lambda: 1_500_000_000) == {(): 1.5}


async def test_a_journal_that_waits_for_its_disk_says_for_how_long(desk: DeskDriver) -> None:
    assert shown(desk, "journal_stuck_seconds") == {(): 0}
    desk.desk.bounds.halt("drill")  # nobody awaits it: the writer's answer waits for the loop
    assert shown(desk, "journal_stuck_seconds")[()] > 0
    await desk.settled()
    assert shown(desk, "journal_stuck_seconds") == {(): 0}


async def test_the_room_below_which_nothing_opens_is_told(desk: DeskDriver) -> None:
    assert shown(desk, "journal_least_free_bytes") == {(): 7}
