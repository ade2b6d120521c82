"""What `up` asks a venue: whether it is one."""

import grpc
import grpc.aio

from stratops_api.v1.order_execution_pb2 import ListOrdersRequest
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub

_OPTIONS = (("grpc.enable_http_proxy", 0),)


async def venue_answers(address: str, timeout_s: float) -> bool:
    """Whether an OrderExecution server is there, not just somebody who listens."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        request = ListOrdersRequest(limit=1)
        try:
            await OrderExecutionStub(channel).ListOrders(request, timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return False
        return True
