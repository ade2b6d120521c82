"""Correlation of what strategies hold: Pearson's coefficient of what each would have won and lost.

r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 * sum (y - mean y)^2) over the same
scenarios as value at risk (Pearson, Notes on regression and inheritance, 1895). It does not depend
on how much is held, only on what.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from operator import mul

Series = list[float]  # by scenario


def won(stakes: Mapping[str, float], changes: Mapping[str, Sequence[float]], count: int) -> Series:
    """What these positions would have won."""
    found = [0.0] * count
    for symbol, stake in stakes.items():
        found = [so_far + stake * each for so_far, each in zip(found, changes[symbol], strict=True)]
    return found


def standardised(series: Series) -> Series | None:
    """With a mean of 0 and a length of 1; None when it does not vary."""
    mean = sum(series) / len(series)
    centred = [each - mean for each in series]
    length = sqrt(sum(map(mul, centred, centred)))
    # What is left of a constant by rounding is no variation.
    if length <= 1e-12 * len(series) * max(map(abs, series), default=0.0) or not length:
        return None
    return [each / length for each in centred]


def correlation(one: Series, other: Series) -> float:
    """Of two that are standardised: from -1 to 1."""
    together: float = sum(map(mul, one, other))
    return min(1.0, max(-1.0, together))
