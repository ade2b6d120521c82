"""Value at risk, by historical simulation: what the positions would have lost on past returns.

The loss of scenario i is L(i) = -sum over symbols of stake * change(i), where a change is the
newest mid times the return of the i-th sample. Value at risk at confidence c is the smallest loss
that at least a share c of the n scenarios do not exceed: the k-th smallest, k = ceil(c * n),
without interpolation: the empirical quantile of type 1 of Hyndman and Fan (Sample quantiles in
statistical packages, 1996). The definition is that of McNeil, Frey and Embrechts (Quantitative Risk
Management, 2005, chapter 2). Its horizon is one interval of samples.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from operator import add

Ends = tuple[float, float]  # the longest and the shortest that it could become, signed


def value_at_risk(losses: Sequence[float], confidence: Decimal) -> float:
    """Of at least one; 0 where that quantile is a gain."""
    place = int((confidence * len(losses)).to_integral_value(ROUND_CEILING))
    return max(0.0, sorted(losses)[place - 1])


def losses(
    stakes: Mapping[str, Ends], changes: Mapping[str, Sequence[float]], before: list[float]
) -> list[float]:
    """By scenario, on top of what was lost before; each symbol at the end that loses more. Of what
    is at work any part may be filled, and no part of it loses more than this."""
    found = before
    for symbol, ends in stakes.items():
        found = list(map(add, found, _lost(ends, changes[symbol])))
    return found


def _lost(ends: Ends, changes: Sequence[float]) -> list[float]:
    longest, shortest = -ends[0], -ends[1]
    if longest == shortest:
        return [longest * change for change in changes]
    return [longest * change if change < 0 else shortest * change for change in changes]
