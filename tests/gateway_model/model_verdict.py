"""What a slow reading of docs/gateway.md and docs/contracts.md says about one signal.

A check answers a reason or None; `ALWAYS`, `CLOSING` and `OPENING` have the order they apply in. To
model another limit: a check here, its place in the tuple, and what it reads as a property of
`Asked` that works it out from the model's facts.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import model_currencies
import model_pools
import model_totals
from model_samples import correlation, value_at_risk
from model_votes import has_consensus
from trading.instruments import Instrument
from trading.signals import Action, Side, Signal

if TYPE_CHECKING:
    from desk_model import DeskModel

ZERO = Decimal(0)
LARGEST = Decimal(10) ** 15
FRESH_NS = 5 * 10**9


class Price(NamedTuple):
    bid: Decimal
    ask: Decimal
    age_ns: int

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


PriceOf = Callable[[str], Price | None]


class Asked:
    """One signal, and what the facts say at its moment. Worked out once a question, not kept."""

    def __init__(
        self,
        model: "DeskModel",
        strategy: str,
        signal: Signal,
        now_ns: int,
        price_of: PriceOf,
        *,
        own: bool,
        by: str,
    ) -> None:
        self.model, self.strategy, self.signal = model, strategy, signal
        self.now_ns, self.price_of, self.own = now_ns, price_of, own
        self.by, self.refused_by = by, ""  # the batch, and whose limit it was
        self.terms = model.terms(strategy)
        self.sign = 1 if signal.side is Side.BUY else -1
        self.eases = False  # a modification that asks for less of the same

    @cached_property
    def instrument(self) -> Instrument | None:
        return self.model.instruments.get(self.signal.symbol)

    @cached_property
    def price(self) -> Price | None:
        return self.price_of(self.signal.symbol)

    @cached_property
    def quantity(self) -> Decimal:
        wanted, instrument = self.signal.quantity, self.instrument
        if not wanted.is_finite() or not 0 < wanted <= LARGEST:
            return ZERO
        lot = instrument.lot_size if instrument else Decimal(1)
        return wanted // lot * lot

    @cached_property
    def position(self) -> Decimal:
        return self.model.position(self.strategy, self.signal.symbol)

    @cached_property
    def same_side(self) -> Decimal:
        """Position and all that works on this side, as this side sees it."""
        works = self.model.reserved(self.strategy, self.signal.symbol, self.signal.side)
        return self.position * self.sign + works

    @cached_property
    def closing(self) -> bool:
        return 0 < self.quantity <= -self.same_side

    @cached_property
    def closable(self) -> Decimal:
        """With the market orders under way on the other side counted as held."""
        other = Side.SELL if self.signal.side is Side.BUY else Side.BUY
        coming = self.model.reserved(self.strategy, self.signal.symbol, other, at_market=True)
        return max(ZERO, coming - self.same_side)

    @cached_property
    def mid(self) -> Decimal | None:
        return self.price.mid if self.price else None

    def fresh_mid(self, symbol: str) -> Decimal | None:
        price = self.price_of(symbol)
        return price.mid if price and price.age_ns <= FRESH_NS else None

    @cached_property
    def equity(self) -> Decimal | None:
        return self.model.equity(self.strategy, self.fresh_mid)

    @cached_property
    def balance(self) -> Decimal | None:
        return self.model.balance(self.strategy, self.fresh_mid)

    @cached_property
    def currencies(self) -> set[str]:
        """Those that need a rate."""
        return model_currencies.needed(self.model, self.strategy, self.signal.symbol)

    @property
    def value(self) -> Decimal | None:
        """Its worth, in the desk's currency."""
        if self.worth is None:
            return None
        quote = model_currencies.quote(self.model, self.signal.symbol)
        return model_currencies.worth(self.model, self.worth, quote, self.fresh_mid)

    def unit(self, symbol: str) -> Decimal | None:
        """What one is worth, in the desk's currency."""
        mid, quote = self.fresh_mid(symbol), model_currencies.quote(self.model, symbol)
        if mid is None:
            return None
        one = mid * self.model.multiplier(symbol)
        return model_currencies.worth(self.model, one, quote, self.fresh_mid)

    @cached_property
    def worth(self) -> Decimal | None:
        """The most that the order may turn out to be worth."""
        signal, price = self.signal, self.price
        limited = signal.order_type in ("limit", "stop_limit")
        if signal.side is Side.BUY and limited:
            assert signal.price is not None
            return self.quantity * signal.price * self.multiplier
        if price is None:
            return None
        prices = [price.ask if signal.side is Side.BUY else price.bid]
        prices += [signal.stop_price] if signal.stop_price is not None else []
        prices += [signal.price] if limited and signal.price is not None else []
        return self.quantity * max(prices) * self.multiplier

    @property
    def multiplier(self) -> Decimal:
        return self.instrument.contract_multiplier if self.instrument else Decimal(1)

    @cached_property
    def exposures(self) -> tuple[Decimal, Decimal, Decimal] | None:
        """Gross, net, and the symbol's own, if all that works were filled in the worst way."""
        symbols = self.model.symbols_at_stake(self.strategy) | {self.signal.symbol}
        gross = own = longest = shortest = ZERO
        for symbol in symbols:
            mid = self.unit(symbol)
            if mid is None:
                return None
            most, least = self._stretch(symbol)
            worst = max(abs(most), abs(least)) * mid
            gross += worst
            longest += most * mid
            shortest += least * mid
            own = worst if symbol == self.signal.symbol else own
        return gross, max(longest, -shortest, ZERO), own

    def _stretch(self, symbol: str) -> tuple[Decimal, Decimal]:
        held = self.model.position(self.strategy, symbol)
        most = held + self.model.reserved(self.strategy, symbol, Side.BUY)
        least = held - self.model.reserved(self.strategy, symbol, Side.SELL)
        if symbol == self.signal.symbol:
            if self.signal.side is Side.BUY:
                most += self.quantity
            else:
                least -= self.quantity
        return most, least

    @property
    def observed(self) -> bool:
        """Nothing is ever held, so nothing can be asked to close."""
        return self.terms["mode"] == "observation" and not self.own

    def limit(self, name: str) -> Decimal:
        found: Decimal = self.terms["limits"][name]
        return found


