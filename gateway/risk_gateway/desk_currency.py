"""The desk's currency at a start: what it can be, and that it stays what it was."""

from collections.abc import Iterable, Mapping

import structlog

from risk_gateway.records import Started
from risk_gateway.strategy import Strategy
from stratops_process.environment import InvalidSettings
from trading.currencies import Currencies
from trading.instruments import Instrument

log = structlog.get_logger()


def currencies_of(
    currency: str, instruments: Mapping[str, Instrument], heard: Iterable[str]
) -> Currencies:
    """Raises InvalidSettings."""
    symbols = frozenset(heard)
    if not currency:
        _warn_of_several(instruments, symbols)
        return Currencies()
    known = {each.quote_currency for each in instruments.values()}
    if currency not in known:
        expected = f"one that the catalogue quotes in: {', '.join(sorted(known))}"
        raise InvalidSettings(f"STRATOPS_CURRENCY: {currency!r}, expected {expected}")
    return Currencies.of(currency, instruments, symbols)


def check_currency(currency: str, before: Started | None) -> None:
    """What losses are measured from is in it. Raises InvalidSettings."""
    if before is not None and before.currency and currency != before.currency:
        expected = f"{before.currency!r}, in which the journal was begun"
        raise InvalidSettings(f"STRATOPS_CURRENCY: {currency!r}, expected {expected}")


def check_quotes(
    instruments: Mapping[str, Instrument], before: Started | None, strategies: Iterable[Strategy]
) -> None:
    """What a symbol made is in the currency that it was quoted in. Raises InvalidSettings."""
    if before is None or not before.currency:
        return
    for strategy in strategies:
        for symbol in sorted({*strategy.account.positions, *_at_work(strategy)}):
            was, now = before.instruments.get(symbol), instruments.get(symbol)
            if was is not None and (now is None or now.quote_currency != was.quote_currency):
                found = f"quoted in {now.quote_currency!r}" if now else "not in it"
                expected = f"{was.quote_currency!r}, in which {strategy.name} has traded it"
                raise InvalidSettings(f"STRATOPS_CATALOGUE: {symbol} {found}, expected {expected}")


def _at_work(strategy: Strategy) -> Iterable[str]:
    return (order.symbol for order in strategy.account.orders.values())


def _warn_of_several(instruments: Mapping[str, Instrument], heard: frozenset[str]) -> None:
    quotes = {each.quote_currency for each in instruments.values() if each.symbol in heard}
    if len(quotes) > 1:
        log.warning("currency_not_said", counted_as_one=sorted(quotes), set="STRATOPS_CURRENCY")
