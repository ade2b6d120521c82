"""The rules of risk: one small function each, named as the rule it keeps.

Two policies, in the order they apply. What only closes obeys the halt, expiry and the instrument,
and nothing that exists to reduce risk: refusing it would keep the risk.
"""

from collections.abc import Mapping
from decimal import Decimal
from itertools import chain

from trading.admission import (
    instrument_is_known,
    nothing_is_halted,
    notional_reaches_the_minimum,
    price_is_within_slippage,
    prices_are_on_the_increment,
    prices_fit_the_order_type,
    quantity_can_be_traded,
    signal_asks_for_an_order,
    signal_has_not_expired,
)
from trading.limits import UNLIMITED, Limits, written
from trading.prospect_rules import (
    correlation_stays_within_limit,
    value_at_risk_stays_within_limit,
)
from trading.reasons import Reason
from trading.risk import Check, Rejection, Request
from trading.scopes import Level
from trading.signals import OrderType
from trading.standings import Standing

# ---- what only opening orders obey


def closing_finds_something_to_reduce(request: Request) -> Rejection | None:
    """A close may come before the fill of what it closes; then it is judged as any other order.

    But when that was refused, the close is too: it would open the other side.
    """
    if request.signal.closing and request.quantity > request.closable:
        why = f": {request.stand.why}" if request.stand.why else ""
        return Rejection(
            Reason.REDUCING_ONLY,
            f"{request.signal.side} {request.quantity} would not only reduce: position "
            f"{request.position}, of which, with what is being filled, {request.closable} is not "
            f"being closed yet{why}",
        )
    return None


def strategy_may_open(request: Request) -> Rejection | None:
    if request.stand.standing is not Standing.ACTIVE:
        why = f": {request.stand.why}" if request.stand.why else ""
        return Rejection(
            Reason.REDUCING_ONLY,
            f"{request.signal.side} {request.quantity} at position {request.position}: "
            f"{request.strategy} may only reduce{why}",
        )
    return None


def symbol_is_the_strategys(request: Request) -> Rejection | None:
    symbol = request.signal.symbol
    if symbol not in request.symbols:
        return Rejection(
            Reason.SYMBOL_NOT_ALLOWED, f"{symbol}, the strategy has {_listed(request.symbols)}"
        )
    return None


def symbol_is_allowed(request: Request) -> Rejection | None:
    allowed = request.limits.allowed_symbols
    if allowed and request.signal.symbol not in allowed:
        return Rejection(
            Reason.ALLOWED_SYMBOLS, f"{request.signal.symbol}, allowed are {_listed(allowed)}"
        )
    return None


def symbol_is_not_blocked(request: Request) -> Rejection | None:
    if request.signal.symbol in request.limits.blocked_symbols:
        return Rejection(Reason.BLOCKED_SYMBOLS, f"{request.signal.symbol} is blocked")
    return None


def price_is_known(request: Request) -> Rejection | None:
    if request.touch is None:
        return Rejection(Reason.NO_PRICE, f"no bid and ask of {request.signal.symbol}")
    return None


def price_is_fresh(request: Request) -> Rejection | None:
    most = request.max_quote_age_ns
    if request.touch is None or request.touch.age_ns > most:
        age = "unknown" if request.touch is None else f"{request.touch.age_ns / 1e9:.3f} s"
        return Rejection(Reason.STALE_PRICE, f"age {age}, allowed is {most / 1e9:.3f} s")
    return None


def rates_are_known(request: Request) -> Rejection | None:
    """What an amount of another currency is worth in the desk's is not guessed."""
    exchange = request.exchange
    if exchange is not None and exchange.missing:
        return Rejection(Reason.NO_RATE, exchange.missing)
    return None


def confidence_is_enough(request: Request) -> Rejection | None:
    confidence, least = request.signal.confidence, request.limits.min_confidence
    if confidence is not None and confidence < least:
        return Rejection(Reason.MIN_CONFIDENCE, f"confidence {confidence}, at least {least}")
    return None


