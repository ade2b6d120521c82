"""The feed's figures, made into Prometheus families when somebody scrapes."""

from collections.abc import Iterable

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from market_feed.replay import Replay

_PREFIX = "strategy_engine_"


def page(replay: Replay) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(replay))
    registry.register(PROCESS_COLLECTOR)
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def collect(self) -> Iterable[Metric]:
        report = self._replay.report()
        published = CounterMetricFamily(
            f"{_PREFIX}market_data_published", "Messages published", labels=("symbol", "type")
        )
        for name, stream in report.streams.items():
            symbol, _, kind = name.rpartition("/")
            published.add_metric((symbol, kind), stream.count)
        yield published
        bad = CounterMetricFamily(f"{_PREFIX}feed_bad_rows", "Rows left out", labels=("file",))
        for file, count in report.bad_rows.items():
            bad.add_metric((file,), count)
        yield bad
        yield CounterMetricFamily(
            f"{_PREFIX}feed_sent_again", "Messages sent again after a loss", report.sent_again
        )
        yield CounterMetricFamily(
            f"{_PREFIX}feed_sessions", "Sessions begun after the first", report.restarts
        )
        present = sum(not consumer.left for consumer in report.consumers.values())
        yield GaugeMetricFamily(f"{_PREFIX}feed_consumers", "Consumers waited for", present)
        yield GaugeMetricFamily(f"{_PREFIX}feed_lap", "Times begun again", self._replay.laps.lap)
        yield GaugeMetricFamily(
            f"{_PREFIX}feed_lead", "Messages that the slowest has not processed", self._replay.lead
        )
