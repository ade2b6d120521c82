"""The venue as the gateway calls it: gRPC with deadlines, and repeats that cannot act twice.

A call that ends without an answer raises VenueUnavailable: what it asked for may or may not have
happened, and only GetOrder can tell.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio

from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub

Q = TypeVar("Q")
R = TypeVar("R")
Call = Callable[..., Awaitable[R]]

_TRY_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_PAGE = 1_000
_OPTIONS = (
    # A venue that is back is found within a second, not after gRPC's own two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


class VenueUnavailable(Exception):
    """No answer: the venue may or may not have acted."""


class VenueRefused(Exception):
    """The venue answered that it will not: the call itself was wrong. Nothing happened."""


@dataclass(frozen=True, slots=True)
class Patience:
    deadline_s: float = 5.0
    retries: int = 3
    backoff_s: float = 0.1  # doubled at each retry


class Venue:
    """Within one call the client order id stays the same, so a repeat answers, it does not act."""

    def __init__(self, target: str, patience: Patience = Patience()) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub = OrderExecutionStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._patience = patience
        self.available = True

    async def close(self) -> None:
        await self._channel.close()

    async def submit(self, orders: Sequence[pb.OrderRequest]) -> Sequence[pb.OrderResponse]:
        """How each order stands at the venue, in the order of the request."""
        if len(orders) == 1:
            return [await self._persistently(self._stub.SubmitOrder, orders[0])]
        request = pb.BatchOrderRequest(orders=orders)
        answer = await self._persistently(self._stub.SubmitBatchOrders, request)
        return answer.orders

    async def cancel(self, client_order_id: str, strategy: str) -> pb.OrderResponse:
        request = pb.CancelRequest(client_order_id=client_order_id, strategy_id=strategy)
        return await self._persistently(self._stub.CancelOrder, request)

    async def order(self, client_order_id: str) -> pb.OrderResponse | None:
        """None when the venue has never seen it. Tried once: whoever asks, asks again."""
        request = pb.GetOrderRequest(client_order_id=client_order_id)
        return await self._once(self._stub.GetOrder, request)

    async def orders(
        self, strategy: str = "", *, open_only: bool = False
    ) -> AsyncIterator[pb.OrderResponse]:
        after = ""
        while True:
            request = pb.ListOrdersRequest(
                strategy_id=strategy, open_only=open_only, after_order_id=after, limit=_PAGE
            )
            page = await self._persistently(self._stub.ListOrders, request)
            for order in page.orders:
                yield order
            after = page.next_after_order_id
            if not after:
                return

    async def _persistently(self, call: Call[R], request: object) -> R:
        wait_s = self._patience.backoff_s
        for attempt in range(self._patience.retries + 1):
            try:
                answer = await self._once(call, request)
            except VenueUnavailable:
                if attempt == self._patience.retries:
                    raise
                await asyncio.sleep(wait_s)
                wait_s *= 2
            else:
                if answer is None:
                    raise VenueRefused("NOT_FOUND")
                return answer
        raise AssertionError("unreachable")

    async def _once(self, call: Call[R], request: object) -> R | None:
        try:
            answer = await call(request, timeout=self._patience.deadline_s)
        except grpc.aio.AioRpcError as error:
            return self._answer_to(error)
        self.available = True
        return answer

    def _answer_to(self, error: grpc.aio.AioRpcError) -> None:
        code = error.code()
        if code is grpc.StatusCode.NOT_FOUND:
            self.available = True
            return
        if code in _TRY_AGAIN:
            self.available = False
            raise VenueUnavailable(f"{code.name}: {error.details()}") from error
        raise VenueRefused(f"{code.name}: {error.details()}") from error
