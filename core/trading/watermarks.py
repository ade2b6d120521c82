"""Watermarks: what daily loss and drawdown are measured from."""

from collections.abc import Sequence
from decimal import Decimal, localcontext

from trading.days import DAY_NS, UTC_DAYS, Days
from trading.money import EXACT
from trading.values import value

_ZERO = Decimal(0)


@value(frozen=True, slots=True)
class Watermarks:
    """Journal it: it cannot be had from fills."""

    day: int  # in which it began, since 1970, UTC
    day_start: Decimal  # equity when the day began: the last that was known of the days before
    peak: Decimal  # of equity, capital included
    equity: Decimal  # the last that was known
    began_ns: int = 0  # when the day was first seen; 0: an older gateway, which had UTC's only
    currency: str = ""  # the desk's; empty: it did not say, and everything counted as one

    @classmethod
    def begun(cls, equity: Decimal, now_ns: int, currency: str = "") -> "Watermarks":
        return cls(now_ns // DAY_NS, equity, equity, equity, now_ns, currency)

    @classmethod
    def together(
        cls, several: Sequence["Watermarks"], days: Days = UTC_DAYS
    ) -> "Watermarks | None":
        """Of their sum, in one currency. Its peak was never seen: it begins anew."""
        if not several:
            return None
        latest = max(several, key=lambda each: each._began_ns)
        day = days.of(latest._began_ns)
        with localcontext(EXACT):
            started = (
                each.day_start if days.of(each._began_ns) == day else each.equity
                for each in several
            )
            day_start = sum(started, _ZERO)
            equity = sum((each.equity for each in several), _ZERO)
        peak = max(day_start, equity)
        return cls(latest.day, day_start, peak, equity, latest.began_ns, latest.currency)

    def after(self, equity: Decimal, now_ns: int, days: Days = UTC_DAYS) -> "Watermarks":
        """A time that goes back to an earlier day stays in the day it came from."""
        began = days.of(now_ns) > days.of(self._began_ns)
        if not began and equity == self.equity:
            return self
        return Watermarks(
            now_ns // DAY_NS if began else self.day,
            self.equity if began else self.day_start,
            max(self.peak, equity),
            equity,
            now_ns if began else self.began_ns,
            self.currency,
        )

    def shifted(self, paid_in: Decimal) -> "Watermarks":
        """The same gains and losses, on other capital."""
        return Watermarks(
            self.day,
            EXACT.add(self.day_start, paid_in),
            EXACT.add(self.peak, paid_in),
            EXACT.add(self.equity, paid_in),
            self.began_ns,
            self.currency,
        )

    @property
    def _began_ns(self) -> int:
        return self.began_ns or self.day * DAY_NS