Check = Callable[[Asked], str | None]


def halted(asked: Asked) -> str | None:
    halts = asked.model.halted_for(asked.strategy, asked.signal.symbol)
    return "halted" if halts else None


def instrument(asked: Asked) -> str | None:
    return None if asked.instrument else "unknown_instrument"


def whole(asked: Asked) -> str | None:
    signal = asked.signal
    fractions = [each for each in (signal.confidence, signal.max_slippage) if each is not None]
    fine = all(each.is_finite() and 0 <= each <= 1 for each in fractions)
    fine = fine and (signal.size is None or signal.direction is not None)
    fine = fine and (not signal.post_only or (signal.order_type == "limit" and stays(signal)))
    return None if fine and 1 <= signal.priority <= 10 else "invalid_signal"


def expiry(asked: Asked) -> str | None:
    expires_ns = asked.signal.expires_ns
    return "expired" if expires_ns is not None and expires_ns <= asked.now_ns else None


def tradable_quantity(asked: Asked) -> str | None:
    assert asked.instrument
    fine = asked.quantity > 0 and asked.quantity >= asked.instrument.min_quantity
    return None if fine else "invalid_quantity"


def prices(asked: Asked) -> str | None:
    """A limit needs a price, a stop a stop price, a stop limit both; a market order has no stop."""
    signal, kind = asked.signal, asked.signal.order_type
    given = [each for each in (signal.price, signal.stop_price) if each is not None]
    sane = all(each.is_finite() and 0 < each <= LARGEST for each in given)
    has_price, has_stop = signal.price is not None, signal.stop_price is not None
    shape = {
        "market": not has_stop,
        "limit": has_price and not has_stop,
        "stop": has_stop and not has_price,
        "stop_limit": has_price and has_stop,
    }[kind]
    return None if sane and shape else "invalid_price"


def increments(asked: Asked) -> str | None:
    assert asked.instrument
    if asked.signal.order_type == "market":
        return None
    given = [each for each in (asked.signal.price, asked.signal.stop_price) if each is not None]
    off = any(each % asked.instrument.price_increment for each in given)
    return "price_off_increment" if off else None


def something_to_close(asked: Asked) -> str | None:
    too_much = asked.quantity > asked.closable
    return "reducing_only" if asked.signal.closing and not asked.observed and too_much else None


def may_open(asked: Asked) -> str | None:
    only_closing = asked.own or asked.terms["closing_only"] or asked.model.reducing
    only_closing = only_closing or asked.model.is_paused(asked.strategy, asked.signal.symbol)
    return "reducing_only" if only_closing else None


def manifest_symbols(asked: Asked) -> str | None:
    """Of revisions and policies that allow nothing in common, nothing is left of the manifest."""
    allowed = asked.terms["allowed"]
    if allowed and not set.intersection(*allowed):
        return "symbol_not_allowed"
    return None if asked.signal.symbol in asked.terms["symbols"] else "symbol_not_allowed"


def allowed_symbols(asked: Asked) -> str | None:
    fine = all(asked.signal.symbol in each for each in asked.terms["allowed"])
    return None if fine else "allowed_symbols"


