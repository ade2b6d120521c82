"""What `up` and the operator's commands ask the risk gateway for, over gRPC."""

import hashlib
from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Self, TypeVar

import grpc

from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.order_execution_pb2 import ListOrdersRequest
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub

CALL_S = 2.0
RECONCILE_S = 10.0

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

Answer = TypeVar("Answer")


class GatewayUnavailable(Exception):
    """It did not answer now; waiting helps."""


class GatewayRefused(Exception):
    """It answered no; the message is its own."""


class GatewayClient:
    """Holds one channel and the operator's token. `begin_term` comes before deploy and withdraw."""

    def __init__(self, address: str, token: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._gateway = RiskGatewayStub(self._channel)
        self._token = token
        self._term = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def begin_term(self, holder: str) -> int:
        request = pb.BeginTermRequest(token=self._token, holder=holder)
        answer = await _asked(self._gateway.BeginTerm(request, timeout=CALL_S))
        self._term = answer.term
        return self._term

    async def deploy(self, strategy: str, revision: str, content: bytes, runner_token: str) -> None:
        request = pb.DeployRequest(
            token=self._token,
            term=self._term,
            strategy=strategy,
            revision=revision,
            content=content.decode(),
            runner_token_sha256=hashlib.sha256(runner_token.encode()).hexdigest(),
        )
        await _asked(self._gateway.Deploy(request, timeout=CALL_S))

    async def withdraw(self, strategy: str, reason: str) -> None:
        request = pb.WithdrawRequest(
            token=self._token, term=self._term, strategy=strategy, reason=reason
        )
        await _asked(self._gateway.Withdraw(request, timeout=CALL_S))

    async def halt(self, reason: str) -> None:
        request = pb.HaltRequest(token=self._token, reason=reason)
        await _asked(self._gateway.Halt(request, timeout=CALL_S))

    async def resume(self, reason: str) -> None:
        request = pb.ResumeRequest(token=self._token, reason=reason)
        await _asked(self._gateway.Resume(request, timeout=CALL_S))

    async def desk(
        self, *, reconcile: bool = False, timeout_s: float | None = None, patient: bool = False
    ) -> pb.Desk:
        """With `patient` a gateway that is about to come back is waited for."""
        request = pb.GetDeskRequest(token=self._token, reconcile=reconcile)
        timeout_s = timeout_s or (RECONCILE_S if reconcile else CALL_S)
        call = self._gateway.GetDesk(request, timeout=timeout_s, wait_for_ready=patient)
        return await _asked(call)

    async def orders(self, strategy: str = "") -> AsyncIterator[pb.DeskOrder]:
        """All orders of the journal, in their order, page by page."""
        after = ""
        while True:
            request = pb.ListDeskOrdersRequest(
                token=self._token, strategy=strategy, after_client_order_id=after
            )
            page = await _asked(self._gateway.ListDeskOrders(request, timeout=RECONCILE_S))
            for order in page.orders:
                yield order
            after = page.next_after_client_order_id
            if not after:
                return


async def venue_answers(address: str, timeout_s: float) -> bool:
    """Whether an OrderExecution server is there, not just somebody who listens."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        request = ListOrdersRequest(limit=1)
        try:
            await OrderExecutionStub(channel).ListOrders(request, timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return False
        return True


async def _asked(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or ""
        if code in _PASSING:
            raise GatewayUnavailable(f"risk gateway: {code.name}: {details}") from error
        raise GatewayRefused(f"risk gateway: {code.name}: {details}") from error
