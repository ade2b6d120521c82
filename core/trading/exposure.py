"""Exposure: what positions could come to be worth if everything at work were filled.

The worst case of each symbol, at the mid: of what may be bought and what may be sold, both may
happen, or only one of them.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from trading.values import value

_ZERO = Decimal(0)


@value(frozen=True, slots=True)
class Stake:
    """One symbol: how long and how short it could become, in units, and what a unit is worth."""

    longest: Decimal  # the position and every buy at work; less than 0: short all the same
    shortest: Decimal  # the position without every sell at work
    unit: Decimal

    @property
    def worst(self) -> Decimal:
        return max(abs(self.longest), abs(self.shortest)) * self.unit


@value(frozen=True, slots=True)
class Exposure:
    """In the currency of the capital."""

    gross: Decimal
    net: Decimal  # of long and short, the one that could become larger
    symbol: Decimal  # of the symbol that is judged


class Staked(Protocol):
    """A Stake, or several added up, of which each has its own worst case."""

    @property
    def longest(self) -> Decimal: ...

    @property
    def shortest(self) -> Decimal: ...

    @property
    def unit(self) -> Decimal: ...

    @property
    def worst(self) -> Decimal: ...


def exposure(judged: Staked, others: Iterable[Staked]) -> Exposure:
    gross = judged.worst
    longest, shortest = judged.longest * judged.unit, judged.shortest * judged.unit
    for stake in others:
        gross += stake.worst
        longest += stake.longest * stake.unit
        shortest += stake.shortest * stake.unit
    return Exposure(gross, max(longest, -shortest, _ZERO), judged.worst)
