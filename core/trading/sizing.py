"""Sizing: how large a position may be that a strategy intends, as a share of its equity.

Pure. A size is never more than the cap's share of equity, and never more for less confidence. What
a method needs and does not know is a refusal that names it, not a guess.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from enum import StrEnum
from itertools import pairwise
from math import isfinite, log, sqrt
from statistics import stdev

from trading.instruments import Instrument
from trading.money import EXACT
from trading.reasons import Reason
from trading.risk import Rejection

YEAR_S = 365 * 86_400  # these markets do not close
DEFAULT_STEP_S = 60
DEFAULT_RETURNS = 60
_ZERO, _ONE = Decimal(0), Decimal(1)
_FINEST = Decimal("0.000000001")  # of a share: products stay exact
_LARGEST = Decimal(10) ** 9  # share
_MOST_LOTS = Decimal(10) ** 24


class SizingMethod(StrEnum):
    FIXED_FRACTION = "fixed_fraction"
    VOLATILITY_TARGET = "volatility_target"
    KELLY = "kelly"


@dataclass(frozen=True, slots=True)
class Sizing:
    """How positions are sized, and by which policy. What a method does not use is None."""

    method: SizingMethod
    cap: Decimal  # most that a position may be worth, as a share of equity
    policy: str = ""
    fraction: Decimal | None = None  # of equity; with kelly, of Kelly's share
    volatility: Decimal | None = None  # a year's, that the position should add to equity
    step_s: int = DEFAULT_STEP_S  # between two prices that a return is made of
    returns: int = DEFAULT_RETURNS
    win_rate: Decimal | None = None
    payoff: Decimal | None = None  # an average gain over an average loss

    @property
    def samples(self) -> bool:
        """Whether it needs to know how prices moved."""
        return self.method is SizingMethod.VOLATILITY_TARGET


@dataclass(frozen=True, slots=True)
class Basis:
    """What a size is made of. None: not known."""

    instrument: Instrument
    equity: Decimal | None
    price: Decimal | None  # the most that one unit may cost
    weight: Decimal  # confidence times the signal's own size, 0 to 1
    volatility: Decimal | None = None  # a year's


@dataclass(frozen=True, slots=True)
class Sized:
    """The largest position that a sizing allows, and what that was made of."""

    sizing: Sizing
    quantity: Decimal
    share: Decimal  # of equity, before confidence and size
    equity: Decimal
    price: Decimal
    weight: Decimal
    volatility: Decimal | None = None


def sized(sizing: Sizing, basis: Basis) -> Sized | Rejection:
    """On the lot, rounded down."""
    if basis.price is None:
        return Rejection(Reason.NO_PRICE, f"no bid and ask of {basis.instrument.symbol}")
    if basis.equity is None:
        return Rejection(Reason.NO_PRICE, "a symbol that is held has no price, equity is unknown")
    if basis.equity <= 0:
        return not_sized(f"equity {basis.equity}, expected more than 0")
    share = _SHARES[sizing.method](sizing, basis)
    if isinstance(share, Rejection):
        return share
    share = min(share, sizing.cap)
    quantity = _worth(basis, share, basis.equity, basis.price)
    if quantity is None:
        return not_sized(f"price {basis.price}: more lots than any order has")
    return Sized(sizing, quantity, share, basis.equity, basis.price, basis.weight, basis.volatility)


def not_sized(why: str) -> Rejection:
    return Rejection(Reason.NOT_SIZED, why)


def weight_of(*fractions: Decimal | None) -> Decimal:
    """What is not stated is 1. Rounded down, so that it is never more than what was stated."""
    weight = _ONE
    for each in fractions:
        if each is not None:
            weight = (weight * each).quantize(_FINEST, ROUND_DOWN)
    return weight


def annual_volatility(mids: Sequence[Decimal], step_s: int) -> Decimal | None:
    """Of prices a step apart, oldest first; None: too few of them.

    The sample standard deviation of log returns, times the root of the steps in a year. Hull, J.,
    "Options, Futures, and Other Derivatives", on estimating volatility from historical data.
    """
    if len(mids) < 3:
        return None
    changes = [after - before for before, after in pairwise(log(float(mid)) for mid in mids)]
    return _decimal(stdev(changes) * sqrt(YEAR_S / step_s))


def _worth(basis: Basis, share: Decimal, equity: Decimal, price: Decimal) -> Decimal | None:
    """The whole lots that so much money buys. Exact: a rounded quotient could be one too many."""
    with localcontext(EXACT):
        money, lot = equity * share * basis.weight, basis.instrument.lot_size
        cost = price * basis.instrument.contract_multiplier * lot
        return money // cost * lot if money < cost * _MOST_LOTS else None


def _fixed_fraction(sizing: Sizing, _: Basis) -> Decimal | Rejection:
    """The same share of equity each time (Vince, R., "Portfolio Management Formulas", 1990)."""
    if sizing.fraction is None:
        return not_sized("fraction: not set, fixed_fraction needs it")
    return sizing.fraction


def _volatility_target(sizing: Sizing, basis: Basis) -> Decimal | Rejection:
    """The share at which the position alone makes equity move by the target in a year: target over
    volatility (Moskowitz, Ooi and Pedersen, "Time Series Momentum", JFE 104, 2012, section 4.1)."""
    if sizing.volatility is None:
        return not_sized("volatility: not set, volatility_target needs it")
    if basis.volatility is None:
        wanted = f"{sizing.returns} returns of {sizing.step_s} s each"
        return not_sized(f"volatility of {basis.instrument.symbol}: unknown, expected {wanted}")
    if basis.volatility <= 0:
        moved = f"volatility of {basis.instrument.symbol}: 0, expected a price that moves"
        return not_sized(moved)
    return _share(sizing.volatility / basis.volatility)


def _kelly(sizing: Sizing, _: Basis) -> Decimal | Rejection:
    """A fraction of p - (1 - p) / b: p how often it wins, b what it wins then over what it loses
    else (Kelly, J. L., "A New Interpretation of Information Rate", 1956; Thorp, E. O., "The Kelly
    Criterion in Blackjack, Sports Betting, and the Stock Market", 2006)."""
    p, b = sizing.win_rate, sizing.payoff
    if sizing.fraction is None or p is None or b is None or b <= 0:
        return not_sized("fraction, win rate or payoff: not set, kelly needs them")
    edge = p - (1 - p) / b
    if edge <= 0:
        return not_sized(f"win rate {p} at payoff {b}: no edge, expected one above 0")
    return _share(edge * sizing.fraction)


def _share(number: Decimal) -> Decimal:
    return min(number, _LARGEST).quantize(_FINEST, ROUND_DOWN)


def _decimal(number: float) -> Decimal | None:
    return Decimal(repr(number)) if isfinite(number) else None


_SHARES: Mapping[SizingMethod, Callable[[Sizing, Basis], Decimal | Rejection]] = {
    SizingMethod.FIXED_FRACTION: _fixed_fraction,
    SizingMethod.VOLATILITY_TARGET: _volatility_target,
    SizingMethod.KELLY: _kelly,
}
