"""sma_crossover: long while the short average of the mid price is above the long one.

Exactly so that any other computation finds the same orders: nothing until `long_period` ticks of a
symbol were seen, the first state is only remembered, an exact tie counts as not above. Prices are
whole numbers (bid + ask in increments, twice the mid), so the averages compare without rounding.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from strategy_sdk import Bounds, Event, Strategy, Tick


@dataclass(slots=True)
class Averages:
    """One symbol's last `long_period` prices and their sums."""

    increment: float
    prices: deque[int]
    short_sum: int = 0
    long_sum: int = 0
    above: bool | None = None  # None until there are long_period prices


class SmaCrossover(Strategy):
    short_period: Annotated[int, Bounds(least=1)] = 5
    long_period: Annotated[int, Bounds(least=2)] = 20
    quantity: Annotated[Decimal, Bounds(above=0)] = Decimal(100)
    allow_short: bool = False  # not above: short by `quantity` instead of flat

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> Iterable[str]:
        if values["short_period"] >= values["long_period"]:
            short, long = values["short_period"], values["long_period"]
            yield f"short_period: {short}, expected less than long_period, which is {long}"

    def start(self) -> None:
        self.warm_up = self.long_period
        self.averages = {
            symbol: Averages(
                float(self.instrument(symbol).price_increment), deque(maxlen=self.long_period)
            )
            for symbol in self.symbols
        }

    def on_market_data(self, event: Event) -> None:
        if event.__class__ is not Tick:
            return
        averages = self.averages[event.symbol]
        before = averages.above
        above = self._above(averages, event)
        if above is not before and before is not None:
            self._cross(event.symbol, above=bool(above))

    def _above(self, averages: Averages, tick: Tick) -> bool | None:
        prices, short, long = averages.prices, self.short_period, self.long_period
        increment = averages.increment
        price = round(tick.bid_price / increment) + round(tick.ask_price / increment)
        seen = len(prices)
        averages.short_sum += price - prices[-short] if seen >= short else price
        averages.long_sum += price - prices[0] if seen == long else price
        prices.append(price)
        if seen + 1 >= long:
            averages.above = long * averages.short_sum > short * averages.long_sum
        return averages.above

    def _cross(self, symbol: str, *, above: bool) -> None:
        if self.allow_short:
            self.move(symbol, self.quantity if above else -self.quantity)
        elif above and not self.position(symbol):
            self.buy(symbol, self.quantity)
        elif not above and self.position(symbol) > 0:
            self.close(symbol)
