"""Matching: one order meets one quote. No clock, no I/O; the same order and quote fill alike.

The rules, which docs/venue.md tells in full:

- A stop waits for the touch to reach its stop price; then it is a market or limit order at once, on
  that same quote. Its time in force begins there.
- A limit order takes the touch (taker) from its first quote on, until a quote does not reach the
  limit. From then on it rests, and a later quote that reaches it fills it at its own price (maker).
- A quote fills an order by at most the size on that side, in whole lots. A size of 0 means that the
  feed does not tell it: no bound. Every quote offers its size anew, and to each order by itself.
- IOC cancels what its first quote leaves over, FOK all of it unless that quote fills it whole.
- A reduce_only order fills at most what its strategy holds on the other side, and ends when that is
  nothing.
- A post_only order that would take is rejected, or cancelled if a part of it is filled.
- The fee is the maker's or taker's share of price * quantity * multiplier, rounded half-even to 8
  decimals.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from paper_venue.orders import Fill, Order, Refusal
from trading.fills import Liquidity
from trading.instruments import Instrument
from trading.market import Quote, exact
from trading.money import EXACT
from trading.reasons import Reason
from trading.signals import OrderType, Side, TimeInForce

_FEE_DECIMALS = Decimal("1e-8")
_ROUNDED = Context(prec=EXACT.prec, rounding=ROUND_HALF_EVEN)
# What money is counted in: a quote outside is noise, and would overrun the arithmetic.
_LOWEST_PRICE, _HIGHEST_PRICE = 1e-12, 1e12

_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})


@dataclass(frozen=True, slots=True)
class Terms:
    instrument: Instrument
    sizes: bool = True  # fills are bounded by the quoted size


def match(
    order: Order, quote: Quote, terms: Terms, most: Decimal | None = None
) -> tuple[Order, Fill | None]:
    """The order after it met `quote`, and its fill if there was one; of `most`, if that is said.

    The same object comes back when nothing changed.
    """
    if not (quote.bid_price >= _LOWEST_PRICE and quote.ask_price <= _HIGHEST_PRICE):
        return order, None
    order = _triggered(order, quote)
    if _is_dormant(order):
        return order, None
    if not _reaches_limit(order, quote):
        return _unreached(order), None
    return _taken(order, quote, terms, order.remaining if most is None else most)


def _triggered(order: Order, quote: Quote) -> Order:
    stop = order.request.stop_price
    if not _is_dormant(order) or stop is None:
        return order
    reached = quote.ask >= stop if order.request.side is Side.BUY else quote.bid <= stop
    return replace(order, triggered=True) if reached else order


def _is_dormant(order: Order) -> bool:
    return order.request.order_type in _STOPS and not order.triggered


def _reaches_limit(order: Order, quote: Quote) -> bool:
    limit = order.request.price
    if order.request.order_type not in _LIMITS or limit is None:
        return True
    return quote.ask <= limit if order.request.side is Side.BUY else quote.bid >= limit


def _unreached(order: Order) -> Order:
    if order.request.time_in_force is not TimeInForce.GTC:
        return order.cancelled(f"{order.request.time_in_force}: the limit was not reached")
    return order if order.resting else replace(order, resting=True)


def nothing_left(order: Order) -> Order:
    """Of a reduce_only order whose strategy holds nothing any more that it could reduce."""
    message = f"reduce_only: {order.request.strategy} holds no {order.request.symbol} to reduce"
    if order.filled:
        return order.cancelled(message)
    return order.rejected(Refusal(Reason.REDUCING_ONLY, message))


def _taken(order: Order, quote: Quote, terms: Terms, most: Decimal) -> tuple[Order, Fill | None]:
    if order.request.post_only and not order.resting:
        return _would_take(order, quote), None
    quantity = min(_offered(order, quote, terms), most)
    if order.request.time_in_force is TimeInForce.FOK and quantity < order.remaining:
        return order.cancelled(f"FOK: {quantity} of {order.remaining} on offer"), None
    if not quantity:
        return _left_over(order), None
    fill = _fill(order, quote, quantity, terms.instrument)
    return _left_over(order.after(fill)), fill


def _would_take(order: Order, quote: Quote) -> Order:
    touch = quote.ask if order.request.side is Side.BUY else quote.bid
    message = f"post_only: price '{order.request.price}', the touch is {touch}"
    if order.filled:
        return order.cancelled(message)
    return order.rejected(Refusal(Reason.VENUE_REJECTED, message))


def _offered(order: Order, quote: Quote, terms: Terms) -> Decimal:
    size = quote.ask_size if order.request.side is Side.BUY else quote.bid_size
    offered = exact(size)
    if not terms.sizes or not size or offered >= order.remaining:
        return order.remaining
    lot = terms.instrument.lot_size
    return EXACT.multiply(EXACT.divide_int(offered, lot), lot)


def _left_over(order: Order) -> Order:
    if order.is_open and order.request.time_in_force is TimeInForce.IOC:
        return order.cancelled(f"IOC: {order.filled} of {order.request.quantity} filled")
    return order


def _fill(order: Order, quote: Quote, quantity: Decimal, instrument: Instrument) -> Fill:
    limit = order.request.price
    if order.resting and limit is not None:
        price, liquidity, rate = limit, Liquidity.MAKER, instrument.maker_fee
    else:
        price = quote.ask if order.request.side is Side.BUY else quote.bid
        liquidity, rate = Liquidity.TAKER, instrument.taker_fee
    value = EXACT.multiply(EXACT.multiply(price, quantity), instrument.contract_multiplier)
    fee = _ROUNDED.quantize(EXACT.multiply(value, rate), _FEE_DECIMALS)
    # In which it is taken here, whatever the catalogue says of other venues.
    currency = instrument.quote_currency if instrument.fee_currency else ""
    return Fill(order.fills + 1, price, quantity, fee, liquidity, quote.at_ns, currency)
