"""What every order must be, whatever its limits: permitted, whole, and as the instrument wants it.

One small function each, named as the rule it keeps; `rules` has the order they apply in.
"""

from decimal import Decimal

from trading.reasons import Reason
from trading.risk import PRICED, TRIGGERED, UNLISTED, Rejection, Request
from trading.signals import Action, OrderType, Side, Signal, TimeInForce
from trading.standings import Standing

LARGEST = Decimal(10) ** 15  # beyond it, prices and quantities are nonsense


def nothing_is_halted(request: Request) -> Rejection | None:
    """Neither the strategy nor the symbol, the account, the desk."""
    if request.stand.standing is Standing.HALTED:
        return Rejection(Reason.HALTED, request.stand.why)
    return None


def instrument_is_known(request: Request) -> Rejection | None:
    if request.instrument is UNLISTED:
        return Rejection(
            Reason.UNKNOWN_INSTRUMENT, f"{request.signal.symbol} is not in the catalogue"
        )
    return None


def signal_asks_for_an_order(request: Request) -> Rejection | None:
    signal = request.signal
    if signal.post_only and not _may_rest(signal):
        kind = f"{signal.time_in_force} {signal.order_type}"
        return Rejection(Reason.INVALID_SIGNAL, f"post_only of a {kind} order, expected GTC limit")
    if signal.action is not Action.ORDER:
        return Rejection(Reason.INVALID_SIGNAL, f"action {signal.action}, expected order")
    if signal.size is not None and signal.direction is None:
        size = f"size {signal.size} without a direction"
        return Rejection(Reason.INVALID_SIGNAL, f"{size}, expected a quantity or an intention")
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


def _may_rest(signal: Signal) -> bool:
    return signal.order_type is OrderType.LIMIT and signal.time_in_force is TimeInForce.GTC


def _is_fraction(number: Decimal | None) -> bool:
    return number is None or (number.is_finite() and 0 <= number <= 1)


def _is_price(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and 0 < price <= LARGEST


def _slippage(request: Request) -> Decimal | None:
    """How much worse than expected it may trade, as a fraction; less than 0 is better."""
    signal, touch = request.signal, request.touch
    if signal.order_type is OrderType.STOP_LIMIT:
        return _worse(signal.stop_price, signal.price, signal.side)
    if signal.order_type is OrderType.STOP or touch is None:
        return None
    if touch.age_ns > request.max_quote_age_ns:  # says nothing about now
        return None
    met = touch.taken_by(signal.side)
    if signal.order_type is OrderType.LIMIT:
        return _worse(met, signal.price, signal.side)
    return _worse(touch.mid if signal.price is None else signal.price, met, signal.side)


def _worse(expected: Decimal | None, price: Decimal | None, side: Side) -> Decimal | None:
    if expected is None or price is None:
        return None
    return (price - expected) * side.sign / expected
