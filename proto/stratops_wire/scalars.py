"""Single fields: decimals, enumerations, causes."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Generic, TypeVar

from stratops_api.v1 import types_pb2
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Cause, OrderType, Side, TimeInForce

E = TypeVar("E", bound=StrEnum)

LONGEST_TEXT = 200
# Enough for every market there is; more only makes arithmetic slow.
MOST_DIGITS = 40


class InvalidMessage(ValueError):
    """A message that cannot be meant; names the field, the value and the expectation."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {str(value)[:LONGEST_TEXT]!r}, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


class Codes(Generic[E]):
    """A StrEnum beside its proto enum: SIDE_BUY is Side.BUY; 0 is nobody."""

    def __init__(self, kind: type[E], prefix: str, numbers: dict[str, int]) -> None:
        self._kind = kind
        self._number = {member: numbers[f"{prefix}_{member.name}"] for member in kind}
        self._member = {number: member for member, number in self._number.items()}

    def number(self, member: E) -> int:
        return self._number[member]

    def maybe(self, number: int) -> E | None:
        return self._member.get(number)

    def member(self, field: str, number: int) -> E:
        found = self._member.get(number)
        if found is None:
            raise InvalidMessage(field, number, f"one of {', '.join(self._kind)}")
        return found


SIDES = Codes(Side, "SIDE", dict(types_pb2.Side.items()))
ORDER_TYPES = Codes(OrderType, "ORDER_TYPE", dict(types_pb2.OrderType.items()))
TIMES_IN_FORCE = Codes(TimeInForce, "TIME_IN_FORCE", dict(types_pb2.TimeInForce.items()))
ORDER_STATES = Codes(OrderState, "ORDER_STATE", dict(types_pb2.OrderState.items()))
REASONS = Codes(Reason, "REASON", dict(types_pb2.Reason.items()))


def decimal_from(field: str, text: str) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= MOST_DIGITS else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise InvalidMessage(field, text, f"a decimal of at most {MOST_DIGITS} characters")
    return number


def optional_decimal_from(field: str, text: str) -> Decimal | None:
    return decimal_from(field, text) if text else None


def text_of(number: Decimal | None) -> str:
    """Plain notation: never 1E+3, which not every reader takes."""
    return "" if number is None else format(number, "f")


def text_from(field: str, text: str) -> str:
    if not text or len(text) > LONGEST_TEXT:
        raise InvalidMessage(field, text, f"1 to {LONGEST_TEXT} characters")
    return text


def reason_number(reason: Reason | None) -> int:
    return 0 if reason is None else REASONS.number(reason)


def cause_to_proto(cause: Cause) -> types_pb2.Cause:
    return types_pb2.Cause(
        symbol=cause.symbol, type=cause.type, sequence=cause.sequence, at_ns=cause.at_ns
    )


def cause_from_proto(message: types_pb2.Cause) -> Cause:
    return Cause(
        text_from("cause.symbol", message.symbol),
        text_from("cause.type", message.type),
        message.sequence,
        message.at_ns,
    )
