"""What somebody may have to be called for, as gauges; the chart's alerts rest on them.

What stands at rest has no series, but for what is counted or is an age.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

_PREFIX = "strategy_engine_"


@dataclass(frozen=True, slots=True)
class Concerns:
    standings: Collection[tuple[str, str]] = ()  # scope, standing; of what is not active
    handing_over: Collection[str] = ()  # strategies whose armed revision is not the one to be
    orders_unknown: Mapping[str, int] = field(default_factory=dict)  # by strategy
    feed_age_s: float | None = None  # infinite without a link; None: there is no feed to follow
    journal_stuck_s: float = 0.0
    least_free_bytes: int | None = None  # None: the disk is a database's


def gauges(concerns: Concerns) -> Iterable[Metric]:
    text = "1: the scope has this standing, and is not active"
    yield _marked("standings", text, ("scope", "standing"), concerns.standings)
    text = "1: another revision should run than the armed one"
    names = [(name,) for name in concerns.handing_over]
    yield _marked("handing_over", text, ("strategy",), names)
    unknown = GaugeMetricFamily(
        f"{_PREFIX}orders_unknown", "That no answer told of", labels=("strategy",)
    )
    for strategy, count in concerns.orders_unknown.items():
        unknown.add_metric((strategy,), count)
    yield unknown
    yield from _levels(concerns)


def _levels(concerns: Concerns) -> Iterable[Metric]:
    for name, text, value in (
        ("feed_age_seconds", "Since the feed was heard of", concerns.feed_age_s),
        ("journal_stuck_seconds", "Of waiting for its disk", concerns.journal_stuck_s),
        ("journal_least_free_bytes", "Below it nothing opens", concerns.least_free_bytes),
    ):
        if value is not None:
            yield GaugeMetricFamily(_PREFIX + name, text, value)


def _marked(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[str, ...]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for each in values:
        family.add_metric(each, 1)
    return family
