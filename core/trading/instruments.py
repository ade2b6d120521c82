"""Instruments: the increments, minima and fees that an order must keep.

The catalogue is a file (see `parse_catalogue`); what is not in it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

from trading.signals import Side


class InvalidCatalogue(ValueError):
    """An instrument catalogue that cannot be used; the message names symbol, field and value."""


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    price_increment: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    base_currency: str
    quote_currency: str
    contract_multiplier: Decimal = Decimal(1)
    maker_fee: Decimal = Decimal(0)  # fraction of the notional
    taker_fee: Decimal = Decimal(0)
    fee_currency: str = ""  # empty: the quote currency

    def quantity(self, wanted: Decimal) -> Decimal:
        """`wanted` rounded down to the lot; zero means it is too small to trade."""
        return wanted // self.lot_size * self.lot_size

    def price(self, wanted: Decimal, side: Side) -> Decimal:
        """`wanted` on the increment, rounded to the safer side: down to buy, up to sell."""
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        steps = (wanted / self.price_increment).to_integral_value(rounding)
        return steps * self.price_increment


_DECIMALS = (
    "price_increment",
    "lot_size",
    "min_quantity",
    "min_notional",
    "contract_multiplier",
    "maker_fee",
    "taker_fee",
)
_POSITIVE = ("price_increment", "lot_size", "contract_multiplier")
_DEFAULTS = {"contract_multiplier": "1", "maker_fee": "0", "taker_fee": "0"}


def parse_catalogue(document: Any) -> Mapping[str, Instrument]:
    """Instruments by symbol, from `{"instruments": [{"symbol": ..., ...}]}` with decimal strings.

    Raises InvalidCatalogue.
    """
    if not isinstance(document, dict) or not isinstance(document.get("instruments"), list):
        raise InvalidCatalogue("catalogue: expected {'instruments': [...]}")
    instruments = [_instrument(row) for row in document["instruments"]]
    return {instrument.symbol: instrument for instrument in instruments}


def _instrument(row: Any) -> Instrument:
    if not isinstance(row, dict) or not isinstance(row.get("symbol"), str):
        raise InvalidCatalogue(f"instrument {row!r}: expected a mapping with a symbol")
    values = {name: _decimal(row, name) for name in _DECIMALS}
    texts = {name: _text(row, name) for name in ("base_currency", "quote_currency")}
    if row.get("fee_currency") not in (None, texts["quote_currency"]):
        texts["fee_currency"] = _text(row, "fee_currency")
    return Instrument(symbol=row["symbol"], **values, **texts)  # type: ignore[arg-type]  # by name


def _decimal(row: Mapping[str, Any], name: str) -> Decimal:
    value = row.get(name, _DEFAULTS.get(name))
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    floor = "more than 0" if name in _POSITIVE else "0 or more"
    if number is None or not number.is_finite() or number < 0 or (name in _POSITIVE and not number):
        raise InvalidCatalogue(
            f"instrument {row['symbol']}: {name}: {value!r}, expected a decimal string, {floor}"
        )
    return number


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidCatalogue(f"instrument {row['symbol']}: {name}: {value!r}, expected a name")
    return value