def blocked_symbols(asked: Asked) -> str | None:
    return "blocked_symbols" if asked.signal.symbol in asked.terms["blocked"] else None


def price_known(asked: Asked) -> str | None:
    return None if asked.price else "no_price"


def price_fresh(asked: Asked) -> str | None:
    assert asked.price
    return "stale_price" if asked.price.age_ns > FRESH_NS else None


def min_notional(asked: Asked) -> str | None:
    assert asked.instrument
    worth = asked.worth
    return (
        "invalid_quantity" if worth is not None and worth < asked.instrument.min_notional else None
    )


def slippage(asked: Asked) -> str | None:
    """How much worse than expected it may trade; what nobody can know refuses what opens."""
    most, signal, price = asked.signal.max_slippage, asked.signal, asked.price
    if most is None:
        return None
    fresh = price if price and price.age_ns <= FRESH_NS else None
    met = (fresh.ask if signal.side is Side.BUY else fresh.bid) if fresh else None
    expected, reached = {
        "market": (signal.price or (fresh.mid if fresh else None), met),
        "limit": (met, signal.price),
        "stop_limit": (signal.stop_price, signal.price),
        "stop": (None, None),
    }[signal.order_type]
    if expected is None or reached is None:
        return None if asked.closing or asked.eases else "slippage"
    return "slippage" if (reached - expected) * asked.sign / expected > most else None


def rates_known(asked: Asked) -> str | None:
    missing = model_currencies.are_missing(asked.model, asked.currencies, asked.fresh_mid)
    return "no_rate" if missing else None


def confidence(asked: Asked) -> str | None:
    given = asked.signal.confidence
    return "min_confidence" if given is not None and given < asked.limit("min_confidence") else None


def order_value(asked: Asked) -> str | None:
    worth = asked.value
    return "max_order_value" if worth is None or worth > asked.limit("max_order_value") else None


def position_size(asked: Asked) -> str | None:
    reached = asked.same_side + asked.quantity
    return "max_position_size" if reached > asked.limit("max_position_size") else None


def equity_known(asked: Asked) -> str | None:
    return "no_price" if asked.equity is None else None


def daily_loss(asked: Asked) -> str | None:
    assert asked.equity is not None
    lost = asked.model.day(asked.strategy).start - asked.equity
    return "max_daily_loss" if lost > asked.limit("max_daily_loss") else None


def drawdown(asked: Asked) -> str | None:
    assert asked.equity is not None
    peak = asked.model.day(asked.strategy).peak
    fallen = peak <= 0 or peak - asked.equity > peak * asked.limit("max_drawdown")
    return "max_drawdown" if fallen else None


def balance(asked: Asked) -> str | None:
    assert asked.equity is not None
    if asked.balance is None:
        return "min_account_balance"
    least = min(asked.equity, asked.balance)
    return "min_account_balance" if least < asked.limit("min_account_balance") else None


def rate_a_second(asked: Asked) -> str | None:
    left = asked.model.orders_left(asked.strategy, "max_orders_per_second", asked.now_ns)
    return "max_orders_per_second" if left < 1 else None


def rate_a_minute(asked: Asked) -> str | None:
    left = asked.model.orders_left(asked.strategy, "max_orders_per_minute", asked.now_ns)
    return "max_orders_per_minute" if left < 1 else None


def price_deviation(asked: Asked) -> str | None:
    assert asked.mid is not None
    if asked.signal.order_type == "market":
        return None
    given = [each for each in (asked.signal.price, asked.signal.stop_price) if each is not None]
    furthest = max(abs(each - asked.mid) for each in given)
    most = asked.mid * asked.limit("max_price_deviation")
    return "max_price_deviation" if furthest > most else None


def open_orders(asked: Asked) -> str | None:
    at_work = len(asked.model.orders_at_work(asked.strategy))
    return "max_open_orders" if at_work >= asked.limit("max_open_orders") else None


def exposure_known(asked: Asked) -> str | None:
    return "no_price" if asked.exposures is None else None


def gross_exposure(asked: Asked) -> str | None:
    assert asked.exposures
    return "max_gross_exposure" if asked.exposures[0] > asked.limit("max_gross_exposure") else None


def net_exposure(asked: Asked) -> str | None:
    assert asked.exposures
    return "max_net_exposure" if asked.exposures[1] > asked.limit("max_net_exposure") else None


def concentration(asked: Asked) -> str | None:
    assert asked.exposures
    assert asked.equity is not None
    share = asked.limit("max_concentration")
    fine = asked.equity > 0 and asked.exposures[2] <= asked.equity * share
    return None if fine else "max_concentration"


