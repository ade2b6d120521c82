"""Signals and verdicts."""

from types import MappingProxyType

from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.scalars import (
    ORDER_TYPES,
    REASONS,
    SIDES,
    TIMES_IN_FORCE,
    Codes,
    InvalidMessage,
    cause_from_proto,
    cause_to_proto,
    decimal_from,
    optional_decimal_from,
    reason_number,
    text_from,
    text_of,
)
from trading.signals import (
    DEFAULT_PRIORITY,
    NO_METADATA,
    Action,
    Direction,
    OrderType,
    Side,
    Signal,
    TimeInForce,
    Verdict,
)

DIRECTIONS = Codes(Direction, "DIRECTION", dict(pb.Direction.items()))
ACTIONS = Codes(Action, "ACTION", dict(pb.Action.items()))
MOST_METADATA = 32


def signal_to_proto(signal: Signal) -> pb.Signal:
    return pb.Signal(
        id=signal.id,
        action=ACTIONS.number(signal.action),  # type: ignore[arg-type]  # the stubs' own enum type
        symbol=signal.symbol,
        side=SIDES.number(signal.side),  # type: ignore[arg-type]  # as above
        order_type=ORDER_TYPES.number(signal.order_type),  # type: ignore[arg-type]  # as above
        quantity=text_of(signal.quantity),
        price=text_of(signal.price),
        stop_price=text_of(signal.stop_price),
        time_in_force=TIMES_IN_FORCE.number(signal.time_in_force),  # type: ignore[arg-type]  # as above
        priority=signal.priority,
        at_ns=signal.at_ns,
        metadata=signal.metadata,
        max_slippage=text_of(signal.max_slippage),
        confidence=text_of(signal.confidence),
        cause=cause_to_proto(signal.cause),
        expires_ns=signal.expires_ns or 0,
        cancels=signal.cancels or "",
        closing=signal.closing,
        modifies=signal.modifies or "",
        post_only=signal.post_only,
        direction=_direction_number(signal.direction),  # type: ignore[arg-type]  # as above
        size=text_of(signal.size),
    )


def _direction_number(direction: Direction | None) -> int:
    return 0 if direction is None else DIRECTIONS.number(direction)


def signal_from_proto(message: pb.Signal) -> Signal:
    action = ACTIONS.member("action", message.action)
    ordering = action is Action.ORDER
    intends = ordering and bool(message.direction)  # the gateway finds the side
    priority = message.priority or DEFAULT_PRIORITY
    if priority > 10:
        raise InvalidMessage("priority", priority, "1 to 10")
    if len(message.metadata) > MOST_METADATA:
        raise InvalidMessage("metadata", len(message.metadata), f"at most {MOST_METADATA} entries")
    return Signal(
        id=text_from("id", message.id),
        symbol=text_from("symbol", message.symbol),
        cause=cause_from_proto(message.cause),
        at_ns=message.at_ns,
        action=action,
        side=SIDES.member("side", message.side)
        if ordering and (message.side or not intends)
        else Side.BUY,
        order_type=ORDER_TYPES.member("order_type", message.order_type)
        if ordering and (message.order_type or not intends)
        else OrderType.MARKET,
        quantity=decimal_from("quantity", message.quantity or "0"),
        price=optional_decimal_from("price", message.price),
        stop_price=optional_decimal_from("stop_price", message.stop_price),
        time_in_force=TIMES_IN_FORCE.maybe(message.time_in_force) or TimeInForce.GTC,
        priority=priority,
        max_slippage=optional_decimal_from("max_slippage", message.max_slippage),
        confidence=optional_decimal_from("confidence", message.confidence),
        expires_ns=message.expires_ns or None,
        cancels=text_from("cancels", message.cancels) if action is Action.CANCEL else None,
        modifies=text_from("modifies", message.modifies) if action is Action.MODIFY else None,
        post_only=message.post_only,
        direction=DIRECTIONS.member("direction", message.direction) if intends else None,
        size=optional_decimal_from("size", message.size),
        closing=message.closing,
        metadata=MappingProxyType(dict(message.metadata)) if message.metadata else NO_METADATA,
    )


def verdict_to_proto(verdict: Verdict) -> pb.Verdict:
    return pb.Verdict(
        signal_id=verdict.signal_id,
        accepted=verdict.accepted,
        reason=reason_number(verdict.reason),  # type: ignore[arg-type]  # the stubs' own enum type
        message=verdict.message,
    )


def verdict_from_proto(message: pb.Verdict) -> Verdict:
    reason = None if message.accepted else REASONS.member("reason", message.reason)
    return Verdict(message.signal_id, reason, message.message)
