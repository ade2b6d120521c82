"""Currencies: what amounts were made in, and what they are worth in the desk's own.

Books are never converted. An amount is, when it is compared or added up with others: by the mids of
symbols of the feed, which are chosen once. Of the desk's own currency the name may be left out.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import chain

from trading.instruments import Instrument
from trading.market import Market, priced
from trading.money import EXACT
from trading.positions import Position
from trading.values import value

_ZERO, _ONE = Decimal(0), Decimal(1)
_DIVIDING = Context(prec=34, rounding=ROUND_HALF_EVEN)  # once; products with it are exact
ANY_AGE_NS = 2**63

Amounts = Mapping[str, Decimal]  # by currency


# ---- by which symbols


@value(frozen=True, slots=True)
class Leg:
    """A symbol whose mid says what one is worth; inverse: what one of the other is."""

    symbol: str
    inverse: bool = False


Way = tuple[Leg, ...]  # from a currency to the desk's


def way(instruments: Iterable[Instrument], currency: str, own: str) -> Way | None:
    """The fewest symbols, then the fewest inverses, then by name; None: there is none."""
    legs = _legs(instruments)
    ways = chain(_direct(legs, currency, own), _over_another(legs, currency, own))
    return min(ways, key=_preference, default=None)


_Legs = Mapping[tuple[str, str], list[Leg]]  # from one currency to another


def _legs(instruments: Iterable[Instrument]) -> _Legs:
    found: dict[tuple[str, str], list[Leg]] = {}
    for each in instruments:
        base, quote = each.base_currency, each.quote_currency
        if each.contract_multiplier == 1 and base != quote:
            found.setdefault((base, quote), []).append(Leg(each.symbol))
            found.setdefault((quote, base), []).append(Leg(each.symbol, inverse=True))
    return found


def _direct(legs: _Legs, currency: str, own: str) -> Iterable[Way]:
    return ((leg,) for leg in legs.get((currency, own), ()))


def _over_another(legs: _Legs, currency: str, own: str) -> Iterable[Way]:
    for (start, common), firsts in legs.items():
        if start == currency:
            for second in legs.get((common, own), ()):
                yield from ((first, second) for first in firsts)


def _preference(found: Way) -> tuple[int, int, tuple[str, ...]]:
    return len(found), sum(leg.inverse for leg in found), tuple(leg.symbol for leg in found)


# ---- by how much


@value(frozen=True, slots=True)
class Rate:
    """What one is worth in the desk's currency; None: why it is not known."""

    currency: str
    rate: Decimal | None
    symbols: tuple[str, ...] = ()
    why: str = ""


@value(frozen=True, slots=True)
class Exchange:
    """The rates of one moment."""

    to: str  # the desk's currency
    quote: str  # of the symbol that is judged; empty: the desk's
    rates: tuple[Rate, ...]  # of every other currency that is needed

    def rate(self, currency: str) -> Decimal | None:
        if currency in ("", self.to):
            return _ONE
        return next((each.rate for each in self.rates if each.currency == currency), None)

    @property
    def missing(self) -> str:
        """Which rates are not known, and why; empty: all are."""
        return "; ".join(each.why for each in self.rates if each.rate is None)

    def worth(self, amount: Decimal | None, currency: str) -> Decimal | None:
        """In the desk's currency; None: nobody knows."""
        rate = self.rate(currency)
        return None if amount is None or rate is None else EXACT.multiply(amount, rate)

    def total(self, amounts: Amounts | None) -> Decimal | None:
        """Likewise, of all of them together: never of a part."""
        if amounts is None:
            return None
        total = _ZERO
        for currency, amount in amounts.items():
            worth = self.worth(amount, currency) if amount else _ZERO
            if worth is None:
                return None
            total = EXACT.add(total, worth)
        return total


@dataclass(frozen=True, slots=True)
class Currencies:
    """Of a desk: made once, when its catalogue is known."""

    own: str = ""  # empty: it does not say, and everything counts as one
    quotes: Mapping[str, str] = field(default_factory=dict)  # by symbol, of those in another one
    ways: Mapping[str, Way] = field(default_factory=dict)  # by currency

    @classmethod
    def of(
        cls, own: str, instruments: Mapping[str, Instrument], heard: Container[str] | None = None
    ) -> "Currencies":
        """`heard`: the symbols of the feed, which alone have prices; None: all have."""
        if not own:
            return cls()
        known = instruments.values()
        priced_ones = [each for each in known if heard is None or each.symbol in heard]
        quotes = {each.symbol: each.quote_currency for each in known if each.quote_currency != own}
        named = {
            name
            for each in known
            for name in (each.base_currency, each.quote_currency, each.fee_currency)
        } - {"", own}
        found = {name: way(priced_ones, name, own) for name in sorted(named)}
        return cls(own, quotes, {name: each for name, each in found.items() if each is not None})

    def quote(self, symbol: str) -> str:
        """Empty: the desk's."""
        return self.quotes.get(symbol, "")

    def named(self, position: Position) -> Position:
        """With its currency, where whoever kept it did not know of several."""
        quote = self.quote(position.symbol)
        if position.currency or not quote:
            return position
        return replace(position, currency=quote)

    def exchange(
        self, quote: str, needed: Iterable[str], market: Market, most_age_ns: int
    ) -> Exchange:
        names = sorted(set(needed) - {"", self.own})
        return Exchange(
            self.own, quote, tuple(self._rate(name, market, most_age_ns) for name in names)
        )

    def _rate(self, currency: str, market: Market, most_age_ns: int) -> Rate:
        legs = self.ways.get(currency)
        if legs is None:
            own = self.own or "the desk's currency, which it does not say"
            why = f"{currency}: no symbol of the feed says what it is worth in {own}"
            return Rate(currency, None, why=why)
        symbols = tuple(leg.symbol for leg in legs)
        rate = _ONE
        for leg in legs:
            touch = priced(market(leg.symbol))
            if touch is None or touch.age_ns > most_age_ns:
                what = "no bid and ask" if touch is None else f"age {touch.age_ns / 1e9:.3f} s"
                return Rate(currency, None, symbols, f"{currency}: {leg.symbol} has {what}")
            mid = _DIVIDING.divide(_ONE, touch.mid) if leg.inverse else touch.mid
            rate = EXACT.multiply(rate, mid)
        return Rate(currency, rate, symbols)


ONE_CURRENCY = Currencies()


def added(amounts: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    amounts[currency] = EXACT.add(amounts.get(currency, _ZERO), amount)
