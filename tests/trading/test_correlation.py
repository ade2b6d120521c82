"""Correlation against the standard library's."""

import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading.correlation import correlation, standardised, won

PAIRS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=50)


def of(one: list[float], other: list[float]) -> float | None:
    first, second = standardised(one), standardised(other)
    return None if first is None or second is None else correlation(first, second)


@given(PAIRS)
def test_it_is_pearsons(pairs: list[tuple[float, float]]) -> None:
    one, other = ([pair[which] for pair in pairs] for which in (0, 1))
    assume(all(max(each) - min(each) > 1e-3 for each in (one, other)))
    assert of(one, other) == pytest.approx(statistics.correlation(one, other), abs=1e-9)


@given(st.floats(-1e9, 1e9), st.integers(3, 500))
def test_what_does_not_vary_has_none(value: float, count: int) -> None:
    assert of([value] * count, [float(each) for each in range(count)]) is None


@given(PAIRS, st.floats(0.01, 1e6))
def test_it_does_not_depend_on_how_much_is_held(
    pairs: list[tuple[float, float]], units: float
) -> None:
    changes = [pair[0] for pair in pairs]
    assume(max(changes) - min(changes) > 1e-3)
    one = won({"a": 1.0}, {"a": changes}, len(changes))
    for sign in (1, -1):
        other = won({"a": sign * units}, {"a": changes}, len(changes))
        assert of(one, other) == pytest.approx(sign)


@given(PAIRS)
def test_it_is_from_minus_one_to_one(pairs: list[tuple[float, float]]) -> None:
    found = of([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert found is None or -1.0 <= found <= 1.0
