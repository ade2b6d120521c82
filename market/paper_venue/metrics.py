"""The venue's figures: counted in plain slots, made into Prometheus families at a scrape."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from market_data import Intake
from paper_venue.book import Book
from paper_venue.orders import Fill, Order
from paper_venue.publisher import Publisher

Labels = TypeVar("Labels", bound=tuple[str, ...])

_PREFIX = "strategy_engine_"


@dataclass(slots=True)
class Counts:
    """Of this life of the process, with the book that it goes on with."""

    book: Book
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)  # state, reason
    fills: Counter[tuple[str, str]] = field(default_factory=Counter)  # symbol, side

    def note(self, order: Order, fills: tuple[Fill, ...]) -> None:
        """Of what the venue records."""
        if not order.is_open:
            self.ended[order.state.value.lower(), (order.reason or "").lower()] += 1
        if fills:
            self.fills[order.request.symbol, order.request.side.value] += len(fills)


class Figures(Collector):
    def __init__(self, counts: Counts, intake: Intake, publisher: Publisher) -> None:
        self._counts = counts
        self._intake = intake
        self._publisher = publisher

    def page(self) -> bytes:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        registry.register(PROCESS_COLLECTOR)
        return generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        yield _counter("venue_orders_ended", ("state", "reason"), self._counts.ended)
        yield _counter("venue_fills", ("symbol", "side"), self._counts.fills)
        yield _counter("market_data_received", ("symbol", "type"), self._intake.accepted)
        dropped = {(reason,): count for reason, count in self._intake.dropped.items()}
        yield _counter("market_data_dropped", ("reason",), dropped)
        yield CounterMetricFamily(
            f"{_PREFIX}venue_fills_published", "Fills that NATS has", self._publisher.published
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}venue_open_orders", "Orders that may fill yet", self._counts.book.open_count
        )


_TEXTS = {
    "venue_orders_ended": "Orders filled, cancelled, rejected",
    "venue_fills": "Fills made",
    "market_data_received": "Messages taken",
    "market_data_dropped": "Messages refused",
}


def _counter(
    name: str, labels: tuple[str, ...], values: Mapping[Labels, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(_PREFIX + name, _TEXTS[name], labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
