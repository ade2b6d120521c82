"""Instruments: increments, and the catalogue they come from."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.instruments import Instrument, InvalidCatalogue, parse_catalogue
from trading.signals import Side

BTC = Instrument(
    symbol="BTCUSDT",
    price_increment=Decimal("0.05"),
    lot_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    min_notional=Decimal(5),
    base_currency="BTC",
    quote_currency="USDT",
)
ROW = {
    "symbol": "BTCUSDT",
    "price_increment": "0.05",
    "lot_size": "0.001",
    "min_quantity": "0.001",
    "min_notional": "5",
    "base_currency": "BTC",
    "quote_currency": "USDT",
}


@pytest.mark.parametrize(
    ("wanted", "lots"),
    [("0.0019", "0.001"), ("0.001", "0.001"), ("0.0009", "0"), ("7", "7")],
)
def test_a_quantity_is_rounded_down_to_the_lot(wanted: str, lots: str) -> None:
    assert BTC.quantity(Decimal(wanted)) == Decimal(lots)


def test_a_quantity_with_many_digits_is_still_on_the_lot() -> None:
    assert BTC.quantity(Decimal("0." + "9" * 60)) == Decimal("0.999")


@pytest.mark.parametrize(
    ("side", "price"), [(Side.BUY, "100.00"), (Side.SELL, "100.05")], ids=["down", "up"]
)
def test_a_price_is_rounded_to_the_safer_side(side: Side, price: str) -> None:
    assert BTC.price(Decimal("100.03"), side) == Decimal(price)


@given(st.decimals("0", "100000", places=8), st.sampled_from(Side))
def test_rounding_moves_by_less_than_an_increment(wanted: Decimal, side: Side) -> None:
    assert 0 <= wanted - BTC.quantity(wanted) < BTC.lot_size
    assert 0 <= (wanted - BTC.price(wanted, side)) * side.sign < BTC.price_increment
    assert BTC.price(BTC.price(wanted, side), side) == BTC.price(wanted, side)


def test_a_catalogue_gives_instruments_by_symbol() -> None:
    assert parse_catalogue({"instruments": [ROW]}) == {"BTCUSDT": BTC}


@pytest.mark.parametrize(
    "document", [None, [], {}, {"instruments": {}}], ids=["none", "list", "empty", "mapping"]
)
def test_something_else_is_no_catalogue(document: Any) -> None:
    with pytest.raises(InvalidCatalogue, match="catalogue: expected"):
        parse_catalogue(document)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"symbol": 7}, "expected a mapping with a symbol"),
        ({"lot_size": "0"}, "BTCUSDT: lot_size: '0', expected a decimal string, more than 0"),
        ({"price_increment": "-1"}, "price_increment: '-1', expected a decimal"),
        ({"min_notional": "-1"}, "min_notional: '-1', expected a decimal string, 0 or more"),
        ({"min_notional": 5}, "min_notional: 5, expected a decimal string"),
        ({"min_notional": "five"}, "min_notional: 'five'"),
        ({"taker_fee": "NaN"}, "taker_fee: 'NaN'"),
        ({"min_quantity": None}, "min_quantity: None"),
        ({"base_currency": ""}, "base_currency: '', expected a name"),
        ({"quote_currency": 1}, "quote_currency: 1, expected a name"),
    ],
)
def test_a_wrong_instrument_is_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidCatalogue, match=says):
        parse_catalogue({"instruments": [{**ROW, **wrong}]})


def test_a_row_that_is_no_mapping_is_named() -> None:
    with pytest.raises(InvalidCatalogue, match="'BTCUSDT'"):
        parse_catalogue({"instruments": ["BTCUSDT"]})
