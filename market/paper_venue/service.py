"""OrderExecution over gRPC: reads a request, lets the venue decide, answers what is on disk."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from paper_venue.conversion import id_from, order_to_proto, request_from_proto
from paper_venue.orders import Order, Refusal, Request, number_of
from paper_venue.store import Store, StoreUnavailable
from paper_venue.venue import PaperVenue
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)
from stratops_wire import InvalidMessage
from stratops_wire.scalars import ORDER_STATES, decimal_from
from trading.orders import OrderState

MOST_IN_BATCH = 1_000
MOST_IN_PAGE = 1_000
MOST_CALLS = 1_000  # at a time; more are refused as RESOURCE_EXHAUSTED
BURIED = "not known here; an order of this id will be rejected when it comes"

Context = grpc.aio.ServicerContext[Any, Any]
_INVALID = grpc.StatusCode.INVALID_ARGUMENT


class OrderService(OrderExecutionServicer):
    """`clock` is monotonic, in seconds."""

    def __init__(self, venue: PaperVenue, store: Store, clock: Callable[[], float]) -> None:
        self._venue = venue
        self._store = store
        self._clock = clock

    async def SubmitOrder(self, request: pb.OrderRequest, context: Context) -> pb.OrderResponse:  # noqa: N802  # the contract's name
        (answer,) = await self._submitted([request], context)
        return answer

    async def SubmitBatchOrders(  # noqa: N802  # as above
        self, request: pb.BatchOrderRequest, context: Context
    ) -> pb.BatchOrderResponse:
        """A request of the batch that cannot be meant refuses the batch whole."""
        if len(request.orders) > MOST_IN_BATCH:
            message = f"orders: {len(request.orders)}, expected at most {MOST_IN_BATCH}"
            await context.abort(_INVALID, message)
        return pb.BatchOrderResponse(orders=await self._submitted(request.orders, context))

    async def CancelOrder(self, request: pb.CancelRequest, context: Context) -> pb.OrderResponse:  # noqa: N802  # as above
        key = await _id(request.client_order_id, context)
        order = self._venue.open_order(key)
        if order is not None:
            await _check_owner(order, request.strategy_id, context)
        if not self._venue.cancel(key):
            self._store.bury(key)
        (found,) = await self._stored([key], context)
        return _buried(request) if found is None else order_to_proto(found)

    async def ModifyOrder(self, request: pb.ModifyRequest, context: Context) -> pb.OrderResponse:  # noqa: N802  # as above
        key = await _id(request.client_order_id, context)
        try:
            quantity = decimal_from("quantity", request.quantity)
            price = decimal_from("price", request.price)
        except InvalidMessage as problem:
            await context.abort(_INVALID, str(problem))
        order = self._venue.open_order(key)
        if order is not None:
            await _check_owner(order, request.strategy_id, context)
        self._venue.modify(key, request.modification, quantity, price)
        return await self._found(key, context)

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.OrderResponse:  # noqa: N802  # as above
        key = await _id(request.client_order_id, context)
        return await self._found(key, context)

    async def _found(self, key: str, context: Context) -> pb.OrderResponse:
        (found,) = await self._stored([key], context)
        if found is None:
            message = f"client_order_id: {key!r}, expected one that was submitted"
            await context.abort(grpc.StatusCode.NOT_FOUND, message)
        return order_to_proto(found)

    async def ListOrders(  # noqa: N802  # as above
        self, request: pb.ListOrdersRequest, context: Context
    ) -> pb.ListOrdersResponse:
        after = number_of(request.after_order_id) if request.after_order_id else 0
        if after is None:
            message = f"after_order_id: {request.after_order_id[:40]!r}, expected like 'P-000001'"
            await context.abort(_INVALID, message)
        limit = min(request.limit or MOST_IN_PAGE, MOST_IN_PAGE)
        try:
            found = await self._store.page(after, limit + 1, request.strategy_id, request.open_only)
        except StoreUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        page = found[:limit]
        return pb.ListOrdersResponse(
            orders=[order_to_proto(order) for order in page],
            next_after_order_id=page[-1].id if len(found) > limit else "",
        )

    async def GetVenue(self, request: pb.GetVenueRequest, context: Context) -> pb.VenueResponse:  # noqa: N802  # as above
        return pb.VenueResponse(reduce_only=True)

    async def _submitted(
        self, messages: Sequence[pb.OrderRequest], context: Context
    ) -> list[pb.OrderResponse]:
        """How each order stands once all are on disk."""
        requests = await _requests(messages, context)
        now_s = self._clock()
        for request, invalid in requests:
            self._venue.submit(request, invalid, now_s)
        keys = [request.client_order_id for request, _ in requests]
        return [order_to_proto(order) for order in await self._stored(keys, context) if order]

    async def _stored(self, keys: list[str], context: Context) -> list[Order | None]:
        try:
            return await self._store.orders(keys)
        except StoreUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def make_server(service: OrderService) -> grpc.aio.Server:
    # Without so_reuseport=0 a second venue would share the port, and the calls, of the first.
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),
            # A client may ask whether we are there while it waits for an answer.
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
        ),
        maximum_concurrent_rpcs=MOST_CALLS,
    )
    add_OrderExecutionServicer_to_server(service, server)
    return server


async def _requests(
    messages: Sequence[pb.OrderRequest], context: Context
) -> list[tuple[Request, Refusal | None]]:
    try:
        return [request_from_proto(message) for message in messages]
    except InvalidMessage as problem:
        await context.abort(_INVALID, str(problem))


async def _check_owner(order: Order, strategy: str, context: Context) -> None:
    owner = order.request.strategy
    if strategy not in ("", owner):
        message = f"strategy_id: {strategy!r}, expected {owner!r}"
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, message)


async def _id(text: str, context: Context) -> str:
    try:
        return id_from(text)
    except InvalidMessage as problem:
        await context.abort(_INVALID, str(problem))


def _buried(request: pb.CancelRequest) -> pb.OrderResponse:
    return pb.OrderResponse(
        client_order_id=request.client_order_id,
        strategy_id=request.strategy_id,
        state=ORDER_STATES.number(OrderState.CANCELLED),  # type: ignore[arg-type]  # the stubs' own
        message=BURIED,
    )
