"""Orders as the venue keeps them: what was asked for, how far it has come, and its fills."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from trading.fills import Liquidity
from trading.money import EXACT
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Cause, OrderType, Side, TimeInForce

VENUE = "paper"
_SECOND_NS = 1_000_000_000
_ID_PREFIX = "P-"

_OPEN = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `quantity` is zero where the text of it was no number."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    cause: Cause | None = None
    post_only: bool = False
    reduce_only: bool = False
    generation: int = 0
    account: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Fill:
    """The `nth` fill of its order, from 1; `at_ns` is the time of the quote that filled it."""

    nth: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    liquidity: Liquidity
    at_ns: int
    fee_currency: str = ""  # empty: the symbol's quote currency


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    request: Request
    state: OrderState = OrderState.ACCEPTED
    began: bool = False  # its cause has arrived: quotes are matched against it
    triggered: bool = False  # a stop whose price was reached
    resting: bool = False  # in the book since a quote that did not reach its limit
    met: tuple[int, int] = (0, 0)  # time and sequence of the quote that changed it last
    fills: int = 0
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)  # sum of price * quantity over the fills, exact
    fee: Decimal = Decimal(0)
    reason: Reason | None = None  # with REJECTED
    message: str = ""
    modification: int = 0  # the last one decided

    @property
    def id(self) -> str:
        return order_id(self.number)

    @property
    def is_open(self) -> bool:
        return self.state in _OPEN

    @property
    def remaining(self) -> Decimal:
        return EXACT.subtract(self.request.quantity, self.filled)

    @property
    def average_price(self) -> Decimal | None:
        return self.notional / self.filled if self.filled else None

    def rejected(self, refusal: Refusal) -> "Order":
        return replace(
            self, state=OrderState.REJECTED, reason=refusal.reason, message=refusal.message
        )

    def modified(self, number: int, quantity: Decimal, price: Decimal) -> "Order":
        """On other terms; at another price it has yet to come to rest."""
        moves = price != self.request.price
        return replace(
            self,
            request=replace(self.request, quantity=quantity, price=price),
            modification=number,
            resting=self.resting and not moves,
            reason=None,
            message="",
        )

    def unmodified(self, number: int, refusal: Refusal) -> "Order":
        return replace(self, modification=number, reason=refusal.reason, message=refusal.message)

    def cancelled(self, message: str) -> "Order":
        return replace(self, state=OrderState.CANCELLED, message=message)

    def after(self, fill: Fill) -> "Order":
        filled = EXACT.add(self.filled, fill.quantity)
        done = filled == self.request.quantity
        return replace(
            self,
            state=OrderState.FILLED if done else OrderState.PARTIALLY_FILLED,
            fills=fill.nth,
            filled=filled,
            notional=EXACT.add(self.notional, EXACT.multiply(fill.price, fill.quantity)),
            fee=EXACT.add(self.fee, fill.fee),
        )


def order_id(number: int) -> str:
    return f"{_ID_PREFIX}{number:06d}"


def number_of(order_id: str) -> int | None:
    """The counter in an order id of this venue; None for any other text."""
    digits = order_id.removeprefix(_ID_PREFIX)
    known = digits != order_id and digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(digits) if known else None


def fill_id(order: Order, fill: Fill) -> str:
    return f"{order.request.client_order_id}-{fill.nth}"


def fill_message(order: Order, fill: Fill) -> bytes:
    """The fill as it goes out on `trading.fills`; money as decimal strings."""
    request = order.request
    return msgspec.json.encode(
        {
            "fill_id": fill_id(order, fill),
            "order_id": order.id,
            "client_order_id": request.client_order_id,
            "strategy": request.strategy,
            "symbol": request.symbol,
            "side": request.side,
            "price": format(fill.price, "f"),
            "quantity": format(fill.quantity, "f"),
            "fee": format(fill.fee, "f"),
            "liquidity": fill.liquidity,
            "timestamp": rfc3339(fill.at_ns),
            "venue": VENUE,
            **({"fee_currency": fill.fee_currency} if fill.fee_currency else {}),
        }
    )


def rfc3339(at_ns: int) -> str:
    """UTC with nanoseconds. A time outside the years 1 to 9999 is shown as 1970, not refused."""
    seconds, rest = divmod(at_ns, _SECOND_NS)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment, rest = datetime.fromtimestamp(0, UTC), 0
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