def self_trade(asked: Asked) -> str | None:
    """An order meets those of the other side that are open in its account: by price, where one of
    the two may rest."""
    signal = asked.signal
    coming = {
        "type": signal.order_type.value,
        "price": signal.price,
        "stop_price": signal.stop_price,
        "stays": stays(signal),
    }
    account = asked.model.account(asked.strategy)
    if model_pools.may_trade_with_itself(asked.model, account):
        return None
    for order in asked.model.orders().values():
        facing = order["symbol"] == signal.symbol and order["side"] is not signal.side
        facing = facing and account == asked.model.account(order["strategy"])
        if facing and asked.model.is_open(order):
            for terms in _either(order):
                buy, sell = (coming, terms) if asked.sign > 0 else (terms, coming)
                if _meet(buy, sell):
                    return "self_trade"
    return None


def _either(order: dict[str, Any]) -> list[dict[str, Any]]:
    """As it is, and as it may be once the venue has decided."""
    asked = order["asked"]
    return [order, {**order, "price": asked["terms"].price}] if asked else [order]


def _meet(buy: dict[str, Any], sell: dict[str, Any]) -> bool:
    limits = ("limit", "stop_limit")
    if not any(each["type"] in limits and each["stays"] for each in (buy, sell)):
        return False
    if buy["type"] in limits and sell["type"] in limits:
        return bool(buy["price"] >= sell["price"])
    if buy["type"] == "stop":  # it comes when the market is there: what asks for less is gone
        return bool(sell["price"] >= buy["stop_price"])
    if sell["type"] == "stop":
        return bool(buy["price"] <= sell["stop_price"])
    return True


ALWAYS: tuple[Check, ...] = (
    halted,
    instrument,
    whole,
    expiry,
    tradable_quantity,
    prices,
    increments,
)
CLOSING: tuple[Check, ...] = (min_notional, slippage)
OPENING: tuple[Check, ...] = (
    something_to_close,
    may_open,
    manifest_symbols,
    allowed_symbols,
    blocked_symbols,
    price_known,
    price_fresh,
    min_notional,
    slippage,
    rates_known,
    confidence,
    order_value,
    position_size,
    equity_known,
    daily_loss,
    drawdown,
    balance,
    rate_a_second,
    rate_a_minute,
)
# Only where the limits in force write them.
IF_WRITTEN: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("max_price_deviation", (price_deviation,)),
    ("max_open_orders", (open_orders,)),
    ("max_gross_exposure", (exposure_known, gross_exposure)),
    ("max_net_exposure", (exposure_known, net_exposure)),
    ("max_concentration", (exposure_known, concentration)),
    ("max_value_at_risk", (value_at_risk,)),
    ("max_correlation", (correlation,)),
)
# What a policy may have left out. Halt, grant, instrument and expiry have no name here.
BYPASSABLE: Mapping[str, Check] = {
    "allowed_symbols": allowed_symbols,
    "blocked_symbols": blocked_symbols,
    "stale_price": price_fresh,
    "min_confidence": confidence,
    "max_order_value": order_value,
    "max_position_size": position_size,
    "max_daily_loss": daily_loss,
    "max_drawdown": drawdown,
    "min_account_balance": balance,
    "max_orders_per_second": rate_a_second,
    "max_orders_per_minute": rate_a_minute,
    **{name: checks[-1] for name, checks in IF_WRITTEN},
}


def consensus(asked: Asked) -> str | None:
    written = asked.terms["aggregations"]
    return "no_consensus" if written and not has_consensus(asked) else None


def malformed(asked: Asked) -> bool:
    """Then it is nobody's vote."""
    return any(check(asked) for check in (instrument, whole, expiry))


def verdict(asked: Asked) -> str | None:
    """The first reason against it, in the order of the checks."""
    for check in ALWAYS:
        if reason := check(asked):
            return reason
    for check in CLOSING if asked.closing else (*opening(asked), *TOGETHER):
        if reason := check(asked):
            return reason
    return None


def opening(asked: Asked) -> tuple[Check, ...]:
    """All that an order obeys that opens, but for what a policy leaves out."""
    written = (each for name, each in IF_WRITTEN if asked.limit(name) != Decimal("Infinity"))
    left_out = [BYPASSABLE[name] for name in asked.terms["bypass"]]
    checks = (*OPENING, *(check for checks in written for check in checks))
    return tuple(check for check in checks if check not in left_out)


# What other strategies have to do with it, after all else.
TOGETHER: tuple[Check, ...] = (self_trade, model_totals.refusal, consensus)


def stays(signal: Signal) -> bool:
    """Until somebody cancels it."""
    return signal.time_in_force.value == "GTC"


def is_cancel(signal: Signal) -> bool:
    return signal.action is Action.CANCEL
