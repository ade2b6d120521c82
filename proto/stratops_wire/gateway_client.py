"""What supervisors and tools ask the risk gateway for, over gRPC, with TLS where there is a CA."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio

from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from stratops_wire.leader import REFUSAL_KEY, Replicas

if TYPE_CHECKING:
    from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayAsyncStub

CALL_S = 2.0
RECONCILE_S = 10.0
LOWER_TERM = "lower-term"

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
    # A gateway whose node has gone says nothing, and its successor has the same address.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # the ping's own deadline, a minute by default, counts
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
TOO_LARGE = "request_size"  # no waiting helps; of every other bound it does
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)

Answer = TypeVar("Answer")


class GatewayUnavailable(Exception):
    """It did not answer now; waiting helps."""


class GatewayRefused(Exception):
    """It answered no; the message is its own."""

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.code = code


class LowerTerm(GatewayRefused):
    """The term of the call is not the last one begun: somebody else supervises, or none was."""


class GatewayClient:
    """Holds its channels and a term. `begin_term` comes before deploy and withdraw.

    With several addresses (`a:1,b:1`: replicas) it finds the one that leads. Everything asked for
    here may be asked twice.

    `token` is asked for at each call where it is a callable: a projected one changes under us.
    """

    def __init__(
        self,
        address: str,
        token: str | Callable[[], str],
        ca: bytes | None = None,
        *,
        term: int = 0,
        certificate: tuple[bytes, bytes] | None = None,
    ) -> None:
        """With `ca` (PEM) the gateway has to prove that it is `address`; without, plain.

        `certificate` is shown in turn: key and certificate, PEM.
        """
        self._replicas = Replicas.of(address)
        self._ca, self._certificate = ca, certificate
        self._channels: dict[str, tuple[grpc.aio.Channel, RiskGatewayAsyncStub]] = {}
        self._read_token = token if callable(token) else lambda: token
        self.term = term

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        while self._channels:
            _, (channel, _) = self._channels.popitem()
            await channel.close()

    async def begin_term(self, holder: str) -> int:
        request = pb.BeginTermRequest(token=self._token(), holder=holder)
        answer = await self._asked(lambda to: to.BeginTerm(request, timeout=CALL_S))
        self.term = answer.term
        return self.term

    async def deploy(
        self,
        strategy: str,
        revision: str,
        content: str | bytes,
        runner_token: str = "",
        *,
        runner_pods: Iterable[str] = (),
    ) -> None:
        """Who may run it: whoever shows `runner_token`, or else the pods of those uids."""
        digest = hashlib.sha256(runner_token.encode()).hexdigest() if runner_token else ""
        request = pb.DeployRequest(
            token=self._token(),
            term=self.term,
            strategy=strategy,
            revision=revision,
            content=content if isinstance(content, str) else content.decode(),
            runner_token_sha256=digest,
            runner_pods=runner_pods,
        )
        await self._asked(lambda to: to.Deploy(request, timeout=CALL_S))

    async def withdraw(self, strategy: str, reason: str, *, flatten: bool = False) -> None:
        """Answered when it is on disk; `get_desk` shows what is still to be closed."""
        request = pb.WithdrawRequest(
            token=self._token(), term=self.term, strategy=strategy, reason=reason, flatten=flatten
        )
        await self._asked(lambda to: to.Withdraw(request, timeout=CALL_S))

    async def halt(self, reason: str, *, reducing: bool = False, **scope: str) -> None:
        """`scope`: one of strategy, symbol, account; none: the desk. `reducing`: closing goes
        on."""
        request = pb.HaltRequest(token=self._token(), reason=reason, reducing=reducing, **scope)
        await self._asked(lambda to: to.Halt(request, timeout=CALL_S))

    async def resume(self, reason: str, source: str = "", **scope: str) -> None:
        """Ends what `halt` began of the same, or another source; a policy goes on halting."""
        request = pb.ResumeRequest(token=self._token(), reason=reason, source=source, **scope)
        await self._asked(lambda to: to.Resume(request, timeout=CALL_S))

    async def cancel_orders(self, strategy: str, reason: str) -> int:
        """Of every strategy when none is named. How many are to be cancelled."""
        request = pb.CancelOrdersRequest(
            token=self._token(), strategy=strategy, all=not strategy, reason=reason
        )
        return (await self._asked(lambda to: to.CancelOrders(request, timeout=CALL_S))).orders

    async def get_desk(
        self, *, reconcile: bool = False, timeout_s: float | None = None, patient: bool = False
    ) -> pb.Desk:
        """With `patient` a gateway that is about to come back is waited for."""
        request = pb.GetDeskRequest(token=self._token(), reconcile=reconcile)
        timeout_s = timeout_s or (RECONCILE_S if reconcile else CALL_S)
        return await self._asked(
            lambda to: to.GetDesk(request, timeout=timeout_s, wait_for_ready=patient)
        )

    async def orders(self, strategy: str = "") -> AsyncIterator[pb.DeskOrder]:
        """All orders of the journal, in their order, page by page."""
        after = ""
        while True:
            request = pb.ListDeskOrdersRequest(
                token=self._token(), strategy=strategy, after_client_order_id=after
            )
            page = await self._page(request)
            for order in page.orders:
                yield order
            after = page.next_after_client_order_id
            if not after:
                return

    async def _page(self, request: pb.ListDeskOrdersRequest) -> pb.ListDeskOrdersResponse:
        return await self._asked(lambda to: to.ListDeskOrders(request, timeout=RECONCILE_S))

    async def _asked(self, call: "Callable[[RiskGatewayAsyncStub], Awaitable[Answer]]") -> Answer:
        """Of whoever leads: each address is tried, and the one that a standby names."""
        tries = len(self._replicas.addresses) + 1
        while True:
            try:
                return await call(self._called())
            except grpc.aio.AioRpcError as error:
                after, tries = self._replicas.after(error), tries - 1
                if after == self._replicas or not tries:
                    raise _failure(error) from error
                self._replicas = after

    def _called(self) -> "RiskGatewayAsyncStub":
        address = self._replicas.called
        if address not in self._channels:
            channel = _channel(address, self._ca, self._certificate)
            self._channels[address] = channel, RiskGatewayStub(channel)
        return self._channels[address][1]

    def _token(self) -> str:
        try:
            return self._read_token()
        except OSError as error:  # the kubelet has not written it yet
            raise GatewayUnavailable(f"risk gateway: no token to show: {error}") from error


def _channel(
    address: str, ca: bytes | None, certificate: tuple[bytes, bytes] | None
) -> grpc.aio.Channel:
    if ca is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    trust = grpc.ssl_channel_credentials(ca, *(certificate or ()))
    return grpc.aio.secure_channel(address, trust, options=_OPTIONS)


def _failure(error: grpc.aio.AioRpcError) -> GatewayUnavailable | GatewayRefused:
    code = error.code()
    message = f"risk gateway: {code.name}: {error.details() or ''}"
    if code in _PASSING and _named(error) != TOO_LARGE:
        return GatewayUnavailable(message)
    return _refusal(error)(message, code)


def _refusal(error: grpc.aio.AioRpcError) -> type[GatewayRefused]:
    return LowerTerm if _named(error) == LOWER_TERM else GatewayRefused


def _named(error: grpc.aio.AioRpcError) -> str:
    return str(dict(error.trailing_metadata() or ()).get(REFUSAL_KEY, ""))
