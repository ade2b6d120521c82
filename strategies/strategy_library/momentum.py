"""momentum: with the market, when it moved far enough over the lookback.

The return is price now / price `lookback_period` messages of the same stream ago - 1; the price is
the mid of a tick or the close of a candle. A return above `threshold` buys up to `max_position`
unless it is long already; one below -`threshold` sells all of a long position, and with
`allow_short` goes short by `max_position` unless it is short already. Between the two, and exactly
at them, everything stays. One market order each.
"""

from collections import deque
from decimal import Decimal
from typing import Annotated

from strategy_sdk import Bounds, Candle, Event, Strategy, Tick


class Momentum(Strategy):
    lookback_period: Annotated[int, Bounds(least=1)] = 20
    threshold: Annotated[Decimal, Bounds(least=0)] = Decimal("0.02")
    max_position: Annotated[Decimal, Bounds(above=0)] = Decimal(1000)
    allow_short: bool = False

    def start(self) -> None:
        self.warm_up = self.lookback_period + 1
        self.increments = {
            symbol: float(self.instrument(symbol).price_increment) for symbol in self.symbols
        }
        self.prices = {
            kind: {symbol: deque[int](maxlen=self.warm_up) for symbol in self.symbols}
            for kind in ("tick", "candle")
        }
        # The threshold as a fraction of whole numbers: the comparison is exact.
        self.numerator, self.denominator = self.threshold.as_integer_ratio()

    def on_market_data(self, event: Event) -> None:
        if isinstance(event, Tick):
            increment = self.increments[event.symbol]
            price = round(event.bid_price / increment) + round(event.ask_price / increment)
            self._moved(event.symbol, self.prices["tick"][event.symbol], price)
        elif isinstance(event, Candle):
            price = 2 * round(event.close / self.increments[event.symbol])
            self._moved(event.symbol, self.prices["candle"][event.symbol], price)

    def _moved(self, symbol: str, prices: deque[int], price: int) -> None:
        prices.append(price)
        if len(prices) < self.warm_up:
            return
        change = (price - prices[0]) * self.denominator
        limit = prices[0] * self.numerator
        if change > limit:
            self._rise(symbol)
        elif change < -limit:
            self._fall(symbol)

    def _rise(self, symbol: str) -> None:
        if self.position(symbol) <= 0:
            self.move(symbol, self.max_position)

    def _fall(self, symbol: str) -> None:
        position = self.position(symbol)
        if self.allow_short and position >= 0:
            self.move(symbol, -self.max_position)
        elif not self.allow_short and position > 0:
            self.close(symbol)
