"""Signals on their way through fence, queue, checks and journal."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk_driver import DeskDriver, buy, cancel, content, fill, tick
from handover.messages import Ack, OrderEnd
from risk_gateway.records import Kind
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side, Signal


def reasons(verdicts: Any) -> list[Reason | None]:
    return [verdict.reason for verdict in verdicts]


async def test_an_order_leaves_and_is_acknowledged_only_when_it_is_durable(
    desk: DeskDriver,
) -> None:
    runner = await desk.armed()
    runner.batch(buy("x"))
    await asyncio.sleep(0)  # it is judged, and being written
    assert (desk.orders, [m for m in runner.told if isinstance(m, Ack)]) == ([], [])
    await desk.settled()
    assert desk.orders == ["x-0"]
    assert runner.last(Ack).verdicts[0].accepted


async def test_two_signals_of_a_batch_cannot_both_pass_a_limit(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_position_size="1"))
    verdicts = await runner.decide(buy("x"), buy("y"))
    assert reasons(verdicts) == [None, Reason.MAX_POSITION_SIZE]
    assert desk.orders == ["x-0"]


async def test_a_higher_priority_is_judged_first(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_position_size="1"))
    verdicts = await runner.decide(buy("x", priority=1), buy("y", priority=10))
    assert reasons(verdicts) == [Reason.MAX_POSITION_SIZE, None]


async def test_a_stale_epoch_is_refused_at_the_fence(desk: DeskDriver) -> None:
    runner = await desk.armed()
    runner.batch(buy("x"), epoch=runner.epoch + 1, number=1)
    await desk.settled()
    assert [(r.signals, r.reason) for r in runner.refusals] == [(1, Reason.FENCED)]
    assert desk.orders == []
    assert desk.strategy.tally.rejected == {"fenced": 1}


async def test_a_replaced_run_is_fenced_off(desk: DeskDriver) -> None:
    old = await desk.armed()
    old.leave()
    await desk.settled(3)
    new = await desk.armed(instance="b")
    old.connect()
    old.batch(buy("late"), epoch=1, number=1)
    await desk.settled()
    assert new.epoch > 1
    assert desk.orders == []


async def test_a_run_that_wakes_after_the_switch_is_refused_and_counted(desk: DeskDriver) -> None:
    old = await desk.armed()
    await desk.deploy("r2")
    await desk.settled(3)  # not a word of it
    new = desk.runner("b", "r2")
    new.connect()
    await desk.settled()
    old.batch(buy("late"))
    assert [(r.signals, r.reason) for r in old.refusals] == [(1, Reason.FENCED)]
    assert desk.state.counts.rejected == {("s", "fenced"): 1}
    assert (new.epoch, desk.orders) == (2, [])


# ---- duplicates


async def test_the_same_signal_again_is_a_duplicate_without_a_second_order(
    desk: DeskDriver,
) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    desk.feed_next()
    verdicts = await runner.decide(buy("x", cause=2))
    assert reasons(verdicts) == [Reason.DUPLICATE]
    assert desk.orders == ["x-0"]


async def test_twice_in_one_batch_is_a_duplicate(desk: DeskDriver) -> None:
    runner = await desk.armed()
    assert reasons(await runner.decide(buy("x"), buy("x"))) == [None, Reason.DUPLICATE]


async def test_in_two_batches_under_way_it_is_a_duplicate(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.feed_next()
    runner.batch(buy("x"))
    runner.batch(buy("x", cause=2))
    await desk.settled()
    assert reasons(runner.last(Ack).verdicts) == [Reason.DUPLICATE]
    assert desk.orders == ["x-0"]


async def test_a_refused_signal_is_not_judged_again(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_position_size="1"))
    await runner.decide(buy("x", quantity="2"))
    desk.feed_next()
    assert reasons(await runner.decide(buy("x", cause=2))) == [Reason.DUPLICATE]


async def test_a_duplicate_of_a_working_order_does_not_end_it(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"), buy("x"))
    assert runner.outcomes == []


async def test_after_a_restart_it_is_still_a_duplicate(desk: DeskDriver) -> None:
    await (await desk.armed()).decide(buy("x"))
    desk.again()
    await desk.settled(3)
    desk.feed_next()
    desk.feed_next()
    runner = await desk.armed(instance="b")
    assert reasons(await runner.decide(buy("x", cause=2))) == [Reason.DUPLICATE]
    assert desk.orders == []


# ---- the queue


async def test_a_full_queue_refuses_by_name_and_journals_it(desk: DeskDriver) -> None:
    runner = await desk.armed()
    verdicts = await runner.decide(*(buy(f"x{n}", quantity="0.1") for n in range(1_005)))
    assert reasons(verdicts).count(Reason.QUEUE_FULL) == 5
    assert len(desk.orders) == 1_000
    assert len(desk.archive.known(Kind.DECIDED, [f"x{n}" for n in range(1_005)])) == 1_005


async def test_a_slow_journal_fills_the_queue_and_loses_nothing(desk: DeskDriver) -> None:
    runner = await desk.armed()
    for n in range(1, 401):
        desk.feed_next()
        runner.batch(buy(f"x{n}", cause=n, quantity="0.1"))
    await desk.settled()
    assert len(desk.orders) == 400


async def test_an_id_is_taken_by_whoever_waits_with_it(desk: DeskDriver) -> None:
    waiting, other = await desk.armed(), await desk.armed(instance="o", name="other")
    waiting.batch(buy("x", cause=2))
    assert reasons(await other.decide(buy("x"))) == [Reason.DUPLICATE]
    desk.feed_next()
    other.batch(buy("x", cause=3))
    desk.feed_next()
    await desk.settled()
    assert reasons(other.last(Ack).verdicts) == [Reason.DUPLICATE]
    assert desk.orders == ["x-0"]


# ---- causes that have not arrived


async def test_a_signal_waits_for_its_cause(desk: DeskDriver) -> None:
    runner = await desk.armed()
    runner.batch(buy("x", cause=3))
    await desk.settled()
    assert desk.orders == []
    desk.feed_next()
    desk.feed_next()
    await desk.settled()
    assert desk.orders == ["x-0"]


async def test_what_comes_after_a_waiting_signal_waits_too(desk: DeskDriver) -> None:
    runner = await desk.armed()
    runner.batch(buy("x", cause=2), buy("y", cause=1))
    await desk.settled()
    assert desk.orders == []
    desk.feed_next()
    await desk.settled()
    assert desk.orders == ["x-0", "y-0"]


async def test_another_strategy_does_not_wait_for_it(desk: DeskDriver) -> None:
    waiting, other = await desk.armed(), await desk.armed(instance="o", name="other")
    waiting.batch(buy("x", cause=9))
    other.batch(buy("y", cause=1))
    await desk.settled()
    assert desk.orders == ["y-0"]


async def test_waiting_signals_count_in_the_queue(desk: DeskDriver) -> None:
    waiting, other = await desk.armed(), await desk.armed(instance="o", name="other")
    waiting.batch(*(buy(f"x{n}", cause=9) for n in range(desk.desk.admission.limit)))
    await desk.settled()
    assert desk.desk.admission.queued == desk.desk.admission.limit
    assert reasons(await other.decide(buy("y"))) == [Reason.QUEUE_FULL]


async def test_a_cause_that_never_comes_ends_in_no_price(desk: DeskDriver) -> None:
    runner = await desk.armed()
    runner.batch(buy("x", cause=9))
    await desk.settled(0.8)
    assert not runner.acks
    await desk.settled(0.4)
    assert reasons(runner.last(Ack).verdicts) == [Reason.NO_PRICE]


async def test_a_cause_older_than_the_tape_is_a_stale_price(desk: DeskDriver) -> None:
    runner = await desk.armed()
    for _ in range(3 * desk.market.tape.depth):
        desk.feed_next()
    assert reasons(await runner.decide(buy("x", cause=5))) == [Reason.STALE_PRICE]


async def test_a_cause_that_was_lost_on_the_way_here_is_a_stale_price(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.feed(tick(5, bid=200.0))  # 2 to 4 went by while the gateway had no link
    assert reasons(await runner.decide(buy("x", cause=3))) == [Reason.STALE_PRICE]
    assert reasons(await runner.decide(buy("y", cause=5))) == [None]


async def test_it_is_judged_at_the_quote_of_its_cause(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_order_value="150"))
    desk.feed_next(bid=1_000.0)
    assert reasons(await runner.decide(buy("x", cause=1), buy("y", cause=2))) == [
        None,
        Reason.MAX_ORDER_VALUE,
    ]


async def test_closing_is_not_held_up_by_a_price_that_is_missing(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    await desk.filled(fill("x"))
    runner.batch(buy("close", cause=99, side=Side.SELL, closing=True))
    await desk.settled(1.2)
    assert reasons(runner.last(Ack).verdicts) == [None]


async def test_on_the_walls_clock_the_latest_quote_must_be_fresh(wall_desk: DeskDriver) -> None:
    runner = await wall_desk.armed()
    assert reasons(await runner.decide(buy("x", cause=77))) == [None]
    quote = wall_desk.market.tape.latest("BTCUSDT")
    assert quote is not None
    quote.arrived_ns -= 6 * 10**9
    assert reasons(await runner.decide(buy("y", cause=78))) == [Reason.STALE_PRICE]


# ---- halt, modes, venue


async def test_a_halted_desk_refuses_orders_and_passes_cancels(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x", order_type=OrderType.LIMIT, price=Decimal(50)))
    desk.desk.bounds.halt("drill")
    desk.feed_next()
    verdicts = await runner.decide(buy("y", cause=2), cancel("c", of="x", cause=2))
    assert reasons(verdicts) == [Reason.HALTED, None]
    assert [leaving.request is None for leaving in desk.left] == [False, True]


async def test_a_halt_survives_restarts_until_it_is_lifted(desk: DeskDriver) -> None:
    await desk.armed()
    desk.desk.bounds.halt("drill")
    await desk.journal.durable()
    assert desk.again().state.halted == "drill"
    desk.desk.bounds.resume("done")
    await desk.journal.durable()
    assert desk.again().state.halted == ""


async def test_an_order_that_a_halt_meets_on_its_way_expires(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    desk.desk.bounds.halt("drill")
    assert not desk.desk.execution.may_leave(desk.left[0])
    await desk.settled()
    assert runner.outcomes[-1].what == OrderEnd(OrderState.EXPIRED, Reason.HALTED)


async def test_observation_gives_verdicts_and_sends_nothing(desk: DeskDriver) -> None:
    runner = await desk.armed(content(mode="observation"))
    closing = buy("y", side=Side.SELL, closing=True)
    assert reasons(await runner.decide(buy("x"), closing)) == [None, None]
    assert desk.left == []


async def test_what_is_only_observed_ends_at_once(desk: DeskDriver) -> None:
    runner = await desk.armed(content(mode="observation"))
    await runner.decide(buy("x"))
    await desk.settled(3)
    assert [(o.signal_id, o.what) for o in runner.outcomes] == [
        ("x", OrderEnd(OrderState.CANCELLED))
    ]


async def test_without_a_venue_signals_are_refused_by_name(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.venue_available = False
    assert reasons(await runner.decide(buy("x"))) == [Reason.VENUE_UNAVAILABLE]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"symbol": "DOGEUSDT"}, Reason.UNKNOWN_INSTRUMENT),
        ({"symbol": "ETHUSDT"}, Reason.SYMBOL_NOT_ALLOWED),
        ({"quantity": Decimal(0)}, Reason.INVALID_QUANTITY),
        ({"expires_ns": 5}, Reason.EXPIRED),
    ],
    ids=lambda value: getattr(value, "value", None),
)
async def test_what_may_not_be_is_refused_by_its_reason(
    desk: DeskDriver, wrong: dict[str, Any], reason: Reason
) -> None:
    runner = await desk.armed()
    signal: Signal = replace(buy("x"), **wrong)
    assert reasons(await runner.decide(signal)) == [reason]
    assert desk.orders == []


async def test_a_refusal_is_an_outcome_with_the_next_number(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_position_size="1"))
    await runner.decide(buy("x"), buy("y"), buy("z"))
    ends = [(o.number, o.signal_id, o.what) for o in runner.outcomes]
    refused = OrderEnd(OrderState.REJECTED, Reason.MAX_POSITION_SIZE)
    assert ends == [(1, "y", refused), (2, "z", refused)]


async def test_a_cancel_of_nothing_is_refused(desk: DeskDriver) -> None:
    runner = await desk.armed()
    assert reasons(await runner.decide(cancel("c", of="x"))) == [Reason.UNKNOWN_ORDER]


async def test_a_tools_signal_goes_through_the_same_fence(desk: DeskDriver) -> None:
    runner = await desk.armed()
    done: list[Any] = []
    fenced = desk.desk.submit(desk.strategy, runner.epoch + 1, buy("x"), done.append)
    assert fenced is not None
    assert fenced.reason is Reason.FENCED
    assert desk.desk.submit(desk.strategy, runner.epoch, buy("y"), done.append) is None
    await desk.settled()
    assert [decided.verdict.accepted for decided in done] == [True]
    assert desk.orders == ["y-0"]
