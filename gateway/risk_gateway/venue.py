"""The venue as the gateway calls it: gRPC with deadlines, and repeats that cannot act twice.

A call that ends without an answer raises VenueUnavailable: what it asked for may or may not have
happened, and only GetOrder can tell.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import structlog

from risk_gateway.breaker import Breaker, BreakerState
from risk_gateway.venue_tls import VenueTls
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub
from stratops_wire.scalars import ORDER_TYPES, SIDES, TIMES_IN_FORCE, cause_to_proto, text_of
from trading.orders import Modification, Order
from trading.routes import DEFAULT_VENUE

log = structlog.get_logger()

_TRY_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
# By these a server says that it did not act. After any other it may have.
_NOTHING_HAPPENED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)
_PAGE = 1_000
_RENEWED_WITHIN_S = 1.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    # A venue that is back is found within a second, not after gRPC's own two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # One whose host has gone says nothing, and its successor has the same address. While a call
    # is under way, so that no venue is asked oftener than it has work.
    ("grpc.keepalive_time_ms", 3_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
)


def _always() -> bool:
    return True


class VenueUnavailable(Exception):
    """No answer: the venue may or may not have acted."""


class _TryAgain(VenueUnavailable):
    """Likely to pass."""


class VenueRefused(Exception):
    """The venue answered that it will not: the call itself was wrong. Nothing happened."""


@dataclass(frozen=True, slots=True)
class Patience:
    deadline_s: float = 5.0
    retries: int = 3
    backoff_s: float = 0.1  # doubled at each retry


class Venue:
    """Within one call the client order id stays the same, so a repeat answers, it does not act."""

    def __init__(
        self,
        target: str,
        patience: Patience = Patience(),  # frozen
        may_resubmit: Callable[[], bool] = _always,
        clock: Callable[[], float] = time.monotonic,
        tls: VenueTls | None = None,
        name: str = DEFAULT_VENUE,
    ) -> None:
        """`may_resubmit` is asked before a submit is repeated: a halted desk sends nothing."""
        self.name = name
        self._target = target
        self._tls = tls
        self.renewals = 0
        self._connect()
        self._patience = patience
        self._may_resubmit = may_resubmit
        self._breaker = Breaker()
        self._clock = clock
        self.calls: Counter[str] = Counter()  # by how they ended
        self._knows_reduce_only: bool | None = None  # None: it has not been asked

    @property
    def breaker(self) -> Breaker:
        self._breaker = self._breaker.at(self._clock())
        return self._breaker

    @property
    def available(self) -> bool:
        return self._breaker.is_closed

    @property
    def may_be_asked(self) -> bool:
        """Not while its breaker is open: what is down is not helped by questions."""
        return self.breaker.state is not BreakerState.OPEN

    def _connect(self) -> None:
        if self._tls is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        else:
            credentials = self._tls.pems.credentials
            self._channel = grpc.aio.secure_channel(self._target, credentials, options=_OPTIONS)
        self._stub = OrderExecutionStub(self._channel)

    async def follow_certificates(self) -> None:
        """Until cancelled. Calls under way end on the channel that they began on."""
        while self._tls is not None:
            await asyncio.sleep(_RENEWED_WITHIN_S)
            if self._tls.renewed():
                log.info("venue_certificate_renewed", venue=self.name)
                former = self._channel
                self._connect()
                self.renewals += 1
                await former.close(grace=self._patience.deadline_s)

    async def close(self) -> None:
        await self._channel.close()

    async def submit(self, orders: Sequence[pb.OrderRequest]) -> Sequence[pb.OrderResponse]:
        """How each order stands at the venue, in the order of the request."""
        may_repeat = self._may_resubmit
        await self._leave_out_what_it_does_not_know(orders)
        if len(orders) == 1:
            return [await self._persistently("SubmitOrder", orders[0], may_repeat)]
        request = pb.BatchOrderRequest(orders=orders)
        answer: pb.BatchOrderResponse = await self._persistently(
            "SubmitBatchOrders", request, may_repeat
        )
        return answer.orders

    async def _leave_out_what_it_does_not_know(self, orders: Sequence[pb.OrderRequest]) -> None:
        if not any(order.reduce_only for order in orders) or await self.knows_reduce_only():
            return
        for order in orders:
            order.reduce_only = False

    async def knows_reduce_only(self) -> bool:
        """As it declares; asked once in each of its lives that we know of."""
        if self._knows_reduce_only is None:
            try:
                answer: pb.VenueResponse = await self._persistently(
                    "GetVenue", pb.GetVenueRequest(), self._may_resubmit
                )
            except VenueRefused:
                self._knows_reduce_only = False
            else:
                self._knows_reduce_only = answer.reduce_only
        return self._knows_reduce_only

    async def cancel(self, client_order_id: str, strategy: str) -> pb.OrderResponse:
        request = pb.CancelRequest(client_order_id=client_order_id, strategy_id=strategy)
        answer: pb.OrderResponse = await self._persistently("CancelOrder", request)
        return answer

    async def modify(
        self, client_order_id: str, strategy: str, modification: Modification
    ) -> pb.OrderResponse:
        """How the order stands after this modification was decided, or a newer one."""
        request = pb.ModifyRequest(
            client_order_id=client_order_id,
            strategy_id=strategy,
            modification=modification.number,
            quantity=text_of(modification.quantity),
            price=text_of(modification.price),
        )
        answer: pb.OrderResponse = await self._persistently(
            "ModifyOrder", request, self._may_resubmit
        )
        return answer

    async def order(self, client_order_id: str) -> pb.OrderResponse | None:
        """None when the venue has never seen it. Tried once: whoever asks, asks again."""
        request = pb.GetOrderRequest(client_order_id=client_order_id)
        answer: pb.OrderResponse | None = await self._once("GetOrder", request)
        return answer

    async def orders(
        self, strategy: str = "", *, open_only: bool = False
    ) -> AsyncIterator[pb.OrderResponse]:
        after = ""
        while True:
            request = pb.ListOrdersRequest(
                strategy_id=strategy, open_only=open_only, after_order_id=after, limit=_PAGE
            )
            page = await self._persistently("ListOrders", request)
            for order in page.orders:
                yield order
            after = page.next_after_order_id
            if not after:
                return

    async def _persistently(
        self, call: str, request: object, may_repeat: Callable[[], bool] = _always
    ) -> Any:
        wait_s = self._patience.backoff_s
        for attempt in range(self._patience.retries + 1):
            try:
                answer = await self._once(call, request)
            except _TryAgain:
                if attempt == self._patience.retries or not may_repeat():
                    raise
                await asyncio.sleep(wait_s)
                wait_s *= 2
            else:
                if answer is None:
                    raise VenueRefused("NOT_FOUND")
                return answer
        raise AssertionError("unreachable")

    async def _once(self, call: str, request: object) -> Any:
        """On the channel that is the newest when it begins."""
        try:
            answer = await getattr(self._stub, call)(request, timeout=self._patience.deadline_s)
        except grpc.aio.AioRpcError as error:
            self._raise_unless_unknown(error)
            return None
        self._answered("answered")
        return answer

    def _answered(self, how: str) -> None:
        self.calls[how] += 1
        self._breaker = self._breaker.answered()

    def _raise_unless_unknown(self, error: grpc.aio.AioRpcError) -> None:
        code, told = error.code(), f"{error.code().name}: {error.details()}"
        if code in _TRY_AGAIN:
            self.calls["unanswered"] += 1
            self._knows_reduce_only = None  # another one may answer next
            self._breaker = self.breaker.unanswered(self._clock())
            raise _TryAgain(told) from error
        self._answered("refused")
        if code is grpc.StatusCode.NOT_FOUND:
            return
        raise (VenueRefused if code in _NOTHING_HAPPENED else VenueUnavailable)(told) from error


def order_request(
    order: Order, account: str = "", generation: int = 0, *, reduce_only: bool = False
) -> pb.OrderRequest:
    """`generation`: of the gateway, so that the venue can tell a former one."""
    return pb.OrderRequest(
        symbol=order.symbol,
        side=SIDES.number(order.side),  # type: ignore[arg-type]  # the stubs' own enum type
        order_type=ORDER_TYPES.number(order.order_type),  # type: ignore[arg-type]  # as above
        quantity=text_of(order.quantity),
        price=text_of(order.price),
        stop_price=text_of(order.stop_price),
        time_in_force=TIMES_IN_FORCE.number(order.time_in_force),  # type: ignore[arg-type]  # as above
        strategy_id=order.strategy,
        client_order_id=order.client_order_id,
        cause=cause_to_proto(order.cause) if order.cause.type else None,
        post_only=order.post_only,
        reduce_only=reduce_only,
        generation=generation,
        account=account,
    )
