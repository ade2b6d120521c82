"""The metrics page: the runner's slot counters as Prometheus families, made when it is asked for.

Imported only where a metrics port is set: prometheus_client is a third of this process' memory.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from handover.messages import Phase
from strategy_runner.histogram import Histogram

if TYPE_CHECKING:
    from strategy_runner.runner import Runner

_PREFIX = "strategy_engine_"
_MOST_OWN = 50  # of a strategy's own figures: labels must not grow without end


def page(runner: "Runner", strategy: str) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(runner, strategy))
    registry.register(PROCESS_COLLECTOR)
    return generate_latest(registry)


class _Figures:
    """A prometheus_client collector."""

    def __init__(self, runner: "Runner", strategy: str) -> None:
        self._runner = runner
        self._strategy = strategy

    def collect(self) -> Iterator[Metric]:
        yield from self._counts()
        yield from self._gauges()
        yield from self._times()

    def _times(self) -> Iterator[Metric]:
        runner, host = self._runner, self._runner.host
        yield self._histogram(
            "strategy_tick_duration_microseconds",
            "Time in on_market_data, of every 16th message",
            host.handler_us,
        )
        yield self._histogram(
            f"{_PREFIX}strategy_latency_microseconds",
            "From reading messages off the link until they are decided, while armed",
            runner.decided_us,
        )
        if any(host.market_age_us.counts):  # a replay's market is of another day
            yield self._histogram(
                f"{_PREFIX}market_data_latency_microseconds",
                "From a message's timestamp until here, of every 16th message",
                host.market_age_us,
            )

    def _histogram(self, name: str, text: str, histogram: Histogram) -> Metric:
        family = HistogramMetricFamily(name, text, labels=("strategy",))
        family.add_metric((self._strategy,), histogram.cumulated(), histogram.total)
        return family

    def _counts(self) -> Iterator[Metric]:
        host = self._runner.host
        received = CounterMetricFamily(
            f"{_PREFIX}market_data_received",
            "Messages taken",
            labels=("strategy", "symbol", "type"),
        )
        for (symbol, kind), count in host.received().items():
            received.add_metric((self._strategy, symbol, kind), count)
        yield received
        signals = CounterMetricFamily(
            f"{_PREFIX}strategy_signals", "Orders made", labels=("strategy", "symbol", "side")
        )
        for (symbol, side), count in host.signals.items():
            signals.add_metric((self._strategy, symbol, side), count)
        yield signals
        errors = CounterMetricFamily(
            f"{_PREFIX}strategy_errors", "Raised by the strategy", labels=("strategy", "type")
        )
        for kind, count in host.guard.errors.items():
            errors.add_metric((self._strategy, kind), count)
        yield errors
        dropped = CounterMetricFamily(
            f"{_PREFIX}market_data_dropped", "Messages refused", labels=("reason",)
        )
        for reason, count in host.dropped.items():
            dropped.add_metric((reason,), count)
        yield dropped

    def _gauges(self) -> Iterator[Metric]:
        runner = self._runner
        armed = GaugeMetricFamily(f"{_PREFIX}active_strategies", "1 while this one decides")
        armed.add_metric((), runner.replica.phase is Phase.ARMED)
        yield armed
        position = GaugeMetricFamily(
            "strategy_position", "Settled, signed", labels=("strategy", "symbol")
        )
        for symbol, quantity in runner.host.seat.account.positions().items():
            position.add_metric((self._strategy, symbol), float(quantity))
        yield position
        own = GaugeMetricFamily(
            "strategy_metric", "The strategy's own figures", labels=("strategy", "name")
        )
        for name, value in list(runner.host.metrics().items())[:_MOST_OWN]:
            own.add_metric((self._strategy, name), value)
        yield own
