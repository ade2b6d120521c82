from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy_sdk import Bounds, Event, Strategy
from strategy_sdk.parameters import InvalidParameters, bind, declared, validate


class Sample(Strategy):
    period: Annotated[int, Bounds(least=1, below=100)] = 20
    threshold: float = 0.5
    quantity: Annotated[Decimal, Bounds(above=0)] = Decimal("0.1")
    style: str = "plain"
    hedged: bool = False
    remembered: list[int]  # no default: state, no parameter
    _hidden: int = 3

    def on_market_data(self, event: Event) -> None:
        self.remembered = []


class Narrow(Sample):
    period = 7


def test_typed_attributes_with_a_default_are_parameters() -> None:
    assert list(declared(Sample)) == ["period", "threshold", "quantity", "style", "hedged"]


def test_a_subclass_changes_a_default() -> None:
    assert Narrow().period == 7


def test_the_repr_tells_every_value() -> None:
    expected = "Sample(period=5, threshold=0.5, quantity=0.1, style=plain, hedged=False)"
    assert repr(Sample(period=5)) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"period": 0}, "period: 0, expected a whole number, at least 1 and less than 100"),
        ({"period": 100}, "period: 100, expected a whole number, at least 1 and less than 100"),
        ({"period": 2.5}, "period: 2.5, expected a whole number, at least 1 and less than 100"),
        ({"period": True}, "period: True, expected a whole number, at least 1 and less than 100"),
        ({"quantity": "much"}, "quantity: 'much', expected a decimal number, more than 0"),
        ({"quantity": "NaN"}, "quantity: 'NaN', expected a decimal number, more than 0"),
        ({"threshold": None}, "threshold: None, expected a number"),
        ({"style": 5}, "style: 5, expected a text"),
        ({"hedged": 1}, "hedged: 1, expected true or false"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    values: dict[str, object], message: str
) -> None:
    assert [str(problem) for problem in validate(Sample, values)] == [message]


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    (problem,) = validate(Sample, {"treshold": 1})
    assert problem.nearest == "threshold"
    assert "did you mean 'threshold'?" in str(problem)


def test_binding_raises_with_every_problem() -> None:
    with pytest.raises(InvalidParameters, match=r"^Sample: period: 0, .*; style: 5, ") as raised:
        bind(Sample, {"period": 0, "style": 5})
    assert len(raised.value.problems) == 2


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="0.00001", max_value=10**9))
def test_a_decimal_is_the_same_from_text_and_as_itself(number: Decimal) -> None:
    assert Sample(quantity=str(number)).quantity == Sample(quantity=number).quantity == number


@given(st.integers(1, 99))
def test_a_number_keeps_its_type_whether_it_comes_as_text_or_not(number: int) -> None:
    for written in (number, str(number), f"{number}.0"):
        value = Sample(period=written).period
        assert (type(value), value) == (int, number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_being_written(number: float) -> None:
    assert Sample(threshold=repr(number)).threshold == number
