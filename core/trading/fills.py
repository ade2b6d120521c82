"""Fills: what a venue says was traded. Facts, whatever our own books expected."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trading.signals import Side


class Liquidity(StrEnum):
    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Fill:
    fill_id: str
    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal  # in the quote currency; more than 0 is paid
    at_ns: int
    order_id: str = ""  # the venue's own
    liquidity: Liquidity = Liquidity.TAKER
    venue: str = ""
