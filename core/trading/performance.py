"""Performance figures, from a series of equity and from closed trades.

None where a figure has no meaning: no losses to divide by, no spread, too few values. Ratios are
per period of the series unless `periods` (per year, say) is given. They describe, they are not
booked: means and deviations are floats.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Drawdown:
    amount: Decimal = _ZERO  # from the peak down
    fraction: Decimal | None = _ZERO  # of that peak; None where the peak is not above zero


@dataclass(frozen=True, slots=True)
class Performance:
    total_return: Decimal | None
    drawdown: Drawdown  # where the series ends
    max_drawdown: Drawdown
    sharpe: float | None
    sortino: float | None
    trades: int
    hit_rate: Decimal | None
    profit_factor: Decimal | None
    turnover: Decimal | None


def performance(
    equity: Sequence[Decimal],
    trades: Sequence[Decimal] = (),
    traded: Iterable[Decimal] = (),
    periods: float = 1.0,
) -> Performance:
    """`trades`: realised P&L of each closed trade; `traded`: notional of each fill."""
    changes = returns(equity)
    return Performance(
        total_return=total_return(equity),
        drawdown=drawdown(equity),
        max_drawdown=max_drawdown(equity),
        sharpe=sharpe(changes, periods),
        sortino=sortino(changes, periods),
        trades=len(trades),
        hit_rate=hit_rate(trades),
        profit_factor=profit_factor(trades),
        turnover=turnover(traded, equity),
    )


def total_return(equity: Sequence[Decimal]) -> Decimal | None:
    """Last over first, less one."""
    if not equity or equity[0] <= 0:
        return None
    return equity[-1] / equity[0] - 1


def returns(equity: Sequence[Decimal]) -> list[float]:
    """Simple returns from one value to the next; one after a value of zero or less is left out."""
    return [float(after / before - 1) for before, after in pairwise(equity) if before > 0]


def drawdown(equity: Sequence[Decimal]) -> Drawdown:
    """From the highest value so far to the last one."""
    return _drawdown(max(equity), equity[-1]) if equity else Drawdown()


def max_drawdown(equity: Sequence[Decimal]) -> Drawdown:
    """The deepest fall below a peak, by amount (Magdon-Ismail and Atiya, 2004)."""
    deepest = Drawdown()
    peak = equity[0] if equity else _ZERO
    for value in equity:
        peak = max(peak, value)
        if peak - value > deepest.amount:
            deepest = _drawdown(peak, value)
    return deepest


def sharpe(changes: Sequence[float], periods: float = 1.0, risk_free: float = 0.0) -> float | None:
    """Mean excess return over its sample standard deviation, times sqrt(periods).

    Sharpe, W. F., "The Sharpe Ratio", Journal of Portfolio Management 21 (1994).
    """
    if len(changes) < 2:
        return None
    deviation = stdev(changes)
    return (fmean(changes) - risk_free) / deviation * sqrt(periods) if deviation else None


def sortino(changes: Sequence[float], periods: float = 1.0, target: float = 0.0) -> float | None:
    """Mean return above `target` over the downside deviation, times sqrt(periods).

    The downside deviation is the root of the mean of squared shortfalls over all values, those
    without one included. Sortino, F. and van der Meer, R., "Downside Risk", ibid. 17 (1991).
    """
    if len(changes) < 2:
        return None
    downside = sqrt(fmean(min(0.0, change - target) ** 2 for change in changes))
    return (fmean(changes) - target) / downside * sqrt(periods) if downside else None


def hit_rate(trades: Sequence[Decimal]) -> Decimal | None:
    """The share of closed trades that gained; one that ended even did not."""
    if not trades:
        return None
    return Decimal(sum(trade > 0 for trade in trades)) / len(trades)


def profit_factor(trades: Sequence[Decimal]) -> Decimal | None:
    """Sum of gains over sum of losses; None without a loss."""
    gained = sum((trade for trade in trades if trade > 0), _ZERO)
    lost = -sum((trade for trade in trades if trade < 0), _ZERO)
    return gained / lost if lost else None


def turnover(traded: Iterable[Decimal], equity: Sequence[Decimal]) -> Decimal | None:
    """Notional traded over mean equity."""
    if not equity:
        return None
    mean = sum(equity, _ZERO) / len(equity)
    return sum(traded, _ZERO) / mean if mean > 0 else None


def _drawdown(peak: Decimal, value: Decimal) -> Drawdown:
    return Drawdown(peak - value, (peak - value) / peak if peak > 0 else None)
