"""Limits: the contract's defaults, and what manifests may say."""

from decimal import Decimal
from typing import Any

import pytest

from trading.limits import InvalidLimits, Limits, parse_limits


def test_what_is_not_said_has_the_contracts_default() -> None:
    limits = parse_limits({})
    assert limits.max_order_value == 50_000
    assert limits.max_position_size == 1_000
    assert limits.max_daily_loss == 5_000
    assert limits.max_drawdown == Decimal("0.1")
    assert limits.min_account_balance == 10_000
    assert limits.min_confidence == Decimal("0.6")
    assert (limits.max_orders_per_second, limits.max_orders_per_minute) == (10, 100)
    assert (limits.allowed_symbols, limits.blocked_symbols) == (frozenset(), frozenset())


def test_limits_are_decimal_strings_or_numbers() -> None:
    said = {"max_order_value": "0.1", "max_drawdown": 0.2, "max_orders_per_second": 5}
    limits = parse_limits({**said, "allowed_symbols": ["BTCUSDT"]})
    assert limits == Limits(
        allowed_symbols=frozenset({"BTCUSDT"}),
        max_order_value=Decimal("0.1"),
        max_drawdown=Decimal("0.2"),
        max_orders_per_second=5,
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_order_valeu", "1", "max_order_valeu: unknown, expected one of allowed_symbols"),
        ("max_order_value", None, "max_order_value: None, expected a decimal number"),
        ("max_order_value", "-1", "'-1', expected a decimal number, 0 or more"),
        ("max_order_value", "Infinity", "'Infinity', expected"),
        ("max_order_value", "many", "'many', expected"),
        ("max_order_value", True, "True, expected"),
        ("max_drawdown", "1.5", "'1.5', expected a fraction from 0 to 1"),
        ("min_confidence", 2, "2, expected a fraction from 0 to 1"),
        ("max_orders_per_second", "0.5", "'0.5', expected a whole number"),
        ("allowed_symbols", "BTCUSDT", "'BTCUSDT', expected a list of symbols"),
        ("allowed_symbols", [1], "expected a list of symbols"),
        ("blocked_symbols", None, "None, expected a list of symbols"),
    ],
)
def test_a_wrong_limit_is_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidLimits, match=says):
        parse_limits({name: value})
