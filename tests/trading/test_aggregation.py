"""What several strategies want, against a slow model with fractions."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.aggregation import Aggregation, Method, Vote, aggregate, is_fresh
from trading.signals import Direction

LONG, SHORT, CLOSE, NONE = Direction.LONG, Direction.SHORT, Direction.CLOSE, Direction.NONE
MAJORITY, AVERAGE = Aggregation(Method.MAJORITY), Aggregation(Method.WEIGHTED_AVERAGE)
UNANIMOUS, FIRST = Aggregation(Method.UNANIMOUS), Aggregation(Method.FIRST_SIGNAL)


def ballot(*votes: tuple[Direction, str], since: Sequence[int] = ()) -> list[Vote]:
    """Of strategies s0, s1, ..., each so sure; since 0 unless it is said."""
    times = [*since, *[0] * len(votes)]
    return [
        Vote(f"s{place}", direction, Decimal(confidence), 100, times[place])
        for place, (direction, confidence) in enumerate(votes)
    ]


@pytest.mark.parametrize("rule", [MAJORITY, AVERAGE, UNANIMOUS, FIRST], ids=lambda r: r.method)
def test_no_votes_come_to_nothing(rule: Aggregation) -> None:
    assert aggregate([], rule) is NONE


@pytest.mark.parametrize("rule", [MAJORITY, AVERAGE], ids=lambda r: r.method)
def test_votes_without_confidence_come_to_nothing(rule: Aggregation) -> None:
    assert aggregate(ballot((LONG, "0"), (SHORT, "0")), rule) is NONE


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([(LONG, "0.6"), (LONG, "0.5"), (SHORT, "1")], LONG),  # 1.1 of 2.1
        ([(LONG, "0.2"), (LONG, "0.2"), (SHORT, "0.9")], SHORT),  # confidence, not heads
        ([(LONG, "0.5"), (SHORT, "0.5")], NONE),
        ([(LONG, "0.5"), (SHORT, "0.3"), (CLOSE, "0.2")], NONE),  # half is not more than half
        ([(LONG, "0.4"), (SHORT, "0.3"), (CLOSE, "0.3")], NONE),  # the largest, but no majority
        ([(CLOSE, "0.7"), (LONG, "0.6")], CLOSE),
    ],
    ids=["more", "surer", "tie", "exactly half", "largest of three", "close"],
)
def test_a_majority_is_more_than_half_of_all_confidence(
    votes: list[tuple[Direction, str]], expected: Direction
) -> None:
    assert aggregate(ballot(*votes), MAJORITY) is expected


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([(LONG, "0.66"), (SHORT, "0.34")], LONG),  # 0.32
        ([(LONG, "0.65"), (SHORT, "0.35")], CLOSE),  # 0.30, not beyond
        ([(SHORT, "0.66"), (LONG, "0.34")], SHORT),
        ([(SHORT, "0.65"), (LONG, "0.35")], CLOSE),
        ([(LONG, "1"), (SHORT, "1")], CLOSE),
        ([(LONG, "0.4"), (CLOSE, "0.6")], LONG),  # 0.4
    ],
    ids=["beyond", "at", "beyond below", "at below", "tie", "a close dilutes"],
)
def test_an_average_is_compared_with_the_threshold(
    votes: list[tuple[Direction, str]], expected: Direction
) -> None:
    assert aggregate(ballot(*votes), AVERAGE) is expected


def test_a_threshold_of_zero_leaves_a_tie_undecided() -> None:
    none = replace(AVERAGE, threshold=Decimal(0))
    assert aggregate(ballot((LONG, "1"), (SHORT, "1")), none) is CLOSE
    assert aggregate(ballot((LONG, "1"), (SHORT, "0.999")), none) is LONG


def test_unanimous_counts_voices_however_sure() -> None:
    assert aggregate(ballot((LONG, "1"), (LONG, "0")), UNANIMOUS) is LONG
    assert aggregate(ballot((LONG, "1"), (SHORT, "0")), UNANIMOUS) is NONE


def test_the_first_has_wanted_it_the_longest() -> None:
    votes = ballot((LONG, "0.1"), (SHORT, "1"), since=[1, 2])
    assert aggregate(votes, FIRST) is LONG
    assert aggregate(votes[::-1], FIRST) is LONG


def test_two_first_ones_that_disagree_come_to_nothing() -> None:
    assert aggregate(ballot((LONG, "1"), (SHORT, "1"), since=[3, 3]), FIRST) is NONE
    assert aggregate(ballot((LONG, "1"), (LONG, "1"), since=[3, 3]), FIRST) is LONG


@pytest.mark.parametrize(
    ("at_ns", "counts"),
    [(95, True), (94, False), (100, True), (101, False)],
    ids=["at the edge", "past it", "now", "not known yet"],
)
def test_a_vote_counts_up_to_the_edge_of_the_window(at_ns: int, counts: bool) -> None:
    assert is_fresh(at_ns, 100, window_ns=5) is counts


votes = st.lists(
    st.builds(
        Vote,
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from([LONG, SHORT, CLOSE]),
        st.decimals("0", "1", places=2),
        st.just(100),
        st.integers(90, 93),
    ),
    max_size=7,
    unique_by=lambda vote: vote.strategy,
)
rules = st.builds(
    Aggregation,
    st.sampled_from(Method),
    threshold=st.decimals("0", "1", places=1),
)


def _slowly(votes: list[Vote], rule: Aggregation) -> Direction:
    """The words of the decision, one after the other."""
    weight = {
        each: sum(Fraction(vote.confidence) for vote in votes if vote.direction is each)
        for each in (LONG, SHORT, CLOSE)
    }
    total, wanted = sum(weight.values()), {vote.direction for vote in votes}
    if rule.method is Method.MAJORITY:
        for each, its in weight.items():
            if total and its / total > Fraction(1, 2):
                return each
        return NONE
    if rule.method is Method.WEIGHTED_AVERAGE:
        if not total:
            return NONE
        average = (weight[LONG] - weight[SHORT]) / total
        if average > Fraction(rule.threshold):
            return LONG
        return SHORT if average < -Fraction(rule.threshold) else CLOSE
    if rule.method is Method.FIRST_SIGNAL and votes:
        earliest = sorted(vote.since_ns for vote in votes)[0]
        wanted = {vote.direction for vote in votes if vote.since_ns == earliest}
    return next(iter(wanted)) if len(wanted) == 1 else NONE


@given(votes, rules)
def test_it_is_what_the_slow_model_says(votes: list[Vote], rule: Aggregation) -> None:
    assert aggregate(votes, rule) is _slowly(votes, rule)


@given(votes, rules, st.randoms(use_true_random=False))
def test_the_order_of_the_votes_does_not_matter(
    votes: list[Vote], rule: Aggregation, chance: object
) -> None:
    shuffled = list(votes)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # random.Random
    assert aggregate(shuffled, rule) is aggregate(votes, rule)


_MIRROR = {LONG: SHORT, SHORT: LONG, CLOSE: CLOSE, NONE: NONE}


@given(votes, rules)
def test_neither_side_is_favoured(votes: list[Vote], rule: Aggregation) -> None:
    mirrored = [replace(vote, direction=_MIRROR[vote.direction]) for vote in votes]
    assert aggregate(mirrored, rule) is _MIRROR[aggregate(votes, rule)]


@given(votes, rules)
def test_nobody_opens_what_nobody_wants(votes: list[Vote], rule: Aggregation) -> None:
    found = aggregate(votes, rule)
    assert found in (CLOSE, NONE) or found in {vote.direction for vote in votes}
