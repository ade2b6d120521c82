"""What a slow reading of docs/gateway.md says of several currencies: what amounts were made in, by
which mids one is worth the desk's, and that without one of them nothing is added up.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

ZERO = Decimal(0)
INVERTING = Context(prec=34)
Mids = Callable[[str], Decimal | None]  # of fresh quotes
Amounts = dict[str, Decimal]


class Leg(NamedTuple):
    """What one of a currency is worth in another: a symbol's mid, or its inverse."""

    start: str
    end: str
    symbol: str
    inverse: bool


def quote(model: "DeskModel", symbol: str) -> str:
    """Empty where the desk does not say its own: everything is in one."""
    found = model.instruments.get(symbol)
    return found.quote_currency if model.currency and found else model.currency


def of_fee(model: "DeskModel", fill: "Fact") -> str:
    """As its venue says, or else the catalogue."""
    found = model.instruments.get(fill["symbol"])
    said: str = fill["fee_currency"] or (found.fee_currency if found else "")
    return said if model.currency and said else quote(model, fill["symbol"])


def add(amounts: Amounts, currency: str, amount: Decimal) -> None:
    amounts[currency] = amounts.get(currency, ZERO) + amount


def total(model: "DeskModel", amounts: Mapping[str, Decimal], mids: Mids) -> Decimal | None:
    """Nothing is nothing in every currency; None: a rate is missing."""
    found = ZERO
    for currency, amount in amounts.items():
        each = worth(model, amount, currency, mids) if amount else ZERO
        if each is None:
            return None
        found += each
    return found


def worth(model: "DeskModel", amount: Decimal, currency: str, mids: Mids) -> Decimal | None:
    found = rate(model, currency, mids)
    with localcontext(prec=100):
        return None if found is None else amount * found


def rate(model: "DeskModel", currency: str, mids: Mids) -> Decimal | None:
    if currency == model.currency:
        return Decimal(1)
    found = Decimal(1)
    ways = _ways(model, currency)
    if not ways:
        return None
    for leg in min(ways, key=_preference):
        mid = mids(leg.symbol)
        if mid is None:
            return None
        with localcontext(prec=100):
            found *= INVERTING.divide(Decimal(1), mid) if leg.inverse else mid
    return found


def _ways(model: "DeskModel", currency: str) -> list[list[Leg]]:
    legs = list(_legs(model))
    firsts = [leg for leg in legs if leg.start == currency]
    seconds = [leg for leg in legs if leg.end == model.currency]
    direct = [[leg] for leg in firsts if leg in seconds]
    return direct + [[one, two] for one in firsts for two in seconds if one.end == two.start]


def _legs(model: "DeskModel") -> Iterable[Leg]:
    for each in map(model.instruments.__getitem__, model.feed):
        if each.contract_multiplier == 1:
            yield Leg(each.base_currency, each.quote_currency, each.symbol, inverse=False)
            yield Leg(each.quote_currency, each.base_currency, each.symbol, inverse=True)


def _preference(way: list[Leg]) -> tuple[int, int, list[str]]:
    return len(way), sum(leg.inverse for leg in way), [leg.symbol for leg in way]


# ---- what a strategy needs


def needed(model: "DeskModel", strategy: str, symbol: str) -> set[str]:
    """Other than the desk's: of what it ever traded or paid, what it has at work, and this one."""
    found = {quote(model, each["symbol"]) for each in model.fills(strategy)}
    found |= {of_fee(model, each) for each in model.fills(strategy)}
    at_work = model.orders_at_work(strategy).values()
    found |= {quote(model, each["symbol"]) for each in at_work}
    return (found | {quote(model, symbol)}) - {model.currency}


def are_missing(model: "DeskModel", currencies: Iterable[str], mids: Mids) -> bool:
    return any(rate(model, each, mids) is None for each in currencies)