def order_is_small_enough(request: Request) -> Rejection | None:
    notional, most = request.worth(request.notional), request.limits.max_order_value
    if notional is None or notional > most:
        return Rejection(Reason.MAX_ORDER_VALUE, f"order worth {notional}, allowed is {most}")
    return None


def position_stays_within_limit(request: Request) -> Rejection | None:
    """In the worst case: all that works on this side is filled, nothing on the other."""
    most = request.limits.max_position_size
    if request.reached > most:
        worst = request.reached * request.signal.side.sign
        return Rejection(
            Reason.MAX_POSITION_SIZE,
            f"position {request.position} could become {worst}, allowed is {most}",
        )
    return None


def equity_is_known(request: Request) -> Rejection | None:
    if request.equity is None:
        return Rejection(Reason.NO_PRICE, "a symbol that is held has no price, equity is unknown")
    return None


def daily_loss_stays_within_limit(request: Request) -> Rejection | None:
    most = request.limits.max_daily_loss
    if request.equity is None or request.day_start - request.equity > most:
        return Rejection(
            Reason.MAX_DAILY_LOSS,
            f"equity {request.equity}, {request.day_start} at the day's start, allowed is a loss "
            f"of {most}",
        )
    return None


def drawdown_stays_within_limit(request: Request) -> Rejection | None:
    """Compared without a division; a peak of zero or less leaves nothing to risk."""
    equity, peak, most = request.equity, request.peak, request.limits.max_drawdown
    if equity is None or peak <= 0 or peak - equity > peak * most:
        return Rejection(
            Reason.MAX_DRAWDOWN, f"equity {equity} from a peak of {peak}, allowed is {most}"
        )
    return None


def balance_reaches_the_minimum(request: Request) -> Rejection | None:
    """The lower of balance and equity: a gain not yet realised is no balance, a loss is one."""
    equity, balance, least = request.equity, request.balance, request.limits.min_account_balance
    if equity is None or balance is None or equity < least or balance < least:
        return Rejection(
            Reason.MIN_ACCOUNT_BALANCE, f"balance {balance}, equity {equity}, at least {least}"
        )
    return None


def orders_this_second_are_few_enough(request: Request) -> Rejection | None:
    if request.left_this_second < 1:
        most = request.limits.max_orders_per_second
        return Rejection(Reason.MAX_ORDERS_PER_SECOND, f"allowed are {most} a second")
    return None


def orders_this_minute_are_few_enough(request: Request) -> Rejection | None:
    if request.left_this_minute < 1:
        most = request.limits.max_orders_per_minute
        return Rejection(Reason.MAX_ORDERS_PER_MINUTE, f"allowed are {most} a minute")
    return None


# ---- what only those obey whose limits say so


def prices_are_near_the_mid(request: Request) -> Rejection | None:
    """Without a market nothing is near; a market order's price is what was seen, no price of it."""
    signal, most = request.signal, request.limits.max_price_deviation
    if signal.order_type is OrderType.MARKET:
        return None
    if request.touch is None:
        return Rejection(Reason.NO_PRICE, f"no bid and ask of {signal.symbol}")
    mid = request.touch.mid
    for price in (signal.price, signal.stop_price):
        if price is not None and abs(price - mid) > mid * most:
            return Rejection(
                Reason.MAX_PRICE_DEVIATION,
                f"price {price} at a mid of {mid}, allowed is {most} of it",
            )
    return None


def open_orders_are_few_enough(request: Request) -> Rejection | None:
    most = request.limits.max_open_orders
    if request.open_orders >= most:
        return Rejection(
            Reason.MAX_OPEN_ORDERS, f"{request.open_orders} orders at work, allowed are {most}"
        )
    return None


def exposure_is_known(request: Request) -> Rejection | None:
    if request.exposure is None:
        return Rejection(Reason.NO_PRICE, "a symbol at work has no price, exposure is unknown")
    return None


