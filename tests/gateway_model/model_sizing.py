"""What a slow reading of decision 0019 makes of an intention: side and quantity, or why there are
none. In fractions, so that nothing is rounded but where the decision says so.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import floor, fsum, log, sqrt
from typing import TYPE_CHECKING, Any

import model_currencies
from model_verdict import FRESH_NS, Price, PriceOf
from trading.signals import Direction, OrderType, Side, Signal

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

SECOND_NS = 10**9
YEAR_S = 365 * 86_400
SET_BACK_NS = SECOND_NS  # quotes that go back further are of another run of the feed
FINEST = 10**9  # shares and weights are whole billionths
Spec = Mapping[str, Any]


def meant(
    model: "DeskModel", strategy: str, signal: Signal, price_of: PriceOf, stood: Sequence["Fact"]
) -> tuple[Signal, str]:
    """The order that it comes to, of nothing where a reason says why."""
    none = replace(signal, quantity=Decimal(0))
    if signal.quantity or signal.order_type is not OrderType.MARKET:
        return none, "invalid_signal"
    if any(each is not None and not 0 <= each <= 1 for each in (signal.confidence, signal.size)):
        return none, "invalid_signal"
    if signal.direction is Direction.NONE:
        return none, ""
    if signal.direction is Direction.CLOSE:
        return _closing(model, strategy, none)
    side = Side.BUY if signal.direction is Direction.LONG else Side.SELL
    return _opening(model, strategy, replace(none, side=side), price_of, stood)


def _closing(model: "DeskModel", strategy: str, signal: Signal) -> tuple[Signal, str]:
    """All that is there once market orders are filled, less what is being closed."""

    def works(side: Side, *, at_market: bool = False) -> Decimal:
        return model.reserved(strategy, signal.symbol, side, at_market=at_market)

    held = model.position(strategy, signal.symbol)
    net = held + works(Side.BUY, at_market=True) - works(Side.SELL, at_market=True)
    side, other = (Side.SELL, Side.BUY) if net > 0 else (Side.BUY, Side.SELL)
    left = abs(held) if (held > 0) == (side is Side.SELL) else -abs(held)
    left += works(other, at_market=True) - works(side)
    if not net or left <= 0:
        return signal, "reducing_only"
    return replace(signal, side=side, quantity=left, closing=True), ""


def _opening(
    model: "DeskModel", strategy: str, signal: Signal, price_of: PriceOf, stood: Sequence["Fact"]
) -> tuple[Signal, str]:
    sizings = model.terms(strategy)["sizings"]
    if not sizings:
        return signal, "not_sized"

    def mids(symbol: str) -> Decimal | None:
        return _fresh_mid(price_of(symbol))

    needed = model_currencies.needed(model, strategy, signal.symbol)
    if model_currencies.are_missing(model, needed, mids):
        return signal, "no_rate"
    equity = model.equity(strategy, mids)
    rate = model_currencies.rate(model, model_currencies.quote(model, signal.symbol), mids)
    price, targets = price_of(signal.symbol), []
    for sizing in sizings:
        if price is None or equity is None or rate is None:
            return signal, "no_price"
        ((method, said),) = sizing.items()
        share = _METHODS[method](said, _quotes(stood, signal.symbol)) if equity > 0 else None
        if share is None:
            return signal, "not_sized"
        money = Fraction(equity) * _billionths(share) * _weight(signal)
        targets.append(_lots(model, signal.symbol, money / Fraction(price.ask) / Fraction(rate)))
    held = model.position(strategy, signal.symbol) * (1 if signal.side is Side.BUY else -1)
    reached = held + model.reserved(strategy, signal.symbol, signal.side)
    missing = _lots(model, signal.symbol, Fraction(min(targets) - reached), each=1)
    return (replace(signal, quantity=missing), "") if missing > 0 else (signal, "not_sized")


def _lots(model: "DeskModel", symbol: str, units: Fraction, each: int = 0) -> Decimal:
    found = model.instruments.get(symbol)
    lot = found.lot_size if found else Decimal(1)
    multiplier = Fraction(each or model.multiplier(symbol))
    return max(0, floor(units / multiplier / Fraction(lot))) * lot


def _weight(signal: Signal) -> Fraction:
    weight = Fraction(1)
    for stated in (signal.confidence, signal.size):
        if stated is not None:
            weight = _billionths(weight * Fraction(stated))
    return weight


def _billionths(number: Fraction) -> Fraction:
    return Fraction(floor(number * FINEST), FINEST)


def _fresh_mid(price: Price | None) -> Decimal | None:
    return price.mid if price and price.age_ns <= FRESH_NS else None


# ---- shares of equity; None: not known, or none


def _fixed(said: Spec, _: Sequence["Fact"]) -> Fraction | None:
    return Fraction(str(said["fraction"]))


def _kelly(said: Spec, _: Sequence["Fact"]) -> Fraction | None:
    wins, payoff = Fraction(said["winRate"]), Fraction(said["payoff"])
    edge = wins - (1 - wins) / payoff
    return min(Fraction(said["cap"]), edge * Fraction(str(said["fraction"]))) if edge > 0 else None


def _targeted(said: Spec, quotes: Sequence["Fact"]) -> Fraction | None:
    found = volatility(quotes, said["stepSeconds"], said["returns"])
    return min(Fraction(said["cap"]), Fraction(said["volatility"]) / found) if found else None


_METHODS: Mapping[str, Callable[[Spec, Sequence["Fact"]], Fraction | None]] = {
    "fixedFraction": _fixed,
    "kelly": _kelly,
    "volatilityTarget": _targeted,
}


def _quotes(stood: Sequence["Fact"], symbol: str) -> list["Fact"]:
    """Since the feed's time was set back last."""
    found: list[Fact] = []
    for each in stood:
        if each["symbol"] == symbol and each["price"]:
            if found and each["at_ns"] < found[-1]["at_ns"] - SET_BACK_NS:
                found = []
            found.append(each)
    return found


def volatility(quotes: Sequence["Fact"], step_s: int, returns: int) -> Fraction | None:
    """A year's, of the mids that stood a step apart, the last quote's the last."""
    mids = []
    for back in range(returns + 1):
        at_ns = quotes[-1]["at_ns"] - back * step_s * SECOND_NS if quotes else 0
        there = [each for each in quotes if each["at_ns"] <= at_ns]
        if not there or at_ns - there[-1]["at_ns"] >= step_s * SECOND_NS:
            return None
        mids.append(float(sum(there[-1]["price"]) / 2))
    changes = [log(now) - log(before) for now, before in itertools.pairwise(mids)]
    mean = fsum(changes) / len(changes)
    variance = fsum((each - mean) ** 2 for each in changes) / (len(changes) - 1)
    return Fraction(sqrt(variance) * sqrt(YEAR_S / step_s))
