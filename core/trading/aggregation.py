"""Aggregation: what several strategies want of one symbol, as one direction.

A strategy's latest intention is its vote, for as long as the window says. A vote is stale once it
is older than the window; one of just that age counts. Of equal sides none wins: a tie opens
nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum

from trading.money import EXACT
from trading.signals import Direction

SURE = Decimal(1)  # the confidence of a signal that states none
DEFAULT_WINDOW_NS = 5_000_000_000
DEFAULT_THRESHOLD = Decimal("0.3")
_ZERO = Decimal(0)
_VALUES = {Direction.LONG: 1, Direction.SHORT: -1}  # CLOSE: 0


class Method(StrEnum):
    MAJORITY = "majority"  # more than half of all confidence
    WEIGHTED_AVERAGE = "weighted_average"  # LONG 1, CLOSE 0, SHORT -1, beyond the threshold
    UNANIMOUS = "unanimous"
    FIRST_SIGNAL = "first_signal"  # whoever has held its direction the longest


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How those vote whose policy says so. `group`: who votes together; votes of others are none
    of theirs."""

    method: Method
    window_ns: int = DEFAULT_WINDOW_NS
    threshold: Decimal = DEFAULT_THRESHOLD  # of the weighted average
    group: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    strategy: str
    direction: Direction
    confidence: Decimal
    at_ns: int  # on the desk's clock
    since_ns: int  # it has wanted this without a pause longer than the window
    turn: int = 0  # of its strategy's votes on the symbol at that time


def aggregate(votes: Sequence[Vote], rule: Aggregation) -> Direction:
    """Of votes that are not stale, one of each strategy. NONE: they come to nothing."""
    with localcontext(EXACT):
        return _METHODS[rule.method](votes, rule)


def is_fresh(at_ns: int, now_ns: int, window_ns: int) -> bool:
    """Of a later time it is of market data that a decision made now cannot have known."""
    return 0 <= now_ns - at_ns <= window_ns


def _majority(votes: Sequence[Vote], _: Aggregation) -> Direction:
    weights = _weights(votes)
    half_of = sum(weights.values(), _ZERO)
    return next((each for each, weight in weights.items() if weight * 2 > half_of), Direction.NONE)


def _weighted_average(votes: Sequence[Vote], rule: Aggregation) -> Direction:
    """Compared without a division. Within the threshold, the middle of the scale, is CLOSE."""
    weights = _weights(votes)
    total = sum(weights.values(), _ZERO)
    if not total:
        return Direction.NONE
    leaning = sum((_VALUES.get(each, 0) * weight for each, weight in weights.items()), _ZERO)
    if abs(leaning) <= rule.threshold * total:
        return Direction.CLOSE
    return Direction.LONG if leaning > 0 else Direction.SHORT


def _unanimous(votes: Sequence[Vote], _: Aggregation) -> Direction:
    """By voices, not by confidence."""
    return _common(votes)


def _first_signal(votes: Sequence[Vote], _: Aggregation) -> Direction:
    """Of several at the same time, what all of them want."""
    first = min((vote.since_ns for vote in votes), default=0)
    return _common([vote for vote in votes if vote.since_ns == first])


def _weights(votes: Sequence[Vote]) -> Mapping[Direction, Decimal]:
    weights: dict[Direction, Decimal] = {}
    for vote in votes:
        weights[vote.direction] = weights.get(vote.direction, _ZERO) + vote.confidence
    return weights


def _common(votes: Sequence[Vote]) -> Direction:
    wanted = {vote.direction for vote in votes}
    return wanted.pop() if len(wanted) == 1 else Direction.NONE


_METHODS: Mapping[Method, Callable[[Sequence[Vote], Aggregation], Direction]] = {
    Method.MAJORITY: _majority,
    Method.WEIGHTED_AVERAGE: _weighted_average,
    Method.UNANIMOUS: _unanimous,
    Method.FIRST_SIGNAL: _first_signal,
}
