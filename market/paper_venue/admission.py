"""What the venue takes: checks of a request, in the order they apply."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from paper_venue.orders import Refusal, Request
from trading.instruments import Instrument
from trading.money import EXACT
from trading.reasons import Reason
from trading.signals import OrderType, TimeInForce

# Prices and quantities: more than any market has, and still exact in the arithmetic of fills.
MOST = Decimal(10) ** 12

_PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})

Check = Callable[[Request, Instrument], Refusal | None]


def refusal(request: Request, instruments: Mapping[str, Instrument]) -> Refusal | None:
    """The first rule the request breaks, or None."""
    instrument = instruments.get(request.symbol)
    if instrument is None:
        message = f"symbol: {request.symbol!r}, expected one of {', '.join(sorted(instruments))}"
        return Refusal(Reason.UNKNOWN_INSTRUMENT, message)
    for check in CHECKS:
        found = check(request, instrument)
        if found is not None:
            return found
    return None


def quantity_is_in_whole_lots(request: Request, instrument: Instrument) -> Refusal | None:
    quantity = request.quantity
    lowest = max(instrument.min_quantity, instrument.lot_size)
    if not lowest <= quantity <= MOST:
        expected = f"{lowest} to {MOST:f}"
    elif EXACT.remainder(quantity, instrument.lot_size):
        expected = f"a multiple of {instrument.lot_size}"
    else:
        return None
    return Refusal(Reason.INVALID_QUANTITY, f"quantity: '{quantity}', expected {expected}")


def price_fits_the_type(request: Request, instrument: Instrument) -> Refusal | None:
    return _price(
        "price", request.price, request.order_type in _PRICED, request.order_type, instrument
    )


def stop_price_fits_the_type(request: Request, instrument: Instrument) -> Refusal | None:
    return _price(
        "stop_price", request.stop_price, request.order_type in _STOPPED, request.order_type,
        instrument,
    )  # fmt: skip


def post_only_can_rest(request: Request, _: Instrument) -> Refusal | None:
    kind, force = request.order_type, request.time_in_force
    if not request.post_only or (kind is OrderType.LIMIT and force is TimeInForce.GTC):
        return None
    message = f"post_only: of a {force} {kind} order, expected GTC limit"
    return Refusal(Reason.VENUE_REJECTED, message)


CHECKS: tuple[Check, ...] = (
    quantity_is_in_whole_lots,
    price_fits_the_type,
    stop_price_fits_the_type,
    post_only_can_rest,
)


def _price(
    field: str, price: Decimal | None, wanted: bool, kind: OrderType, instrument: Instrument
) -> Refusal | None:
    if price is None:
        return _invalid_price(field, "", f"a price in a {kind} order") if wanted else None
    if not wanted:
        return _invalid_price(field, price, f"none in a {kind} order")
    if not 0 < price <= MOST:
        return _invalid_price(field, price, f"more than 0, at most {MOST:f}")
    if EXACT.remainder(price, instrument.price_increment):
        expected = f"a multiple of {instrument.price_increment}"
        return Refusal(Reason.PRICE_OFF_INCREMENT, f"{field}: '{price}', expected {expected}")
    return None


def _invalid_price(field: str, price: object, expected: str) -> Refusal:
    return Refusal(Reason.INVALID_PRICE, f"{field}: '{price}', expected {expected}")
