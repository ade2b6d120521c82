"""Orders to and from the wire.

A request that cannot be meant raises InvalidMessage. One whose numbers are no numbers is read with
a quantity of zero, and with the refusal it deserves: it gets a rejected order like any other.
"""

from decimal import Decimal

from paper_venue.orders import Order, Refusal, Request
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import (
    ORDER_STATES,
    ORDER_TYPES,
    SIDES,
    TIMES_IN_FORCE,
    InvalidMessage,
    cause_from_proto,
    decimal_from,
    optional_decimal_from,
    reason_number,
    text_from,
    text_of,
)
from trading.reasons import Reason
from trading.signals import TimeInForce

# Fill ids are this and a number; readers of fills take at most 200 characters.
LONGEST_ID = 150

_REASON_OF = {
    "quantity": Reason.INVALID_QUANTITY,
    "price": Reason.INVALID_PRICE,
    "stop_price": Reason.INVALID_PRICE,
}


def request_from_proto(message: pb.OrderRequest) -> tuple[Request, Refusal | None]:
    """The request, and what is wrong with its numbers. Raises InvalidMessage."""
    refusal = None
    quantity, price, stop_price = Decimal(0), None, None
    try:
        quantity = decimal_from("quantity", message.quantity)
        price = optional_decimal_from("price", message.price)
        stop_price = optional_decimal_from("stop_price", message.stop_price)
    except InvalidMessage as problem:
        refusal = Refusal(_REASON_OF[problem.field], str(problem))
    return _request(message, quantity, price, stop_price), refusal


def order_to_proto(order: Order) -> pb.OrderResponse:
    request = order.request
    return pb.OrderResponse(
        order_id=order.id,
        client_order_id=request.client_order_id,
        state=ORDER_STATES.number(order.state),  # type: ignore[arg-type]  # the stubs' own enum type
        filled_quantity=text_of(order.filled),
        average_price=text_of(order.average_price),
        fee=text_of(order.fee),
        reason=reason_number(order.reason),  # type: ignore[arg-type]  # as above
        message=order.message,
        strategy_id=request.strategy,
        symbol=request.symbol,
        side=SIDES.number(request.side),  # type: ignore[arg-type]  # as above
        quantity=text_of(request.quantity),
        filled_notional=text_of(order.notional),
        price=text_of(request.price),
        modification=order.modification,
        account=request.account,
        order_type=ORDER_TYPES.number(request.order_type),  # type: ignore[arg-type]  # as above
        stop_price=text_of(request.stop_price),
        time_in_force=TIMES_IN_FORCE.number(request.time_in_force),  # type: ignore[arg-type]  # as above
        reduce_only=request.reduce_only,
        post_only=request.post_only,
    )


def id_from(text: str) -> str:
    if not 0 < len(text) <= LONGEST_ID:
        raise InvalidMessage("client_order_id", text, f"1 to {LONGEST_ID} characters")
    return text


def _request(
    message: pb.OrderRequest, quantity: Decimal, price: Decimal | None, stop: Decimal | None
) -> Request:
    return Request(
        client_order_id=id_from(message.client_order_id),
        strategy=text_from("strategy_id", message.strategy_id),
        symbol=text_from("symbol", message.symbol),
        side=SIDES.member("side", message.side),
        order_type=ORDER_TYPES.member("order_type", message.order_type),
        quantity=quantity,
        price=price,
        stop_price=stop,
        time_in_force=_time_in_force(message.time_in_force),
        cause=cause_from_proto(message.cause) if message.HasField("cause") else None,
        post_only=message.post_only,
        reduce_only=message.reduce_only,
        account=text_from("account", message.account) if message.account else "",
        generation=message.generation,
    )


def _time_in_force(number: int) -> TimeInForce:
    """GTC when it is not said."""
    return TIMES_IN_FORCE.member("time_in_force", number) if number else TimeInForce.GTC
