"""The rules of risk: one small function each, named as the rule it keeps.

Two policies, in the order they apply. What only closes obeys the halt, expiry and the instrument,
and nothing that exists to reduce risk: refusing it would keep the risk.
"""

from decimal import Decimal

from trading.reasons import Reason
from trading.risk import (
    PRICED,
    TRIGGERED,
    UNLISTED,
    Check,
    Rejection,
    Request,
    Standing,
)
from trading.signals import Action, OrderType, Side

LARGEST = Decimal(10) ** 15  # beyond it, prices and quantities are nonsense


# ---- what every order obeys


def desk_is_not_halted(request: Request) -> Rejection | None:
    if request.standing is Standing.HALTED:
        return Rejection(Reason.HALTED, "the desk is halted")
    return None


def strategy_is_not_paused(request: Request) -> Rejection | None:
    if request.standing is Standing.PAUSED:
        return Rejection(Reason.PAUSED, f"{request.strategy} is paused")
    return None


def instrument_is_known(request: Request) -> Rejection | None:
    if request.instrument is UNLISTED:
        return Rejection(
            Reason.UNKNOWN_INSTRUMENT, f"{request.signal.symbol} is not in the catalogue"
        )
    return None


def signal_asks_for_an_order(request: Request) -> Rejection | None:
    signal = request.signal
    if signal.action is not Action.ORDER:
        return Rejection(Reason.INVALID_SIGNAL, f"action {signal.action}, expected order")
    if not 1 <= signal.priority <= 10:
        return Rejection(Reason.INVALID_SIGNAL, f"priority {signal.priority}, expected 1 to 10")
    if not _is_fraction(signal.confidence):
        return Rejection(Reason.INVALID_SIGNAL, f"confidence {signal.confidence}, expected 0 to 1")
    if not _is_fraction(signal.max_slippage):
        return Rejection(
            Reason.INVALID_SIGNAL, f"max_slippage {signal.max_slippage}, expected 0 to 1"
        )
    return None


def signal_has_not_expired(request: Request) -> Rejection | None:
    expires_ns = request.signal.expires_ns
    if expires_ns is not None and request.now_ns >= expires_ns:
        late_ms = (request.now_ns - expires_ns) / 1e6
        return Rejection(Reason.EXPIRED, f"expired {late_ms:.3f} ms ago")
    return None


def quantity_can_be_traded(request: Request) -> Rejection | None:
    least = request.instrument.min_quantity
    if request.quantity <= 0 or request.quantity < least:
        return Rejection(
            Reason.INVALID_QUANTITY,
            f"quantity {request.signal.quantity} is {request.quantity} in lots of "
            f"{request.instrument.lot_size}, expected at least {least}",
        )
    return None


def prices_fit_the_order_type(request: Request) -> Rejection | None:
    """A price on a market order is not the order's: it is what slippage is measured from."""
    signal = request.signal
    kind = signal.order_type
    wants_price, wants_stop = kind in PRICED, kind in TRIGGERED
    if (wants_price or signal.price is not None) and not _is_price(signal.price):
        return Rejection(Reason.INVALID_PRICE, f"price {signal.price} of a {kind} order")
    if (wants_stop or signal.stop_price is not None) and not _is_price(signal.stop_price):
        return Rejection(Reason.INVALID_PRICE, f"stop price {signal.stop_price} of a {kind} order")
    if kind is OrderType.STOP and signal.price is not None:
        return Rejection(Reason.INVALID_PRICE, f"price {signal.price}, a stop order has none")
    if signal.stop_price is not None and not wants_stop:
        return Rejection(
            Reason.INVALID_PRICE, f"stop price {signal.stop_price}, a {kind} order has none"
        )
    return None


def prices_are_on_the_increment(request: Request) -> Rejection | None:
    signal = request.signal
    if signal.order_type is OrderType.MARKET:
        return None
    increment = request.instrument.price_increment
    for price in (signal.price, signal.stop_price):
        if price is not None and price % increment:
            return Rejection(
                Reason.PRICE_OFF_INCREMENT, f"price {price}, expected a multiple of {increment}"
            )
    return None