def gross_exposure_stays_within_limit(request: Request) -> Rejection | None:
    worth = request.exposure.gross if request.exposure else None
    most = request.limits.max_gross_exposure
    return _beyond(most, worth, Reason.MAX_GROSS_EXPOSURE, "gross exposure")


def net_exposure_stays_within_limit(request: Request) -> Rejection | None:
    worth = request.exposure.net if request.exposure else None
    most = request.limits.max_net_exposure
    return _beyond(most, worth, Reason.MAX_NET_EXPOSURE, "net exposure")


def concentration_stays_within_limit(request: Request) -> Rejection | None:
    """Compared without a division; no equity leaves nothing to have a share of."""
    exposure, equity, most = request.exposure, request.equity, request.limits.max_concentration
    if exposure is None or equity is None or equity <= 0 or exposure.symbol > equity * most:
        worth = exposure.symbol if exposure else None
        return Rejection(
            Reason.MAX_CONCENTRATION,
            f"{request.signal.symbol} could be worth {worth} of an equity of {equity}, "
            f"allowed is {most}",
        )
    return None


def _beyond(most: Decimal, worth: Decimal | None, reason: Reason, what: str) -> Rejection | None:
    if worth is None or worth > most:
        return Rejection(reason, f"{what} could become {worth}, allowed is {most}")
    return None


_ALWAYS: tuple[Check, ...] = (
    nothing_is_halted,
    instrument_is_known,
    signal_asks_for_an_order,
    signal_has_not_expired,
    quantity_can_be_traded,
    prices_fit_the_order_type,
    prices_are_on_the_increment,
)
CLOSING: tuple[Check, ...] = (
    *_ALWAYS,
    notional_reaches_the_minimum,
    price_is_within_slippage,
)
_BY_DEFAULT: tuple[Check, ...] = (
    *_ALWAYS,
    closing_finds_something_to_reduce,
    strategy_may_open,
    symbol_is_the_strategys,
    symbol_is_allowed,
    symbol_is_not_blocked,
    price_is_known,
    price_is_fresh,
    notional_reaches_the_minimum,
    price_is_within_slippage,
    confidence_is_enough,
    order_is_small_enough,
    position_stays_within_limit,
    equity_is_known,
    daily_loss_stays_within_limit,
    drawdown_stays_within_limit,
    balance_reaches_the_minimum,
    orders_this_second_are_few_enough,
    orders_this_minute_are_few_enough,
)


_IF_LIMITED: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("max_price_deviation", (prices_are_near_the_mid,)),
    ("max_open_orders", (open_orders_are_few_enough,)),
    ("max_gross_exposure", (exposure_is_known, gross_exposure_stays_within_limit)),
    ("max_net_exposure", (exposure_is_known, net_exposure_stays_within_limit)),
    ("max_concentration", (exposure_is_known, concentration_stays_within_limit)),
    ("max_value_at_risk", (value_at_risk_stays_within_limit,)),
    ("max_correlation", (correlation_stays_within_limit,)),
)


_RATES_FIRST = _BY_DEFAULT.index(confidence_is_enough)  # before anything that compares amounts
_IN_SEVERAL = (*_BY_DEFAULT[:_RATES_FIRST], rates_are_known, *_BY_DEFAULT[_RATES_FIRST:])


def opening(
    limits: Limits, bypass: frozenset[str] = frozenset(), *, converts: bool = False
) -> tuple[Check, ...]:
    """What an order obeys that does not only close; made anew when the limits change. `converts`:
    the desk has several currencies.
    """
    asked = (checks for name, checks in _IF_LIMITED if getattr(limits, name) != UNLIMITED)
    left_out = bypassed(bypass, limits)
    first = _IN_SEVERAL if converts else _BY_DEFAULT
    return tuple(c for c in dict.fromkeys(chain(first, *asked)) if c not in left_out)


