"""A real Prometheus finds a desk by the chart's monitors, and learns what docs/metrics.md says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chart_driver import rendered
from cluster_desk import MOST, ROOT, ClusterDesk, strategy, until
from prometheus_driver import Prometheus, prometheus

pytestmark = pytest.mark.cluster

ENGINE = "strategy_engine_"
# What dashboards of others rely on; of docs/metrics.md.
PREFIXED = (
    "strategy_signals_total", "strategy_errors_total", "strategy_latency_microseconds",
    "market_data_received_total", "market_data_latency_microseconds", "orders_submitted_total",
    "orders_rejected_total", "order_latency_microseconds", "fills_received_total",
    "fill_latency_microseconds", "position_updates_total", "current_positions",
    "risk_checks_total", "risk_violations_total", "active_strategies", "plugin_reloads_total",
    "signal_queue_size", "signals_dropped_total", "processing_time_microseconds",
)  # fmt: skip
PLAIN = (
    "strategy_tick_duration_microseconds", "strategy_signals_filtered_total", "strategy_position",
    "strategy_pnl", "strategy_hot_reloads_total", "strategy_deployments_total",
    "strategy_executions_active", "strategy_pipeline_duration_seconds",
    "strategy_test_duration_seconds", "strategy_trade_count_total", "strategy_pnl_total",
    "strategy_success_rate", "strategy_deployment_errors_total",
)  # fmt: skip
CONTRACT = {*(f"{ENGINE}{name}" for name in PREFIXED), *PLAIN}

# What rises while a desk trades, by who tells it.
MOVING = (
    'strategy_signals_total{job="stratops-gateway"}', 'strategy_signals_total{job=~".*/.*"}',
    'market_data_received_total{job="stratops-gateway"}', "orders_submitted_total",
    'market_data_received_total{job=~".*/.*"}', "order_latency_microseconds_count",
    'market_data_received_total{job="stratops-venue"}', "fills_received_total",
    "market_data_published_total", "fill_latency_microseconds_count", "position_updates_total",
    'risk_checks_total{result="passed"}', 'risk_checks_total{result="refused"}',
    'risk_violations_total{type="max_order_value"}', "strategy_latency_microseconds_count",
    'orders_rejected_total{reason="max_order_value"}', "venue_fills_total",
    'strategy_errors_total{type="ValueError"}', "processing_time_microseconds_count",
)  # fmt: skip

# Orders beyond its limit, and an error now and then.
FAULTY = """
from decimal import Decimal

from strategy_sdk import Event, Strategy


class Faulty(Strategy):
    def start(self) -> None:
        self.seen = 0

    def on_market_data(self, event: Event) -> None:
        self.seen += 1
        if self.seen % 10 == 0:
            raise ValueError("each tenth")
        self.buy(event.symbol, Decimal("0.001"))

    def get_metrics(self) -> dict[str, float]:
        return {"seen": self.seen}
