"""What a slow reading of decision 0012 makes of the messages that were heard: samples, and what
past returns say of positions as they could become.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from math import fsum, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import model_pools
from trading.signals import Side

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact
    from model_verdict import Asked

SECOND_NS = 10**9
ENDLESS = Decimal("Infinity")
LIMITS = ("max_value_at_risk", "max_correlation")
_TOGETHER = " together"  # no name of a strategy
Ends = Mapping[str, tuple[float, float]]  # by symbol: all bought, all sold
Series = Sequence[float]


class Sampling(NamedTuple):
    interval_s: int = 60
    samples: int = 250
    confidence: Decimal = Decimal("0.99")


class Sample(NamedTuple):
    at_ns: int
    interval_s: int
    mids: Mapping[str, float]


def sampling(policies: Mapping[str, Mapping[str, Any]]) -> Sampling | None:
    """The strictest of each; None: nobody writes one."""
    desks = [each.get("desk", {}) for each in policies.values()]
    written = [each["sampling"] for each in desks if "sampling" in each]
    if not written:
        return None
    usual = Sampling()
    return Sampling(
        max(each.get("intervalSeconds", usual.interval_s) for each in written),
        max(each.get("samples", usual.samples) for each in written),
        max(Decimal(str(each.get("confidence", usual.confidence))) for each in written),
    )


def samples(model: "DeskModel") -> list[Sample]:
    """All that are kept, by going through everything once more."""
    kept: list[Sample] = []
    asking: set[str] = set()
    under_way = _Interval()
    for fact, changed, reading in model_pools.history(model):
        if fact["is"] == "restarted":
            under_way = _Interval(under_way.seconds)
        elif fact["is"] == "message" and under_way.seconds:
            at_ns = fact["at_ns"] if model.market_clock else fact["wall_ns"]
            _hear(kept, under_way, fact, at_ns // SECOND_NS // under_way.seconds)
        elif fact["is"] == "terms":
            _ask(asking, fact["strategy"], fact["terms"]["limits"])
            under_way = under_way.obey(_interval_s(reading, asking))
        for each in changed:
            written = {
                name: most for of_one in each.bounds.values() for name, most in of_one.items()
            }
            _ask(asking, _TOGETHER, written)
            under_way = under_way.obey(_interval_s(each, asking))
    return kept


def _ask(asking: set[str], who: str, limits: Mapping[str, Decimal]) -> None:
    asking.discard(who)
    if any(limits.get(name, ENDLESS) != ENDLESS for name in LIMITS):
        asking.add(who)


def _interval_s(reading: model_pools.Reading, asking: set[str]) -> int:
    """0: nobody asks."""
    written = sampling(reading.in_force)
    return (written or Sampling()).interval_s if written or asking else 0


@dataclass
class _Interval:
    """The one under way."""

    seconds: int = 0  # none are made
    number: int = 0
    mids: dict[str, float] = field(default_factory=dict)

    def obey(self, seconds: int) -> "_Interval":
        return self if seconds == self.seconds else _Interval(seconds)


def _hear(kept: list[Sample], under_way: _Interval, fact: "Fact", number: int) -> None:
    """A message of one interval back is out of order; of one further back, time was set back."""
    before, seconds = under_way.number, under_way.seconds
    if number not in (before, before - 1):
        if before and number > before and under_way.mids:
            _keep(kept, Sample((before + 1) * seconds * SECOND_NS, seconds, under_way.mids))
        under_way.number, under_way.mids = number, {}
    if fact["price"]:
        under_way.mids[fact["symbol"]] = float(sum(fact["price"]) / 2)


def _keep(kept: list[Sample], sample: Sample) -> None:
    """Of another interval, or of a time that comes again: gone."""
    same = [each for each in kept if each.interval_s == sample.interval_s]
    kept[:] = [*(each for each in same if each.at_ns < sample.at_ns), sample]


# ---- what they say


def changes(asked: "Asked", symbols: Sequence[str]) -> dict[str, list[float]] | None:
    """What one of each would have won, by scenario; None: too few are known."""
    model = asked.model
    wanted = sampling(model.in_force(model.policies())) or Sampling()
    kept = samples(model)
    if not kept or kept[-1].interval_s != wanted.interval_s:
        return None
    step_ns = wanted.interval_s * SECOND_NS
    kept = [each for each in kept if each.at_ns <= asked.now_ns]
    young = kept and asked.now_ns - kept[-1].at_ns < 2 * step_ns
    if not young or not all(each in kept[-1].mids for each in symbols):
        return None
    pairs = [
        (before.mids, after.mids)
        for before, after in itertools.pairwise(kept)
        if after.at_ns - before.at_ns == step_ns
        and all(each in before.mids and each in after.mids for each in symbols)
    ][-wanted.samples :]
    if len(pairs) < wanted.samples:
        return None
    worth = kept[-1].mids
    return {
        each: [worth[each] * (after[each] / before[each] - 1) for before, after in pairs]
        for each in symbols
    }


def ends(asked: "Asked", strategy: str) -> Ends:
    """What a strategy could come to hold; who asks, with the order filled."""
    model, signal, found = asked.model, asked.signal, {}
    own = strategy == asked.strategy
    for symbol in sorted(model.symbols_at_stake(strategy) | ({signal.symbol} if own else set())):
        order = asked.quantity * asked.sign if own and symbol == signal.symbol else Decimal(0)
        held = model.position(strategy, symbol) + order
        longest = held + model.reserved(strategy, symbol, Side.BUY)
        shortest = held - model.reserved(strategy, symbol, Side.SELL)
        if longest or shortest:
            multiplier = float(model.multiplier(symbol))
            found[symbol] = float(longest) * multiplier, float(shortest) * multiplier
    return found


def value_at_risk(asked: "Asked") -> str | None:
    if asked.currencies:
        return "no_rate"  # how rates moved with prices nobody knows
    stakes = ends(asked, asked.strategy)
    return beyond_value_at_risk(asked, stakes, asked.limit("max_value_at_risk"))


def beyond_value_at_risk(asked: "Asked", stakes: Ends, most: Decimal) -> str | None:
    moved = changes(asked, sorted(stakes)) if stakes else {}
    if moved is None:
        return "too_few_samples"
    if not stakes:
        return None
    losses = sorted(
        sum(max(-end * each for end in stakes[symbol]) for symbol, each in by.items())
        for by in _scenarios(moved)
    )
    wanted = sampling(asked.model.in_force(asked.model.policies())) or Sampling()
    place = int((wanted.confidence * len(losses)).to_integral_value(ROUND_CEILING))
    return "max_value_at_risk" if Decimal(f"{losses[place - 1]:.12g}") > most else None


def _scenarios(moved: Mapping[str, Series]) -> list[dict[str, float]]:
    return [dict(zip(moved, each, strict=True)) for each in zip(*moved.values(), strict=True)]


def correlation(asked: "Asked") -> str | None:
    if asked.currencies:
        return "no_rate"
    return beyond_correlation(asked, asked.model.strategies(), asked.limit("max_correlation"))


def beyond_correlation(asked: "Asked", names: Iterable[str], most: Decimal) -> str | None:
    own = ends(asked, asked.strategy)
    others = [ends(asked, name) for name in names if name != asked.strategy]
    others = [each for each in others if each]
    if not own or not others:
        return None
    moved = changes(asked, sorted({symbol for each in (own, *others) for symbol in each}))
    if moved is None:
        return "too_few_samples"
    found = [
        _pearson(one, other)
        for each in others
        for one in _won(own, moved)
        for other in _won(each, moved)
    ]
    unknown_or_more = any(each is None or Decimal(f"{each:.12g}") > most for each in found)
    return "max_correlation" if unknown_or_more else None


def _won(stakes: Ends, moved: Mapping[str, Series]) -> list[Series]:
    """If all that works were bought, and sold."""
    either = [{symbol: each[end] for symbol, each in stakes.items()} for end in (0, 1)]
    return [
        [fsum(stake * by[symbol] for symbol, stake in held.items()) for by in _scenarios(moved)]
        for held in either
        if any(held.values())
    ]


def _pearson(one: Series, other: Series) -> float | None:
    """None: one of them does not vary."""
    if len(set(one)) == 1 or len(set(other)) == 1:
        return None
    means = fsum(one) / len(one), fsum(other) / len(other)
    x, y = ([each - mean for each in s] for s, mean in zip((one, other), means, strict=True))
    together = fsum(a * b for a, b in zip(x, y, strict=True))
    return together / sqrt(fsum(a * a for a in x)) / sqrt(fsum(b * b for b in y))
