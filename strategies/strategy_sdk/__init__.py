"""What a strategy author imports.

from strategy_sdk import Strategy, Tick

class BuyLow(Strategy):
    below: Decimal = Decimal(50_000)
    quantity: Decimal = Decimal("0.1")

    def on_market_data(self, event):
        if isinstance(event, Tick) and event.ask_price < self.below:
            if not self.position(event.symbol):
                self.buy(event.symbol, self.quantity)
"""

from strategy_sdk.account import Ended, Fill, Modified, Position, Sized, Working
from strategy_sdk.market import Book, Candle, Event, Tick, Trade
from strategy_sdk.parameters import Bounds
from strategy_sdk.strategy import Decision, Strategy
from trading.instruments import Instrument
from trading.signals import Direction, OrderType, Side, Signal, TimeInForce

__all__ = [
    "Book",
    "Bounds",
    "Candle",
    "Decision",
    "Direction",
    "Ended",
    "Event",
    "Fill",
    "Instrument",
    "Modified",
    "OrderType",
    "Position",
    "Side",
    "Signal",
    "Sized",
    "Strategy",
    "Tick",
    "TimeInForce",
    "Trade",
    "Working",
]
