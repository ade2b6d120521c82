"""Value at risk against its definition, read slowly."""

from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.value_at_risk import losses, value_at_risk

CONFIDENCES = st.decimals("0.5", "0.9999", places=4)
LOSSES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
CHANGES = st.lists(st.floats(-100, 100), min_size=5, max_size=5)
UNITS = st.floats(-10, 10)
C95 = Decimal("0.95")


def smallest_that_is_enough(lost: list[float], confidence: Decimal) -> float:
    """Picked by counting, with exact shares."""
    for each in sorted(lost):
        share = Fraction(sum(1 for other in lost if other <= each), len(lost))
        if share >= Fraction(confidence):
            return max(0.0, each)
    raise AssertionError("the largest is exceeded by none")


@given(LOSSES, CONFIDENCES)
def test_it_is_the_smallest_loss_that_enough_scenarios_do_not_exceed(
    lost: list[float], confidence: Decimal
) -> None:
    assert value_at_risk(lost, confidence) == smallest_that_is_enough(lost, confidence)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [("0.95", 95.0), ("0.951", 96.0), ("0.99", 99.0), ("0.9999", 100.0), ("0.5", 50.0)],
)
def test_of_a_hundred_losses_it_is_picked_without_interpolation(
    confidence: str, expected: float
) -> None:
    lost = [float(each) for each in range(100, 0, -1)]
    assert value_at_risk(lost, Decimal(confidence)) == expected


def test_a_quantile_that_is_a_gain_is_no_risk() -> None:
    assert value_at_risk([-3.0, -2.0, -1.0], C95) == 0.0


@given(CHANGES, st.floats(0, 100), st.floats(0, 100), st.sampled_from([-1, 1]))
def test_more_of_one_symbol_is_never_less_at_risk(
    changes: list[float], one: float, other: float, sign: int
) -> None:
    less, more = (
        value_at_risk(losses({"a": (sign * x, sign * x)}, {"a": changes}, [0.0] * 5), C95)
        for x in sorted((one, other))
    )
    assert less <= more


@given(CHANGES, CHANGES, st.tuples(UNITS, UNITS), st.tuples(UNITS, UNITS), CONFIDENCES)
def test_no_part_of_what_is_at_work_puts_more_at_risk(
    first: list[float],
    second: list[float],
    a: tuple[float, float],
    b: tuple[float, float],
    confidence: Decimal,
) -> None:
    """Each symbol ends at its longest, its shortest, or between."""
    changes = {"a": first, "b": second}
    ends = {name: (max(pair), min(pair)) for name, pair in (("a", a), ("b", b))}
    worst = value_at_risk(losses(ends, changes, [0.0] * 5), confidence)
    for shares in product((0.0, 0.25, 1.0), repeat=2):
        held = {}
        for (name, (longest, shortest)), share in zip(ends.items(), shares, strict=True):
            filled = shortest + share * (longest - shortest)
            held[name] = (filled, filled)
        assert value_at_risk(losses(held, changes, [0.0] * 5), confidence) <= worst + 1e-9


@given(CHANGES, CHANGES, UNITS, UNITS)
def test_a_loss_is_what_the_positions_would_have_lost(
    first: list[float], second: list[float], x: float, y: float
) -> None:
    found = losses({"a": (x, x), "b": (y, y)}, {"a": first, "b": second}, [0.0] * 5)
    assert found == pytest.approx([-(x * i + y * j) for i, j in zip(first, second, strict=True)])
