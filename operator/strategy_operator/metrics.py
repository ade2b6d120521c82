"""What the operator counts, as Prometheus reads it. Labels are closed sets, but for one info series
per strategy, which goes with it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from strategy_operator.series import Labels, series

PREFIX = "stratops_operator_"
_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_INFO = ("namespace", "strategy", "mode", "revision")
_NOT_READY = ("namespace", "strategy", "reason")


class Histogram:
    """Seconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS_S) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.total += seconds
        above = (number for number, bound in enumerate(_BUCKETS_S) if seconds <= bound)
        self._counts[next(above, len(_BUCKETS_S))] += 1

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, float]]:
        rising, pairs = 0, []
        for bound, count in zip((*map(str, _BUCKETS_S), "+Inf"), self._counts, strict=True):
            rising += count
            pairs.append((bound, float(rising)))
        return pairs


@dataclass(slots=True)
class Counts:
    reconciles: Histogram = field(default_factory=Histogram)  # from taken to done
    decisions: Histogram = field(default_factory=Histogram)  # CPU of deciding
    actions: Counter[Labels] = field(default_factory=Counter)  # kind, result
    writes: Counter[Labels] = field(default_factory=Counter)  # kind, verb
    faults: int = 0  # of our own
    events_dropped: int = 0
    slow_callbacks: int = 0

    def wrote(self, kind: str, verb: str) -> None:
        self.writes[kind, verb] += 1


@dataclass(slots=True)
class Levels:
    """What is read off at the moment of the scrape."""

    leader: bool = False
    queued: int = 0
    waiting: int = 0  # for a place to start in
    watching_lives: int = 0
    watch_age_s: Mapping[str, float] = field(default_factory=dict)  # by kind
    desks: Mapping[str, bool] = field(default_factory=dict)  # namespace -> reachable
    strategies: Iterable[Labels] = ()  # namespace, strategy, mode, revision
    not_ready: Iterable[Labels] = ()  # namespace, strategy, reason


class OperatorCollector(Collector):
    def __init__(self, counts: Counts, levels: Callable[[], Levels]) -> None:
        self._counts = counts
        self._levels = levels

    def collect(self) -> Iterable[Metric]:
        counts = self._counts
        yield _histogram("reconcile_duration_seconds", "Taken to done", counts.reconciles)
        yield _histogram("decision_cpu_seconds", "Observed to decided", counts.decisions)
        yield _counter("actions", "Actions of decisions", ("kind", "result"), counts.actions)
        yield _counter("writes", "Writes that were taken", ("kind", "verb"), counts.writes)
        yield _counter("faults", "Reconciles that failed by a fault of ours", (), counts.faults)
        yield _counter("events_dropped", "Events nobody was told", (), counts.events_dropped)
        yield _counter("slow_callbacks", "Turns of the loop over 50 ms", (), counts.slow_callbacks)
        yield from self._gauges(self._levels())

    def _gauges(self, levels: Levels) -> Iterable[Metric]:
        yield _gauge("leader", "Whether this one acts", levels.leader)
        yield _gauge("queue_depth", "Strategies to be looked at", levels.queued)
        yield _gauge("waiting_to_start", "Strategies without a place to start", levels.waiting)
        yield _gauge("watching_lives", "How often watching was begun", levels.watching_lives)
        ages = GaugeMetricFamily(PREFIX + "watch_age_seconds", "Since heard of", labels=("kind",))
        for kind, age_s in levels.watch_age_s.items():
            ages.add_metric((kind,), age_s)
        yield ages
        desks = GaugeMetricFamily(
            PREFIX + "gateway_up", "Whether it answers", labels=("namespace",)
        )
        for namespace, reachable in levels.desks.items():
            desks.add_metric((namespace,), reachable)
        yield desks

    def of_each_strategy(self) -> bytes:
        levels = self._levels()
        text = "1: its condition Ready is not true"
        return b"".join(
            (
                series("stratops_strategy_info", "Strategies", _INFO, levels.strategies),
                series("stratops_strategy_not_ready", text, _NOT_READY, levels.not_ready),
            )
        )


def exposition(collector: OperatorCollector) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    registry.register(PROCESS_COLLECTOR)
    return generate_latest(registry) + collector.of_each_strategy()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value)


def _counter(
    name: str, text: str, labels: Labels, values: Mapping[Labels, int] | int
) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in ({(): values} if isinstance(values, int) else values).items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        PREFIX + name, text, buckets=histogram.cumulative(), sum_value=histogram.total
    )
