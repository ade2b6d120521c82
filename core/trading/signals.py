"""Signals: what a strategy asks for, and the verdict it gets.

Prices and quantities are exact here; the SDK made them Decimal and put them on the instrument's
increments. Times are nanoseconds since 1970 UTC.
"""

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from trading.reasons import Reason
from trading.values import value

DEFAULT_PRIORITY = 5
NO_METADATA: Mapping[str, str] = MappingProxyType({})


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def other(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class Direction(StrEnum):
    """What a strategy intends with a symbol."""

    LONG = "LONG"
    SHORT = "SHORT"
    CLOSE = "CLOSE"
    NONE = "NONE"

    @classmethod
    def of(cls, side: Side) -> "Direction":
        """Of an order of that side that does not only close."""
        return cls.LONG if side is Side.BUY else cls.SHORT


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Action(StrEnum):
    ORDER = "order"
    CANCEL = "cancel"
    MODIFY = "modify"  # price and quantity of a limit order at work


@value(frozen=True, slots=True)
class Cause:
    """The message of market data that caused something: its stream and its place there."""

    symbol: str
    type: str  # tick, trade, book, candle
    sequence: int
    at_ns: int

    @property
    def stream(self) -> str:
        return f"{self.symbol}/{self.type}"


@value(frozen=True, slots=True)
class Signal:
    id: str
    symbol: str
    cause: Cause
    at_ns: int
    action: Action = Action.ORDER
    side: Side = Side.BUY
    order_type: OrderType = OrderType.MARKET
    quantity: Decimal = Decimal(0)
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    priority: int = DEFAULT_PRIORITY  # 1 to 10, 10 first
    max_slippage: Decimal | None = None  # fraction of the price
    confidence: Decimal | None = None  # 0 to 1
    expires_ns: int | None = None
    cancels: str | None = None  # with Action.CANCEL: id of the signal whose order it cancels
    closing: bool = False  # must find something to reduce, else it is refused
    modifies: str | None = None  # with Action.MODIFY: id of the signal whose order it modifies;
    # `quantity` is then the whole order's, filled parts included, 0 as it is; no `price`: as it is
    post_only: bool = False  # a limit order that rests, or is not placed
    direction: Direction | None = None  # an intention: the gateway finds side and quantity
    size: Decimal | None = None  # of an intention: the share of what sizing allows, 0 to 1
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)


@value(frozen=True, slots=True)
class Verdict:
    """Accepted when there is no reason against it; `message` has the numbers."""

    signal_id: str
    reason: Reason | None = None
    message: str = ""

    @property
    def accepted(self) -> bool:
        return self.reason is None
