"""Watermarks: what daily loss and drawdown are measured from."""

from collections.abc import Sequence
from decimal import Decimal, localcontext

from trading.money import EXACT
from trading.rates import SECOND_NS
from trading.values import value

DAY_NS = 86_400 * SECOND_NS
_ZERO = Decimal(0)


@value(frozen=True, slots=True)
class Watermarks:
    """Journal it: it cannot be had from fills."""

    day: int  # since 1970, UTC
    day_start: Decimal  # equity when the day began: the last that was known of the days before
    peak: Decimal  # of equity, capital included
    equity: Decimal  # the last that was known

    @classmethod
    def begun(cls, equity: Decimal, now_ns: int) -> "Watermarks":
        return cls(now_ns // DAY_NS, equity, equity, equity)

    @classmethod
    def together(cls, several: Sequence["Watermarks"]) -> "Watermarks | None":
        """Of the sum of these equities. Its peak was never seen: it begins anew."""
        if not several:
            return None
        day = max(each.day for each in several)
        with localcontext(EXACT):
            started = (each.day_start if each.day == day else each.equity for each in several)
            day_start = sum(started, _ZERO)
            equity = sum((each.equity for each in several), _ZERO)
        return cls(day, day_start, max(day_start, equity), equity)

    def after(self, equity: Decimal, now_ns: int) -> "Watermarks":
        """A time that goes back to an earlier day stays in the day it came from."""
        day = now_ns // DAY_NS
        began = day > self.day
        if not began and equity == self.equity:
            return self
        return Watermarks(
            day if began else self.day,
            self.equity if began else self.day_start,
            max(self.peak, equity),
            equity,
        )

    def shifted(self, paid_in: Decimal) -> "Watermarks":
        """The same gains and losses, on other capital."""
        return Watermarks(
            self.day,
            EXACT.add(self.day_start, paid_in),
            EXACT.add(self.peak, paid_in),
            EXACT.add(self.equity, paid_in),
        )
