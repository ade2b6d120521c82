"""Counters in plain slots, made into Prometheus families only when somebody scrapes."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from risk_gateway.breaker import BreakerState
from risk_gateway.callers import Refusal
from risk_gateway.concerns import Concerns, gauges

PREFIX = "strategy_engine_"
Labels = tuple[str, ...]


class Log2Histogram:
    """Microseconds by powers of two: 1, 2, 4, ... A tenth of the cost of the library's own."""

    __slots__ = ("_buckets", "total")

    def __init__(self, buckets: int = 27) -> None:
        self._buckets = [0] * (buckets + 1)
        self.total = 0.0

    def observe(self, microseconds: float) -> None:
        exponent = max(0, math.frexp(microseconds)[1])
        self._buckets[min(exponent, len(self._buckets) - 1)] += 1
        self.total += microseconds

    def cumulative(self) -> list[tuple[str, float]]:
        rising, pairs = 0, []
        for exponent, count in enumerate(self._buckets[:-1]):
            rising += count
            pairs.append((str(float(2**exponent)), float(rising)))
        return [*pairs, ("+Inf", float(rising + self._buckets[-1]))]


@dataclass(slots=True)
class Counts:
    signals: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol, side
    dropped: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol
    rejected: Counter[Labels] = field(default_factory=Counter)  # strategy, reason
    orders: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol
    fills: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol, side
    adopted: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol
    busts: Counter[Labels] = field(default_factory=Counter)  # strategy, symbol
    checks: Counter[Labels] = field(default_factory=Counter)  # type, result
    violations: Counter[Labels] = field(default_factory=Counter)  # type, strategy
    levels: Counter[Labels] = field(default_factory=Counter)  # level, type
    errors: Counter[Labels] = field(default_factory=Counter)  # strategy, type
    reloads: Counter[Labels] = field(default_factory=Counter)  # strategy, success
    position_updates: int = 0
    unknown_callers: Counter[str] = field(default_factory=Counter)  # by reason
    over_bound: Counter[str] = field(default_factory=Counter)  # by bound
    held_back: Counter[Labels] = field(default_factory=Counter)  # strategy
    deployments: Counter[Labels] = field(default_factory=Counter)  # strategy
    deployment_errors: int = 0
    breaches: Counter[Labels] = field(default_factory=Counter)  # level, type, action
    strays: int = 0
    order_latency: Log2Histogram = field(default_factory=Log2Histogram)
    fill_latency: Log2Histogram = field(default_factory=Log2Histogram)
    processing: Log2Histogram = field(default_factory=Log2Histogram)


_FAMILIES: tuple[tuple[str, str, Labels, str], ...] = (
    ("signals", "strategy_signals", ("strategy", "symbol", "side"), "Signals decided"),
    ("dropped", "signals_dropped", ("strategy", "symbol"), "Signals refused by a full queue"),
    ("rejected", "orders_rejected", ("strategy", "reason"), "Signals and orders refused"),
    ("held_back", "streams_held_back", ("strategy",), "Batches that waited for room"),
    ("orders", "orders_submitted", ("strategy", "symbol"), "Orders on their way to the venue"),
    ("adopted", "orders_adopted", ("strategy", "symbol"), "Orders of somebody else taken over"),
    ("fills", "fills_received", ("strategy", "symbol", "side"), "Fills counted"),
    ("busts", "fills_busted", ("strategy", "symbol"), "Fills that the venue took back"),
    ("checks", "risk_checks", ("type", "result"), "Risk decisions"),
    ("violations", "risk_violations", ("type", "strategy"), "Limits met"),
    ("levels", "risk_refusals", ("level", "type"), "Signals refused, by the level of the limit"),
    ("breaches", "limit_breaches", ("level", "type", "action"), "Breaches acted upon"),
    ("errors", "strategy_errors", ("strategy", "type"), "Troubles that its runners told of"),
)
_TRUTHS = {"true": "success", "false": "failure"}


@dataclass(frozen=True, slots=True)
class Money:
    realized: float | None  # in the desk's currency; None: a rate is missing
    unrealized: float | None  # None: a price or rate is missing
    fills: int
    success_rate: float | None  # None: nothing was closed yet
    realized_each: Mapping[str, float] = field(default_factory=dict)  # by currency, as it was made


@dataclass(frozen=True, slots=True)
class VenueLevel:
    name: str
    state: str  # of its breaker
    opened: int
    calls: Mapping[str, int]  # by how they ended


