"""Which order at work a cancel or a modification means, and what would come in its place."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from trading.ids import client_order_id
from trading.money import EXACT
from trading.orders import Order
from trading.reasons import Reason
from trading.risk import Rejection
from trading.signals import Action, OrderType, Signal

Orders = Mapping[str, Order]  # of one strategy, by client order id


def order_to_cancel(signal: Signal, orders: Orders) -> Order | Rejection:
    if signal.action is not Action.CANCEL or not signal.cancels:
        return Rejection(Reason.INVALID_SIGNAL, "a cancel names the signal that it cancels")
    return _open_order(signal.cancels, orders)


def order_to_modify(signal: Signal, orders: Orders) -> Order | Rejection:
    if signal.action is not Action.MODIFY or not signal.modifies:
        return Rejection(Reason.INVALID_SIGNAL, "a modify names the signal that it modifies")
    order = _open_order(signal.modifies, orders)
    if isinstance(order, Rejection):
        return order
    objection = _cannot_be_modified(signal, order)
    return Rejection(Reason.INVALID_SIGNAL, objection) if objection else order


def in_its_place(signal: Signal, order: Order) -> Signal:
    """What would be left of a modified order, as if it were asked for now."""
    quantity = signal.quantity or order.quantity
    left = EXACT.subtract(quantity, order.filled_quantity) if quantity.is_finite() else Decimal(0)
    return replace(
        signal,
        action=Action.ORDER,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=left,
        price=order.price if signal.price is None else signal.price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
    )


def _open_order(signal_id: str, orders: Orders) -> Order | Rejection:
    order = orders.get(client_order_id(signal_id))
    if order is None or not order.is_open:
        return Rejection(Reason.UNKNOWN_ORDER, f"no open order of signal {signal_id}")
    return order


def _cannot_be_modified(signal: Signal, order: Order) -> str:
    if signal.symbol != order.symbol:
        return f"modify of {signal.symbol}, the order's symbol is {order.symbol}"
    if order.order_type is not OrderType.LIMIT or order.price is None:
        return f"modify of a {order.order_type} order, expected limit"
    if order.asked is not None:
        return f"signal {order.asked.signal_id} modifies it, not answered yet"
    return ""
