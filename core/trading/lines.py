"""What strategies hold and have at work in a symbol, alone or added up, and what that is worth."""

from collections.abc import Mapping
from decimal import Decimal, localcontext

from trading.currencies import Currencies, Exchange, added
from trading.exposure import Exposure, exposure
from trading.instruments import Instrument
from trading.market import Market, fresh_mid
from trading.money import EXACT
from trading.risk import UNLISTED
from trading.signals import Side
from trading.values import value

_ZERO = Decimal(0)

Charges = Mapping[str, Mapping[str, Decimal]]  # fees by symbol and currency, not in a line


@value(frozen=True, slots=True)
class Line:
    """One symbol of one strategy; or of several, added up."""

    long: Decimal = _ZERO  # how long each could become
    short: Decimal = _ZERO  # how short each could become, as a number above 0
    worst: Decimal = _ZERO  # the larger of the two, of each
    longest: Decimal = _ZERO  # if all that works were bought
    shortest: Decimal = _ZERO  # if all that works were sold
    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO  # of the quantity, signed like it
    earned: Decimal = _ZERO  # realised, fees paid
    orders: int = 0  # at work

    @classmethod
    def of(
        cls,
        quantity: Decimal,
        buys: Decimal,
        sells: Decimal,
        cost: Decimal = _ZERO,
        earned: Decimal = _ZERO,
        orders: int = 0,
    ) -> "Line":
        """One strategy's: what it holds, and what it has at work."""
        longest, shortest = quantity + buys, quantity - sells
        long, short = max(_ZERO, longest), max(_ZERO, -shortest)
        worst = max(abs(longest), abs(shortest))
        return cls(long, short, worst, longest, shortest, quantity, cost, earned, orders)

    def with_order(self, side: Side, quantity: Decimal) -> "Line":
        """One strategy's, with one more order."""
        buys, sells = self.longest - self.quantity, self.quantity - self.shortest
        if side is Side.BUY:
            buys += quantity
        else:
            sells += quantity
        return Line.of(self.quantity, buys, sells, self.cost, self.earned, self.orders + 1)

    def moved(self, before: "Line", now: "Line") -> "Line":
        """With one strategy's line in the place of what it was."""
        with localcontext(EXACT):
            return Line(
                self.long - before.long + now.long,
                self.short - before.short + now.short,
                self.worst - before.worst + now.worst,
                self.longest - before.longest + now.longest,
                self.shortest - before.shortest + now.shortest,
                self.quantity - before.quantity + now.quantity,
                self.cost - before.cost + now.cost,
                self.earned - before.earned + now.earned,
                self.orders - before.orders + now.orders,
            )

    def on(self, side: Side) -> Decimal:
        return self.long if side is Side.BUY else self.short


NOTHING = Line()


@value(frozen=True, slots=True)
class _Stake:
    """A line, and what a unit of it is worth."""

    line: Line
    unit: Decimal

    @property
    def worst(self) -> Decimal:
        return self.line.worst * self.unit

    @property
    def longest(self) -> Decimal:
        return self.line.longest

    @property
    def shortest(self) -> Decimal:
        return self.line.shortest


class Mids:
    """What a unit of each symbol is worth, at mid."""

    def __init__(
        self,
        market: Market,
        most_age_ns: int,
        instruments: Mapping[str, Instrument],
        quotes: Mapping[str, str],
        exchange: Exchange | None,
    ) -> None:
        self._market = market
        self._most_age_ns = most_age_ns
        self._instruments = instruments
        self._quotes = quotes
        self.exchange = exchange

    def unit(self, symbol: str) -> Decimal | None:
        """In the currency of the symbol."""
        mid = fresh_mid(self._market(symbol), self._most_age_ns)
        instrument = self._instruments.get(symbol, UNLISTED)
        return None if mid is None else mid * instrument.contract_multiplier

    def worth(self, amount: Decimal | None, symbol: str) -> Decimal | None:
        """Of the symbol's currency, in the desk's."""
        if self.exchange is None:
            return amount
        return self.exchange.worth(amount, self._quotes.get(symbol, ""))


def balance_of_several(
    funds: Decimal,
    lines: Mapping[str, Line],
    charges: Charges,
    exchange: Exchange,
    currencies: Currencies,
) -> Decimal | None:
    """In the desk's currency; None when a rate that it needs is not known."""
    amounts = {"": funds}
    for symbol, line in lines.items():
        added(amounts, currencies.quote(symbol), line.earned)
    for fees in charges.values():
        for currency, fee in fees.items():
            added(amounts, currency, EXACT.minus(fee))
    return exchange.total(amounts)


def equity_of(balance: Decimal | None, lines: Mapping[str, Line], mids: Mids) -> Decimal | None:
    """None when a price or rate that it needs is unknown or too old."""
    equity = balance
    for symbol, line in lines.items():
        unit = mids.unit(symbol) if line.quantity else _ZERO
        if unit is None or equity is None:
            return None
        gain = EXACT.subtract(EXACT.multiply(line.quantity, unit), line.cost)
        worth = mids.worth(gain, symbol) if gain else gain
        equity = None if worth is None else EXACT.add(equity, worth)
    return equity


def exposure_of(lines: Mapping[str, Line], symbol: str, mids: Mids) -> Exposure | None:
    """As seen from that symbol; None when a price or rate that it needs is unknown or too old."""
    stakes = {}
    for name, line in lines.items():
        if line.worst:
            unit = mids.worth(mids.unit(name), name)
            if unit is None:
                return None
            stakes[name] = _Stake(line, unit)
    judged = stakes.pop(symbol, None)
    return None if judged is None else exposure(judged, stakes.values())