@dataclass(slots=True)
class Levels:
    """What is read off at the moment of the scrape."""

    queued: int = 0
    queue_limit: int = 0
    queued_by_priority: Mapping[int, int] = field(default_factory=dict)  # ever
    armed: int = 0
    halted: bool = False
    journal_waiting: int = 0
    journal_records: int = 0
    journal_bytes: int | None = None  # None: the disk is a database's
    journal_free_bytes: int | None = None
    bypassed: Collection[Labels] = ()  # strategy, type
    breaches: Collection[Labels] = ()  # scope, type, action; in force
    policies_followed: bool | None = None  # None: there are none to follow
    positions: Mapping[Labels, float] = field(default_factory=dict)  # strategy, symbol
    money: Mapping[str, Money] = field(default_factory=dict)  # by strategy
    received: Mapping[Labels, int] = field(default_factory=dict)  # symbol, type
    market: Mapping[str, int] = field(default_factory=dict)  # dropped, by reason
    samples: int = 0
    start_differences: Sequence[str] | None = None  # None: not compared yet
    venues: Sequence[VenueLevel] = ()
    market_age: Log2Histogram | None = None  # None: the market's time is a replay's
    concerns: Concerns = field(default_factory=Concerns)


class DeskCollector(Collector):
    def __init__(self, counts: Counts, levels: Callable[[], Levels]) -> None:
        self._counts = counts
        self._levels = levels

    def collect(self) -> Iterable[Metric]:
        counts = self._counts
        for attribute, name, labels, text in _FAMILIES:
            yield _counter(name, text, labels, getattr(counts, attribute))
        yield _counter("position_updates", "Positions published", (), {(): counts.position_updates})
        # From nought on: what begins with its first refusal shows no increase by it.
        callers: Mapping[Labels, int] = {(why,): counts.unknown_callers[why] for why in Refusal}
        yield _counter("unknown_callers", "Calls refused", ("reason",), callers)
        bounds: Mapping[Labels, int] = {(bound,): n for bound, n in counts.over_bound.items()}
        yield _counter("calls_over_bound", "Calls refused for how much", ("bound",), bounds)
        yield _counter("stray_fills", "Fills nobody could be given", (), {(): counts.strays})
        yield _histogram("order_latency_microseconds", "Sent to answered", counts.order_latency)
        yield _histogram("fill_latency_microseconds", "Received to durable", counts.fill_latency)
        yield _processing(counts.processing)
        yield from self._gauges()

    def _gauges(self) -> Iterable[Metric]:
        levels = self._levels()
        yield GaugeMetricFamily(PREFIX + "signal_queue_size", "Signals waiting", levels.queued)
        yield GaugeMetricFamily(PREFIX + "signal_queue_limit", "May wait", levels.queue_limit)
        queued: Mapping[Labels, int] = {
            (str(priority),): n for priority, n in levels.queued_by_priority.items()
        }
        yield _counter("signals_queued", "Signals that were queued", ("priority",), queued)
        yield GaugeMetricFamily(PREFIX + "active_strategies", "Armed", levels.armed)
        yield GaugeMetricFamily(PREFIX + "market_samples", "Of prices, kept", levels.samples)
        yield GaugeMetricFamily(PREFIX + "halted", "1: no order leaves", levels.halted)
        yield GaugeMetricFamily(
            PREFIX + "journal_waiting", "Not yet durable", levels.journal_waiting
        )
        yield from _journal(levels)
        text = "1: a policy has the strategy leave this check out"
        bypassed = GaugeMetricFamily(PREFIX + "checks_bypassed", text, labels=("strategy", "type"))
        for bypass in levels.bypassed:
            bypassed.add_metric(bypass, 1)
        yield bypassed
        text = "1: what was done about this breach was not taken back"
        breaches = GaugeMetricFamily(
            PREFIX + "breaches_in_force", text, labels=("scope", "type", "action")
        )
        for breach in levels.breaches:
            breaches.add_metric(breach, 1)
        yield breaches
        if levels.policies_followed is not None:
            text = "1: a change of a risk policy would be heard now"
            yield GaugeMetricFamily(PREFIX + "policies_followed", text, levels.policies_followed)
        positions = GaugeMetricFamily(
            PREFIX + "current_positions", "Signed quantity", labels=("strategy", "symbol")
        )
        for labels, quantity in levels.positions.items():
            positions.add_metric(labels, quantity)
        yield positions
        if levels.start_differences is not None:
            text = "Differences from the venue that the start found"
            count = len(levels.start_differences)
            yield GaugeMetricFamily(PREFIX + "start_differences", text, count)
        yield from gauges(levels.concerns)
        yield from _venues(levels.venues)
        yield from _market(levels)
        yield from _strategies(self._counts, levels)


