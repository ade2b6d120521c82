"""Fills: what a venue says was traded. Facts, whatever our own books expected."""

from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from trading.instruments import Instrument
from trading.signals import Side
from trading.values import value


class Liquidity(StrEnum):
    MAKER = "maker"
    TAKER = "taker"


@value(frozen=True, slots=True)
class Fill:
    fill_id: str
    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal  # more than 0 is paid
    at_ns: int
    order_id: str = ""  # the venue's own
    liquidity: Liquidity = Liquidity.TAKER
    venue: str = ""
    busts: str = ""  # id of an earlier fill that this one takes back: a reversing entry
    fee_currency: str = ""  # empty: the symbol's quote currency


class ForeignFill(ValueError):
    """A fill that does not belong to what it names."""


def reversal(bust: Fill, of: Fill) -> Fill:
    """The bust, as an entry for the books of the fill that it takes back. Raises ForeignFill.

    A fill is taken back whole, at its own price; what the venue keeps of the fee it says.
    """
    for what, said, expected in (
        ("symbol", bust.symbol, of.symbol),
        ("side", bust.side, of.side.other),
        ("quantity", bust.quantity, of.quantity),
        ("price", bust.price, of.price),
    ):
        if said != expected:
            raise ForeignFill(f"{what}: {said} takes back fill {of.fill_id}, expected {expected}")
    if of.busts:
        raise ForeignFill(f"fill {of.fill_id} takes one back itself, expected one that traded")
    return replace(
        bust,
        client_order_id=of.client_order_id,
        strategy=of.strategy,
        order_id=of.order_id,
        fee_currency=of.fee_currency,  # whatever it says: where it was booked
    )


def in_its_currency(fill: Fill, instrument: Instrument | None) -> Fill:
    """As the books have it: the venue says what the fee was paid in, or else the catalogue does;
    left out where it is the quote currency.
    """
    if instrument is None:
        return fill
    said = fill.fee_currency or instrument.fee_currency
    currency = "" if said == instrument.quote_currency else said
    return fill if currency == fill.fee_currency else replace(fill, fee_currency=currency)
