"""One instrument that tests of money and risk share, and a second one like it."""

from dataclasses import replace
from decimal import Decimal

from trading.instruments import Instrument

BTC = Instrument(
    symbol="BTCUSDT",
    price_increment=Decimal("0.5"),
    lot_size=Decimal("0.1"),
    min_quantity=Decimal("0.1"),
    min_notional=Decimal(0),
    base_currency="BTC",
    quote_currency="USDT",
)
ETH = replace(BTC, symbol="ETHUSDT")
