"""Bytes into requests: what is too large or no message at all becomes a refusal with its reason.

Left to gRPC, both would end in a status that says nothing, and our own code would never see them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from risk_gateway.allowances import Bound, BoundMet
from risk_gateway.roles import MIB, RIGHTS
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire import InvalidMessage

MOST_IN_STREAM = MIB  # of a message in a stream, but for a snapshot
Request = TypeVar("Request")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a request would."""

    why: Exception


def readable(request: Request | Unreadable) -> Request:
    """Raises BoundMet, InvalidMessage."""
    if isinstance(request, Unreadable):
        raise request.why
    return request


class ReadRequests(grpc.aio.ServerInterceptor):
    """Puts our reading in the place of gRPC's."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        rpc = str(handler_call_details.method).rpartition("/")[2]
        if handler is None or rpc not in RIGHTS:
            return handler
        return handler._replace(request_deserializer=_reader(rpc, handler.request_deserializer))


def _reader(rpc: str, parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    most = RIGHTS[rpc].most_bytes

    def read(payload: bytes) -> Any:
        if len(payload) > most:
            return _too_large(rpc, len(payload), most)
        try:
            request = parse(payload)
        except DecodeError:
            return Unreadable(
                InvalidMessage("request", f"{len(payload)} bytes", f"a {rpc} request")
            )
        if len(payload) > MOST_IN_STREAM and not _may_be_large(request):
            return _too_large(rpc, len(payload), MOST_IN_STREAM)
        return request

    return read


def _may_be_large(request: Any) -> bool:
    return not isinstance(request, pb.RunnerMessage) or request.HasField("snapshot")


def _too_large(rpc: str, size: int, most: int) -> Unreadable:
    return Unreadable(BoundMet(Bound.REQUEST_SIZE, f"{rpc}: {size} bytes, at most {most}"))