def notional_reaches_the_minimum(request: Request) -> Rejection | None:
    """Unknown only where nothing else knows the price: for what closes. The venue decides then."""
    notional, least = request.notional, request.instrument.min_notional
    if notional is not None and notional < least:
        return Rejection(
            Reason.INVALID_QUANTITY,
            f"quantity {request.quantity} is worth {notional}, expected at least {least}",
        )
    return None


def price_is_within_slippage(request: Request) -> Rejection | None:
    """The strategy's own condition: how much worse than expected its order may trade.

    Expected is what the strategy saw (a market order's price), else the mid; for a limit order it
    is the touch, for a stop_limit order its stop price. A stop order cannot promise anything.
    """
    most = request.signal.max_slippage
    if most is None:
        return None
    slippage = _slippage(request)
    if slippage is None:
        if request.closing:
            return None
        return Rejection(Reason.SLIPPAGE, f"cannot be known, allowed is {most}")
    if slippage > most:
        return Rejection(Reason.SLIPPAGE, f"slippage {slippage:.6f}, allowed is {most}")
    return None


# ---- what only closing orders obey


def closing_only_reduces(request: Request) -> Rejection | None:
    if request.quantity > request.reducible:
        return Rejection(
            Reason.REDUCING_ONLY,
            f"{request.signal.side} {request.quantity} would not only reduce: position "
            f"{request.position}, of which {request.reducible} is not being closed yet",
        )
    return None


# ---- what only opening orders obey


def strategy_may_open(request: Request) -> Rejection | None:
    if request.standing is not Standing.TRADING:
        return Rejection(
            Reason.REDUCING_ONLY,
            f"{request.signal.side} {request.quantity} at position {request.position}: "
            f"{request.strategy} may only reduce",
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


def confidence_is_enough(request: Request) -> Rejection | None:
    confidence, least = request.signal.confidence, request.limits.min_confidence
    if confidence is not None and confidence < least:
        return Rejection(Reason.MIN_CONFIDENCE, f"confidence {confidence}, at least {least}")
    return None


def order_is_small_enough(request: Request) -> Rejection | None:
    notional, most = request.notional, request.limits.max_order_value
    if notional is None or notional > most:
        return Rejection(Reason.MAX_ORDER_VALUE, f"order worth {notional}, allowed is {most}")
    return None


def position_stays_within_limit(request: Request) -> Rejection | None:
    """In the worst case: all that works on this side is filled, nothing on the other."""
    most = request.limits.max_position_size
    if request.exposure > most:
        worst = request.exposure * request.signal.side.sign
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
    if equity is None or equity < least or balance < least:
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


_ALWAYS: tuple[Check, ...] = (
    desk_is_not_halted,
    strategy_is_not_paused,
    instrument_is_known,
    signal_asks_for_an_order,
    signal_has_not_expired,
    quantity_can_be_traded,
    prices_fit_the_order_type,
    prices_are_on_the_increment,
)
CLOSING: tuple[Check, ...] = (
    *_ALWAYS,
    closing_only_reduces,
    notional_reaches_the_minimum,
    price_is_within_slippage,
)
OPENING: tuple[Check, ...] = (
    *_ALWAYS,
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


def policy(request: Request) -> tuple[Check, ...]:
    return CLOSING if request.closing else OPENING


def _is_fraction(number: Decimal | None) -> bool:
    return number is None or (number.is_finite() and 0 <= number <= 1)


def _is_price(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and 0 < price <= LARGEST


def _slippage(request: Request) -> Decimal | None:
    """How much worse than expected it may trade, as a fraction; less than 0 is better."""
    signal, touch = request.signal, request.touch
    if signal.order_type is OrderType.STOP_LIMIT:
        return _worse(signal.stop_price, signal.price, signal.side)
    if signal.order_type is OrderType.STOP or touch is None or price_is_fresh(request):
        return None
    met = touch.taken_by(signal.side)
    if signal.order_type is OrderType.LIMIT:
        return _worse(met, signal.price, signal.side)
    return _worse(touch.mid if signal.price is None else signal.price, met, signal.side)


def _worse(expected: Decimal | None, price: Decimal | None, side: Side) -> Decimal | None:
    if expected is None or price is None:
        return None
    return (price - expected) * side.sign / expected


def _listed(symbols: frozenset[str]) -> str:
    return ", ".join(sorted(symbols)) or "none"
