"""What a scrape shows: the contract's names, and never more series than the desk has things."""

import re
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from desk_driver import DeskDriver, Runner, buy, fill
from handover.messages import Trouble
from risk_gateway.metrics import DeskCollector, exposition
from risk_gateway.report import levels
from risk_gateway.room import Room
from trading.signals import Side

# Of docs/contracts.md, what a gateway knows; the rest is told by runners, operator and console.
PREFIXED = {
    "strategy_signals_total", "strategy_errors_total", "market_data_received_total",
    "orders_submitted_total", "orders_rejected_total", "order_latency_microseconds",
    "fills_received_total", "fill_latency_microseconds", "position_updates_total",
    "current_positions", "risk_checks_total", "risk_violations_total", "active_strategies",
    "plugin_reloads_total", "signal_queue_size", "signals_dropped_total",
    "processing_time_microseconds",
}  # fmt: skip
PLAIN = {
    "strategy_pnl", "strategy_hot_reloads_total", "strategy_deployments_total",
    "strategy_executions_active", "strategy_trade_count_total", "strategy_pnl_total",
    "strategy_deployment_errors_total", "strategy_success_rate",
}  # fmt: skip


def scrape(desk: DeskDriver) -> str:
    room = Room(desk.journal.path)
    collector = DeskCollector(desk.state.counts, lambda: levels(desk.desk, room, True))
    return exposition(collector).decode()


def series(text: str) -> set[tuple[str, str]]:
    families = text_string_to_metric_families(text)
    return {(each.name, str(each.labels)) for family in families for each in family.samples}


async def traded(desk: DeskDriver) -> Runner:
    runner = await desk.armed()
    desk.feed_next()
    await runner.decide(buy("x", 1))
    await desk.filled(fill("x"))
    return runner


async def test_the_contracts_names_are_there(desk: DeskDriver) -> None:
    await traded(desk)
    declared = set(re.findall(r"^# TYPE (\S+)", scrape(desk), re.MULTILINE))
    assert {f"strategy_engine_{name}" for name in PREFIXED} | PLAIN <= declared


async def test_on_the_walls_clock_the_age_of_the_market_is_there(wall_desk: DeskDriver) -> None:
    wall_desk.feed_next()
    assert "strategy_engine_market_data_latency_microseconds_bucket" in scrape(wall_desk)


async def test_the_books_are_shown(desk: DeskDriver) -> None:
    await traded(desk)
    text = scrape(desk)
    assert 'strategy_engine_current_positions{strategy="s",symbol="BTCUSDT"} 1.0' in text
    assert 'strategy_trade_count_total{strategy="s"} 1.0' in text
    assert 'strategy_engine_market_data_received_total{symbol="BTCUSDT",type="tick"} 2.0' in text
    assert 'strategy_pnl{strategy="s"} -0.5' in text  # bought at 101, the mid is 100.5


async def test_success_is_the_share_of_gains_and_outlives_a_restart(desk: DeskDriver) -> None:
    runner = await traded(desk)
    assert 'strategy_success_rate{strategy="s"}' not in scrape(desk)  # nothing was closed yet
    await runner.decide(buy("y", 2, side=Side.SELL))
    await desk.filled(fill("y", side=Side.SELL, price=Decimal(102)))
    assert 'strategy_success_rate{strategy="s"} 1.0' in scrape(desk)
    desk.again()
    assert 'strategy_success_rate{strategy="s"} 1.0' in scrape(desk)


async def test_no_caller_makes_a_series_of_its_own(desk: DeskDriver) -> None:
    runner = await traded(desk)
    await noise(desk, runner, 0)
    before = series(scrape(desk))
    for n in range(1, 30):
        await noise(desk, runner, n)
    assert series(scrape(desk)) == before


async def noise(desk: DeskDriver, runner: Runner, n: int) -> None:
    """A symbol, a fill and a trouble that nobody else ever names."""
    desk.feed_next()
    await runner.decide(buy(f"n{n}", n + 3, symbol=f"COIN{n}"))
    stranger = fill("foreign", n, symbol=f"COIN{n}", client_order_id="", fill_id=f"f{n}")
    await desk.filled(stranger)
    desk.desk.message(runner.strategy, "nobody", Trouble(f"trouble {n}"))
