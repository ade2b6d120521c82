"""What several strategies may come to together, of a symbol, an account or the desk: each limit a
check, in the order in which they apply. What they hold beyond a limit is `model_excess`'.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import model_currencies
import model_marks
import model_pools
import model_rates
import model_samples
from model_currencies import Amounts
from trading.scopes import Level, Scope
from trading.signals import Side

if TYPE_CHECKING:
    from desk_model import DeskModel
    from model_verdict import Asked

ZERO = Decimal(0)
EXPOSURES = {"max_gross_exposure", "max_net_exposure"}
OF_AMOUNTS = {
    *("max_order_value", "max_value_at_risk", "max_correlation"),
    *EXPOSURES,
    *model_marks.OF_EQUITY,
}


class Total:
    """What a scope has together, and what an order would make of it."""

    def __init__(self, asked: "Asked", scope: Scope, limits: Mapping[str, Decimal]) -> None:
        self.asked, self.scope, self.limits, self.model = asked, scope, limits, asked.model
        self.names = model_pools.members(asked.model, scope)

    @cached_property
    def symbols(self) -> set[str]:
        if self.scope.level is Level.SYMBOL:
            return {self.scope.name}
        at_stake = (self.model.symbols_at_stake(each) for each in self.names)
        return {self.asked.signal.symbol}.union(*at_stake)

    def stretches(self, symbol: str) -> Iterator[tuple[Decimal, Decimal]]:
        """How long and how short each could become, with this order."""
        asked, model = self.asked, self.model
        for name in self.names:
            held = model.position(name, symbol)
            most = held + model.reserved(name, symbol, Side.BUY)
            least = held - model.reserved(name, symbol, Side.SELL)
            if name == asked.strategy and symbol == asked.signal.symbol:
                most += asked.quantity if asked.signal.side is Side.BUY else ZERO
                least -= asked.quantity if asked.signal.side is Side.SELL else ZERO
            yield most, least

    @cached_property
    def equity(self) -> Decimal | None:
        """What long and short of several come to nothing needs no price for."""
        held: dict[str, Decimal] = {}
        for name in self.names:
            for symbol in _within(self.model, self.scope, name):
                held[symbol] = held.get(symbol, ZERO) + self.model.position(name, symbol)
        found = paid(self.model, self.scope)
        for symbol, quantity in held.items():
            mid = self.asked.fresh_mid(symbol) if quantity else ZERO
            if mid is None:
                return None
            worth = quantity * mid * self.model.multiplier(symbol)
            model_currencies.add(found, model_currencies.quote(self.model, symbol), worth)
        return model_currencies.total(self.model, found, self.asked.fresh_mid)

    @cached_property
    def balance(self) -> Decimal | None:
        found: Amounts = {}
        for name in self.names:
            for currency, amount in self.model.balances(name).items():
                model_currencies.add(found, currency, amount)
            terms = self.model.terms(name)
            unfunded = terms["capital"] - model_marks.funds(terms)
            model_currencies.add(found, self.model.currency, -unfunded)
        return model_currencies.total(self.model, found, self.asked.fresh_mid)

    @cached_property
    def currencies(self) -> set[str]:
        """Those of which its limits need a rate: of this order, and where they look at more, of
        what is at stake and what was won or lost."""
        model, names = self.model, OF_AMOUNTS & self.limits.keys()
        found = {self.asked.signal.symbol} if names else set()
        earned: Amounts = {}
        for name in self.names if names - {"max_order_value"} else ():
            found |= model.symbols_at_stake(name) & self.symbols
            for currency, amount in self._earned(name, fees=bool(names & model_marks.OF_EQUITY)):
                model_currencies.add(earned, currency, amount)
        needed = {model_currencies.quote(model, each) for each in found}
        return (needed | {each for each in earned if earned[each]}) - {model.currency}

    def _earned(self, name: str, *, fees: bool) -> Iterator[tuple[str, Decimal]]:
        """`fees`: also those in another currency than the symbol's."""
        model, symbols = self.model, _within(self.model, self.scope, name)
        for symbol in symbols:
            yield model_currencies.quote(model, symbol), model.bought(name, symbol)[1]
        for fill in model.fills(name):
            charged_in = model_currencies.of_fee(model, fill)
            usual = charged_in == model_currencies.quote(model, fill["symbol"])
            if fill["symbol"] in symbols and (usual or fees):
                yield charged_in, -fill["fee"]

    @cached_property
    def marks(self) -> model_marks.Marks:
        found = model_marks.of_scope(self.model, self.scope)
        assert found is not None
        return found

    @cached_property
    def worths(self) -> dict[str, list[tuple[Decimal, Decimal]]] | None:
        """By symbol, what each could come to be worth: most and least. None: a price is missing."""
        found = {}
        for symbol in self.symbols:
            unit = self.asked.unit(symbol)
            if unit is None:
                return None
            found[symbol] = [(most * unit, least * unit) for most, least in self.stretches(symbol)]
        return found

    @property
    def at_work(self) -> int:
        orders = [o for name in self.names for o in self.model.orders_at_work(name).values()]
        return sum(
            self.scope.level is not Level.SYMBOL or o["symbol"] in self.symbols for o in orders
        )


def paid(model: "DeskModel", scope: Scope) -> Amounts:
    """Capital, and all that was paid and received."""
    found: Amounts = {}
    for name in model_pools.members(model, scope):
        if scope.level is not Level.SYMBOL:
            model_currencies.add(found, model.currency, model_marks.funds(model.terms(name)))
        for currency, amount in model.paid(name, _within(model, scope, name)).items():
            model_currencies.add(found, currency, amount)
    return found


