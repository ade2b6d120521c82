"""Samples: what each symbol was worth at the ends of fixed intervals of the desk's clock.

A sample has the mids of the symbols that had a price within its interval: a feed that is silent
makes none. A return is the change between two samples one interval apart, so nothing is made up
where samples are missing. Floats: returns are statistics, no books.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trading.market import Quote
from trading.rates import SECOND_NS
from trading.sampling import MOST_SAMPLES

# Kept at least: more than anybody asks for, as a cause may lie some intervals back.
KEPT = MOST_SAMPLES + 48
_ANSWERS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """Journal it: it cannot be had from anything else there."""

    at_ns: int  # the end of its interval
    interval_s: int
    mids: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Returns:
    """The newest returns that all of its symbols have, oldest first.

    `changes`: what one unit of each would have won by each of them, at its newest mid; empty when
    there are fewer than were asked for.
    """

    found: int
    changes: Mapping[str, list[float]] = field(default_factory=dict)


class Sampler:
    """From quotes to samples. Mutable; fed with each message in its order of arrival."""

    def __init__(self, take: Callable[[Sample], None]) -> None:
        self.interval_s = 0  # none are made
        self._take = take
        self._interval_ns = 0
        self._turn: int | None = None  # the number of the interval that is under way
        self._mids: dict[str, float] = {}

    def obey(self, interval_s: int) -> None:
        if interval_s != self.interval_s:
            self.interval_s, self._interval_ns = interval_s, interval_s * SECOND_NS
            self._turn = None
            self._mids = {}

    def see(self, at_ns: int, quote: Quote | None) -> None:
        """A message that arrived at that time; one without a quote moves the clock on all the
        same, so that what a cause finds does not depend on when it is judged."""
        turn = at_ns // self._interval_ns
        if turn != self._turn:
            self._turn_to(turn)
        if quote is None:
            return
        if 0 < quote.bid_price <= quote.ask_price:
            self._mids[quote.symbol] = (quote.bid_price + quote.ask_price) / 2
        else:
            self._mids.pop(quote.symbol, None)

    def _turn_to(self, turn: int) -> None:
        """One interval back is out of order; further back, the time was set back."""
        before = self._turn
        if before is not None and turn == before - 1:
            return
        if before is not None and turn > before and self._mids:
            self._take(Sample((before + 1) * self._interval_ns, self.interval_s, self._mids))
        self._mids = {}
        self._turn = turn


class Samples:
    """Those that are kept: at most twice KEPT, whatever is asked for. Mutable."""

    def __init__(self) -> None:
        self.kept: list[Sample] = []
        self._times: list[int] = []
        self._asked: dict[tuple[int, tuple[str, ...], int], Returns] = {}

    def take(self, sample: Sample) -> None:
        """Where time was set back, or the interval is another one, what does not fit is gone."""
        if self.kept and self.kept[-1].interval_s != sample.interval_s:
            self._keep([])
        if self._times and self._times[-1] >= sample.at_ns:
            self._keep(self.kept[: bisect_right(self._times, sample.at_ns - 1)])
        if len(self.kept) >= 2 * KEPT:  # in one go: a shift per sample would cost more
            self._keep(self.kept[-KEPT + 1 :])
        self.kept.append(sample)
        self._times.append(sample.at_ns)
        self._asked.clear()

    def are_each(self, interval_s: int) -> bool:
        return bool(self.kept) and self.kept[-1].interval_s == interval_s

    def _keep(self, kept: list[Sample]) -> None:
        self.kept, self._times = kept, [each.at_ns for each in kept]

    def returns(self, symbols: tuple[str, ...], at_ns: int, count: int) -> Returns:
        """As of that time, later samples do not count. Empty when the newest is not of the last
        two intervals, or lacks one of the symbols: what went silent is no longer known."""
        end = bisect_right(self._times, at_ns)
        if not end or not self._is_recent(self.kept[end - 1], symbols, at_ns):
            return Returns(0)
        key = (end, symbols, count)
        returns = self._asked.get(key)
        if returns is None:
            if len(self._asked) >= _ANSWERS_KEPT:
                self._asked.clear()
            returns = self._asked[key] = self._returns(symbols, end, count)
        return returns

    def _is_recent(self, newest: Sample, symbols: tuple[str, ...], at_ns: int) -> bool:
        is_young = at_ns - newest.at_ns < 2 * newest.interval_s * SECOND_NS
        return is_young and all(symbol in newest.mids for symbol in symbols)

    def _returns(self, symbols: tuple[str, ...], end: int, count: int) -> Returns:
        places = self._places(symbols, end, count)
        if len(places) < count:
            return Returns(len(places))
        worth = self.kept[end - 1].mids
        return Returns(count, {each: self._changes(each, places, worth[each]) for each in symbols})

    def _places(self, symbols: tuple[str, ...], end: int, count: int) -> list[int]:
        """Of the newest samples in which all of them have a return, oldest first."""
        found: list[int] = []
        for place in range(end - 1, 0, -1):
            if len(found) == count:
                break
            before, now = self.kept[place - 1], self.kept[place]
            follows = now.at_ns - before.at_ns == now.interval_s * SECOND_NS
            if follows and all(each in now.mids and each in before.mids for each in symbols):
                found.append(place)
        found.reverse()
        return found

    def _changes(self, symbol: str, places: list[int], worth: float) -> list[float]:
        kept = self.kept
        return [worth * (kept[p].mids[symbol] / kept[p - 1].mids[symbol] - 1.0) for p in places]
