"""Prospects: what past returns say of positions as they could become.

The order that is judged counts as filled, whatever else is at work in the worst way. All of it
follows from positions, orders and samples, which are journalled. What is unknown is told apart from
what is nothing: `amount` and `most` are None where there are too few samples.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from trading.correlation import Series, correlation, standardised, won
from trading.instruments import Instrument
from trading.samples import Returns, Samples
from trading.sampling import Sampling
from trading.value_at_risk import Ends, losses, value_at_risk

_DEFAULT = Sampling()
_SHOWN = 5  # symbols in a message
_WRITTEN = " sampling"  # no name of a strategy


class Line(Protocol):
    """One symbol of one strategy, or of several: what it could come to."""

    @property
    def longest(self) -> Decimal: ...

    @property
    def shortest(self) -> Decimal: ...


Lines = Mapping[str, Line]


@dataclass(frozen=True, slots=True)
class Change:
    """What an order would do to a position."""

    symbol: str
    quantity: Decimal  # less than 0: sold


@dataclass(frozen=True, slots=True)
class Basis:
    """What a number rests on."""

    symbols: str
    found: int  # samples
    needed: int
    interval_s: int

    @property
    def is_enough(self) -> bool:
        return self.found >= self.needed


@dataclass(frozen=True, slots=True)
class ValueAtRisk:
    amount: Decimal | None
    confidence: Decimal
    basis: Basis


@dataclass(frozen=True, slots=True)
class Correlation:
    """With the strategy of which it is the largest; nobody else holds anything: none."""

    most: Decimal | None
    other: str
    basis: Basis


class Prospects:
    """Mutable; one for a desk."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.samples = Samples()
        self.sampling = _DEFAULT
        self.sample_each: Callable[[int], None] = _no_one
        self._instruments = instruments
        self._askers: set[str] = set()
        self._losses: dict[str, tuple[Returns, Mapping[str, Ends], list[float]]] = {}
        self._stakes_of: dict[str, tuple[Lines, Mapping[str, Ends]]] = {}
        self._series: dict[str, tuple[Returns, Mapping[str, Ends], list[Series | None]]] = {}

    # ---- whether anybody asks

    def obey(self, written: Sampling | None) -> None:
        """What policies write; who writes it has samples made before any limit asks for them."""
        self.sampling = written or _DEFAULT
        self.ask(_WRITTEN, asks=written is not None)

    def ask(self, who: str, *, asks: bool) -> None:
        """Samples are made while anybody asks."""
        if asks:
            self._askers.add(who)
        else:
            self._askers.discard(who)
        self.sample_each(self.sampling.interval_s if self._askers else 0)

    # ---- value at risk

    def value_at_risk(self, who: str, lines: Lines, change: Change, now_ns: int) -> ValueAtRisk:
        """Of these lines, once the order is filled; `who` has them."""
        stakes = self._stakes(lines, change)
        returns, basis = self._returns(stakes, now_ns)
        amount = self._at_risk(who, stakes, change.symbol, returns) if basis.is_enough else None
        return ValueAtRisk(amount, self.sampling.confidence, basis)

    def _at_risk(
        self, who: str, stakes: Mapping[str, Ends], symbol: str, returns: Returns
    ) -> Decimal:
        if not stakes:
            return Decimal(0)
        judged = {symbol: stakes[symbol]} if symbol in stakes else {}
        others = {name: ends for name, ends in stakes.items() if name != symbol}
        lost = self._lost_by(who, others, returns)
        if judged:
            lost = losses(judged, returns.changes, lost)
        return _rounded(value_at_risk(lost, self.sampling.confidence))

    def _lost_by(self, who: str, stakes: Mapping[str, Ends], returns: Returns) -> list[float]:
        """Kept while these and the returns stay: what moves is mostly the symbol that is judged."""
        known = self._losses.get(who)
        if known is None or known[0] is not returns or known[1] != stakes:
            found = losses(stakes, returns.changes, [0.0] * returns.found)
            known = self._losses[who] = (returns, stakes, found)
        return known[2]

    # ---- correlation

    def correlation(
        self,
        lines: Lines,
        change: Change,
        others: Mapping[str, Lines],
        now_ns: int,
    ) -> Correlation:
        """The largest of the strategy's, once the order is filled, with any of the others."""
        own = self._stakes(lines, change)
        held = {name: held for name, each in others.items() if (held := self._held(name, each))}
        if not own or not held:
            return Correlation(Decimal(0), "", self._basis({}, self.sampling.samples))
        symbols = dict.fromkeys(symbol for each in (own, *held.values()) for symbol in each)
        returns, basis = self._returns(symbols, now_ns)
        if not basis.is_enough:
            return Correlation(None, "", basis)
        mine = _both_ends(own, returns)
        theirs = ((name, self._series_of(name, stakes, returns)) for name, stakes in held.items())
        found = [(_largest(mine, each), name) for name, each in theirs]
        unknown = next((name for most, name in found if most is None), "")
        if unknown:
            return Correlation(None, unknown, basis)
        most, other = max((most, name) for most, name in found if most is not None)
        return Correlation(_rounded(most), other, basis)

    def _series_of(
        self, name: str, stakes: Mapping[str, Ends], returns: Returns
    ) -> list[Series | None]:
        known = self._series.get(name)
        if known is None or known[0] is not returns or known[1] != stakes:
            known = self._series[name] = (returns, stakes, _both_ends(stakes, returns))
        return known[2]

    def _held(self, name: str, lines: Lines) -> Mapping[str, Ends]:
        """Kept while nothing of it moves: there may be many others."""
        known = self._stakes_of.get(name)
        if known is None or known[0] is not lines:
            known = self._stakes_of[name] = (lines, self._stakes(lines))
        return known[1]

    # ---- what both rest on

    def _stakes(self, lines: Lines, change: Change | None = None) -> dict[str, Ends]:
        """In units of one, of what is not nothing, by name: sums of floats have an order."""
        ends = {name: (line.longest, line.shortest) for name, line in lines.items()}
        if change is not None:
            longest, shortest = ends.get(change.symbol, (Decimal(0), Decimal(0)))
            ends[change.symbol] = longest + change.quantity, shortest + change.quantity
        return {name: self._ends(name, *ends[name]) for name in sorted(ends) if any(ends[name])}

    def _ends(self, symbol: str, longest: Decimal, shortest: Decimal) -> Ends:
        instrument = self._instruments.get(symbol)
        multiplier = float(instrument.contract_multiplier) if instrument else 1.0
        return float(longest) * multiplier, float(shortest) * multiplier

    def _returns(self, symbols: Iterable[str], now_ns: int) -> tuple[Returns, Basis]:
        names, needed = tuple(sorted(symbols)), self.sampling.samples
        if not names:
            return Returns(needed), self._basis(names, needed)
        if not self.samples.are_each(self.sampling.interval_s):
            return Returns(0), self._basis(names, 0)  # of another interval they say nothing
        returns = self.samples.returns(names, now_ns, needed)
        return returns, self._basis(names, returns.found)

    def _basis(self, symbols: Iterable[str], found: int) -> Basis:
        names = sorted(symbols)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = ", ".join(names[:_SHOWN]) + more
        return Basis(shown, found, self.sampling.samples, self.sampling.interval_s)


def _both_ends(stakes: Mapping[str, Ends], returns: Returns) -> list[Series | None]:
    """As it would be if all that works were bought, and sold; once, where that is the same."""
    ends = dict.fromkeys(
        tuple((name, each[end]) for name, each in stakes.items()) for end in (0, 1)
    )
    series = (dict(each) for each in ends if any(stake for _, stake in each))
    return [standardised(won(each, returns.changes, returns.found)) for each in series]


def _largest(ones: list[Series | None], others: list[Series | None]) -> float | None:
    """None when one of them does not vary, so that nobody can know."""
    found = [_correlation(one, other) for one in ones for other in others]
    known = [each for each in found if each is not None]
    return max(known) if len(known) == len(found) and known else None


def _correlation(one: Series | None, other: Series | None) -> float | None:
    return None if one is None or other is None else correlation(one, other)


def _no_one(_: int) -> None:
    """Makes samples."""


def _rounded(number: float) -> Decimal:
    """To what a float is sure of."""
    return Decimal(f"{number:.12g}")