"""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    type: str
    labels: frozenset[str]
    told_by: frozenset[str]


def documented() -> dict[str, list[Family]]:
    """The tables of docs/metrics.md, by their headings."""
    found: dict[str, list[Family]] = {}
    heading = ""
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            found.setdefault(heading, []).append(_family(line))
    return found


def _family(line: str) -> Family:
    name, *others = (cell.strip() for cell in line.strip("|").split("|"))
    type_, labels, told_by = others[:3] if len(others) > 2 else ("", others[0], "")
    return Family(name.strip("`"), type_, _words(labels), _words(told_by))


def _words(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", cell))


TOLD = documented()["Metrics"]
LIVE_ONLY = documented()["Of a live feed only"]
COMPONENTS = ("gateway", "operator", "venue", "feed", "runner")


def component(job: str) -> str:
    return job.rpartition("stratops-")[2]


@pytest.fixture(scope="module")
def trading(module_desk: ClusterDesk) -> ClusterDesk:
    """One strategy that trades and has handed over, and one that does much wrong."""
    desk = module_desk
    limits = {"limits": {**MOST, "max_order_value": "1"}}
    faulty = {"strategy": {"source": {"inline": FAULTY}}, "parameters": {}, "risk": limits}
    desk.apply(strategy("metered"), strategy("faulty", **faulty))
    first = desk.until_ready("metered")["revision"]
    desk.until_ready("faulty")
    desk.patch("metered", {"version": "1.0.1"})
    until(lambda: desk.status("metered").get("revision") != first, "it has handed over")
    until(lambda: len(desk.pods("metered")) == 1, "the old pod is gone")
    return desk


@pytest.fixture(scope="module")
def server(trading: ClusterDesk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    chart = rendered("monitoring", ['monitoring.interval="1s"'], namespace=trading.namespace)
    monitors = chart.of_kind("PodMonitor", "ServiceMonitor")
    with prometheus(trading, monitors, tmp_path_factory.mktemp("prometheus")) as server:
        yield server


def test_every_process_of_the_desk_is_found_by_the_monitors(
    trading: ClusterDesk, server: Prometheus
) -> None:
    found = {each["labels"]["pod"]: component(each["labels"]["job"]) for each in server.targets()}
    assert set(found.values()) == set(COMPONENTS)
    runners = {pod for pod, told_by in found.items() if told_by == "runner"}
    pods = (*trading.pods("metered"), *trading.pods("faulty"))
    assert runners == {pod["metadata"]["name"] for pod in pods}


@pytest.mark.parametrize("told_by", COMPONENTS)
def test_what_a_process_tells_is_what_the_docs_say(server: Prometheus, told_by: str) -> None:
    (told,) = (types for job, types in server.types().items() if component(job) == told_by)
    ours = {name: type_ for name, type_ in told.items() if not name.startswith("process_")}
    families = [each for each in TOLD if told_by in each.told_by]
    assert ours == {family.name: family.type for family in families}
    assert "process_resident_memory_bytes" in told


def test_series_have_the_labels_of_the_docs(server: Prometheus) -> None:
    added = {"__name__", "job", "instance", "namespace", "pod", "le"}
    added |= {"stratops_dev_strategy", "stratops_dev_revision"}
    empty = {"reason"}  # of an order that was filled; Prometheus keeps no empty label
    for family in TOLD:
        name = f"{family.name}_bucket" if family.type == "histogram" else family.name
        for labels, _ in server.series(name):
            if component(labels["job"]) in family.told_by:
                assert family.labels - empty <= set(labels) <= family.labels | added, labels


def test_the_contract_s_names_are_told_or_known_to_come(server: Prometheus) -> None:
    told = {name for types in server.types().values() for name in types}
    not_yet = {each.name for each in documented()["Not told yet"]}
    assert told >= CONTRACT - not_yet - {each.name for each in LIVE_ONLY}
    assert told.isdisjoint(not_yet)


def test_counters_move_while_the_desk_trades(server: Prometheus) -> None:
    before = {each: server.total(ENGINE + each) for each in MOVING}

    def still() -> list[str]:
        return [each for each, value in before.items() if server.total(ENGINE + each) <= value]

    until(lambda: not still(), f"all of {MOVING} rise", within_s=150, every_s=1)


def test_levels_say_how_things_stand(trading: ClusterDesk, server: Prometheus) -> None:
    name = f"{trading.namespace}/metered"
    revision = trading.status("metered")["revision"]
    assert server.total(f'{ENGINE}active_strategies{{job="stratops-gateway"}}') == 2
    assert server.total(f'strategy_hot_reloads_total{{strategy_id="{name}",success="true"}}') == 1
    assert server.total(f'{ENGINE}plugin_reloads_total{{result="success"}}') >= 1
    assert server.series(f'strategy_metric{{strategy="{trading.namespace}/faulty",name="seen"}}')
    assert server.series(f'strategy_pnl{{strategy="{name}"}}')
    info = f'stratops_strategy_info{{revision="{revision}"}}'
    ((joined, _),) = server.series(f"strategy_pnl_total * on(strategy) group_left(mode) {info}")
    assert (joined["strategy"], joined["mode"]) == (name, "simulation")
