"""An empty unary call, answered: what gRPC alone costs. Prints its port."""

import asyncio
from typing import Any

import grpc
import grpc.aio

METHOD = "/benchmark.Echo/Say"


async def _say(_: bytes, __: object) -> bytes:
    return b""


async def _serve() -> None:
    server = grpc.aio.server()
    service, method = METHOD.strip("/").split("/")
    handler: Any = grpc.unary_unary_rpc_method_handler(_say)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