def _within(model: "DeskModel", scope: Scope, name: str) -> set[str]:
    symbols = model.symbols(name)
    return symbols & {scope.name} if scope.level is Level.SYMBOL else symbols


# ---- the checks


def order_value(total: Total, most: Decimal) -> str | None:
    worth = total.asked.value
    return "max_order_value" if worth is None or worth > most else None


def position_size(total: Total, most: Decimal) -> str | None:
    """What one is long sets off nothing that another is short."""
    signal, reached = total.asked.signal, ZERO
    for longest, shortest in total.stretches(signal.symbol):
        reached += max(ZERO, longest if signal.side is Side.BUY else -shortest)
    return "max_position_size" if reached > most else None


def daily_loss(total: Total, most: Decimal) -> str | None:
    if total.equity is None:
        return "no_price"
    return "max_daily_loss" if total.marks.start - total.equity > most else None


def drawdown(total: Total, most: Decimal) -> str | None:
    if total.equity is None:
        return "no_price"
    peak = total.marks.peak
    return "max_drawdown" if peak <= 0 or peak - total.equity > peak * most else None


def least_balance(total: Total, least: Decimal) -> str | None:
    if total.equity is None or total.balance is None:
        return "no_price"
    lower = min(total.equity, total.balance)
    return "min_account_balance" if lower < least else None


def rate_a_second(total: Total, _: Decimal) -> str | None:
    return _rate(total, "max_orders_per_second")


def rate_a_minute(total: Total, _: Decimal) -> str | None:
    return _rate(total, "max_orders_per_minute")


def _rate(total: Total, limit: str) -> str | None:
    left = model_rates.of_scope(total.model, total.scope, limit, total.asked.now_ns)
    return limit if left < 1 else None


def open_orders(total: Total, most: Decimal) -> str | None:
    return "max_open_orders" if total.at_work >= most else None


def gross_exposure(total: Total, most: Decimal) -> str | None:
    if total.worths is None:
        return "no_price"
    gross = sum((_worst(each) for each in total.worths.values()), ZERO)
    return "max_gross_exposure" if gross > most else None


def net_exposure(total: Total, limit: Decimal) -> str | None:
    if total.worths is None:
        return "no_price"
    each = [worth for worths in total.worths.values() for worth in worths]
    longest = sum((most for most, _ in each), ZERO)
    shortest = sum((least for _, least in each), ZERO)
    return "max_net_exposure" if max(longest, -shortest) > limit else None


def concentration(total: Total, share: Decimal) -> str | None:
    if total.equity is None or total.worths is None:
        return "no_price"
    worst = _worst(total.worths[total.asked.signal.symbol])
    fine = total.equity > 0 and worst <= total.equity * share
    return None if fine else "max_concentration"


def _worst(worths: list[tuple[Decimal, Decimal]]) -> Decimal:
    return sum((max(abs(most), abs(least)) for most, least in worths), ZERO)


def value_at_risk(total: Total, most: Decimal) -> str | None:
    """Long and short of several set off."""
    if total.currencies:
        return "no_rate"
    stakes: dict[str, tuple[float, float]] = {}
    for symbol in sorted(total.symbols):
        stretches = list(total.stretches(symbol))
        order = total.asked.quantity if symbol == total.asked.signal.symbol else ZERO
        longest = sum((longest for longest, _ in stretches), ZERO)
        shortest = sum((shortest for _, shortest in stretches), ZERO)
        if total.asked.signal.side is Side.BUY:  # once it is filled: then nothing takes it back
            shortest += order
        else:
            longest -= order
        if longest or shortest:
            multiplier = float(total.model.multiplier(symbol))
            stakes[symbol] = float(longest) * multiplier, float(shortest) * multiplier
    return model_samples.beyond_value_at_risk(total.asked, stakes, most)


def correlation(total: Total, most: Decimal) -> str | None:
    if total.currencies:
        return "no_rate"
    return model_samples.beyond_correlation(total.asked, total.names, most)


CHECKS: Mapping[str, Callable[[Total, Decimal], str | None]] = {
    "max_order_value": order_value,
    "max_position_size": position_size,
    "max_daily_loss": daily_loss,
    "max_drawdown": drawdown,
    "min_account_balance": least_balance,
    "max_orders_per_second": rate_a_second,
    "max_orders_per_minute": rate_a_minute,
    "max_open_orders": open_orders,
    "max_gross_exposure": gross_exposure,
    "max_net_exposure": net_exposure,
    "max_concentration": concentration,
    "max_value_at_risk": value_at_risk,
    "max_correlation": correlation,
}


def refusal(asked: "Asked") -> str | None:
    """Of the narrowest scope that objects; each that is asked notes what it is worth."""
    for scope in model_pools.covering(asked.model, asked.strategy, asked.signal.symbol):
        limits = model_pools.limits(asked.model, scope)
        total = Total(asked, scope, limits)
        if model_marks.OF_EQUITY & limits.keys() and total.equity is not None:
            asked.model.note(
                "valued together", scope=scope, at_ns=asked.now_ns, equity=total.equity, by=asked.by
            )
        if model_currencies.are_missing(asked.model, total.currencies, asked.fresh_mid):
            asked.refused_by = scope.level.value
            return "no_rate"
        for name, check in CHECKS.items():
            if name in limits and (reason := check(total, limits[name])):
                asked.refused_by = scope.level.value
                return reason
    return None