# What a policy may have a strategy bypass, by name. Never halt, grant, epoch or instrument.
_BYPASSABLE: Mapping[str, Check] = {
    "allowed_symbols": symbol_is_allowed,
    "blocked_symbols": symbol_is_not_blocked,
    "stale_price": price_is_fresh,
    "min_confidence": confidence_is_enough,
    "max_order_value": order_is_small_enough,
    "max_position_size": position_stays_within_limit,
    "max_daily_loss": daily_loss_stays_within_limit,
    "max_drawdown": drawdown_stays_within_limit,
    "min_account_balance": balance_reaches_the_minimum,
    "max_orders_per_second": orders_this_second_are_few_enough,
    "max_orders_per_minute": orders_this_minute_are_few_enough,
    **{name: checks[-1] for name, checks in _IF_LIMITED},
}
BYPASSABLE = frozenset(_BYPASSABLE)


def bypassed(names: frozenset[str], limits: Limits) -> tuple[Check, ...]:
    """What these names leave out of what is limited: asked all the same, so that it is known what
    it would refuse. What is not limited refuses nothing, and what it needs was not looked up.
    """
    unlimited = {name for name, _ in _IF_LIMITED if getattr(limits, name) == UNLIMITED}
    return tuple(check for name, check in _BYPASSABLE.items() if name in names - unlimited)


# What bounds several strategies together; what is not written there is not looked at.
_OF_EQUITY: tuple[tuple[str, Check], ...] = (
    ("max_daily_loss", daily_loss_stays_within_limit),
    ("max_drawdown", drawdown_stays_within_limit),
    ("min_account_balance", balance_reaches_the_minimum),
)
_TOGETHER: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("max_order_value", (order_is_small_enough,)),
    ("max_position_size", (position_stays_within_limit,)),
    *((name, (equity_is_known, check)) for name, check in _OF_EQUITY),
    ("max_orders_per_second", (orders_this_second_are_few_enough,)),
    ("max_orders_per_minute", (orders_this_minute_are_few_enough,)),
    ("max_open_orders", (open_orders_are_few_enough,)),
    ("max_gross_exposure", (exposure_is_known, gross_exposure_stays_within_limit)),
    ("max_net_exposure", (exposure_is_known, net_exposure_stays_within_limit)),
    (
        "max_concentration",
        (equity_is_known, exposure_is_known, concentration_stays_within_limit),
    ),
    ("max_value_at_risk", (value_at_risk_stays_within_limit,)),
    ("max_correlation", (correlation_stays_within_limit,)),
)
ASKING_FOR_EQUITY = frozenset(name for name, them in _TOGETHER if equity_is_known in them)
ASKING_FOR_EXPOSURE = frozenset(name for name, them in _TOGETHER if exposure_is_known in them)


_OF_A_SYMBOL = frozenset(
    (
        "max_order_value", "max_position_size", "max_daily_loss", "max_orders_per_second",
        "max_orders_per_minute", "max_open_orders", "max_gross_exposure",
    )
)  # fmt: skip
_OF_SEVERAL = frozenset(name for name, _ in _TOGETHER)
# The names of limits that each level knows, beside the strategy's. A symbol has no capital.
TOGETHER = {
    Level.SYMBOL: _OF_A_SYMBOL,
    Level.ACCOUNT: _OF_SEVERAL,
    Level.DESK: _OF_SEVERAL,
}


def asks_for_samples(limits: Limits) -> bool:
    return limits.max_value_at_risk != UNLIMITED or limits.max_correlation != UNLIMITED


def bounding(limits: Limits) -> tuple[Check, ...]:
    """What an order obeys where several strategies are bound together."""
    names = written(limits)
    asked = (checks for name, checks in _TOGETHER if name in names)
    return tuple(dict.fromkeys(chain(*asked)))


def _listed(symbols: frozenset[str]) -> str:
    return ", ".join(sorted(symbols)) or "none"