def _journal(levels: Levels) -> Iterable[Metric]:
    for name, text, value in (
        ("journal_records", "Number of the last one", levels.journal_records),
        ("journal_bytes", "On disk", levels.journal_bytes),
        ("journal_free_bytes", "Left for it on its disk", levels.journal_free_bytes),
    ):
        if value is not None:
            yield GaugeMetricFamily(PREFIX + name, text, value)


def _venues(venues: Sequence[VenueLevel]) -> Iterable[Metric]:
    text = "1: the state that the venue's breaker is in"
    states = GaugeMetricFamily(PREFIX + "venue_breaker", text, labels=("venue", "state"))
    for venue in venues:
        for state in BreakerState:
            states.add_metric((venue.name, state), state == venue.state)
    yield states
    opened: dict[Labels, int] = {(venue.name,): venue.opened for venue in venues}
    yield _counter("venue_breaker_opened", "Times it opened", ("venue",), opened)
    calls: dict[Labels, int] = {
        (venue.name, how): n for venue in venues for how, n in venue.calls.items()
    }
    yield _counter("venue_calls", "Calls ended", ("venue", "result"), calls)


def _market(levels: Levels) -> Iterable[Metric]:
    dropped: dict[Labels, int] = {(why,): count for why, count in levels.market.items()}
    yield _counter("market_data_received", "Messages taken", ("symbol", "type"), levels.received)
    yield _counter("market_data_dropped", "Market data refused", ("reason",), dropped)
    if levels.market_age is not None:
        text = "From a message's timestamp until here"
        yield _histogram("market_data_latency_microseconds", text, levels.market_age)


def _strategies(counts: Counts, levels: Levels) -> Iterable[Metric]:
    """The second group of names, which has no prefix, and its twin in the first."""
    pnl = GaugeMetricFamily("strategy_pnl", "Realised and unrealised", labels=("strategy",))
    realized = GaugeMetricFamily("strategy_pnl_total", "Realised", labels=("strategy",))
    fills = CounterMetricFamily("strategy_trade_count", "Fills counted", labels=("strategy",))
    text = "Share of gains among the fills that closed something"
    rate = GaugeMetricFamily("strategy_success_rate", text, labels=("strategy",))
    text = "Realised, in the currency in which it was made"
    labels = ("strategy", "currency")
    each = GaugeMetricFamily(PREFIX + "realized_pnl", text, labels=labels)
    for strategy, money in levels.money.items():
        for currency, amount in money.realized_each.items():
            each.add_metric((strategy, currency), amount)
        if money.realized is not None:
            realized.add_metric((strategy,), money.realized)
        fills.add_metric((strategy,), money.fills)
        if money.realized is not None and money.unrealized is not None:
            pnl.add_metric((strategy,), money.realized + money.unrealized)
        if money.success_rate is not None:
            rate.add_metric((strategy,), money.success_rate)
    yield from (pnl, realized, fills, rate, each)
    yield GaugeMetricFamily("strategy_executions_active", "Armed", levels.armed)
    yield _plain_counter(
        "strategy_deployments", "Revisions deployed", ("strategy",), counts.deployments
    )
    errors: dict[Labels, int] = {(): counts.deployment_errors}
    yield _plain_counter("strategy_deployment_errors", "Deploys refused", (), errors)
    labels = ("strategy_id", "success")
    yield _plain_counter("strategy_hot_reloads", "Hand-overs", labels, counts.reloads)
    results: Counter[Labels] = Counter()
    for (_, success), count in counts.reloads.items():
        results[_TRUTHS[success],] += count
    yield _counter("plugin_reloads", "Hand-overs", ("result",), results)


def exposition(collector: Collector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    registry.register(PROCESS_COLLECTOR)
    return generate_latest(registry)


def _counter(
    name: str, text: str, labels: Labels, values: Mapping[Labels, int]
) -> CounterMetricFamily:
    return _plain_counter(PREFIX + name, text, labels, values)


def _plain_counter(
    name: str, text: str, labels: Labels, values: Mapping[Labels, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, histogram: Log2Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        PREFIX + name, text, buckets=histogram.cumulative(), sum_value=histogram.total
    )


def _processing(histogram: Log2Histogram) -> HistogramMetricFamily:
    name = PREFIX + "processing_time_microseconds"
    family = HistogramMetricFamily(name, "Taken to durable, per batch", labels=("component",))
    family.add_metric(("gateway",), histogram.cumulative(), histogram.total)
    return family
