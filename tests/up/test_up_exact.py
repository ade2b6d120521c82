"""sma_crossover through the whole desk, against a computation that shares no code with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossover_reference import SAMPLE, Order, expected
from stratops_api.v1 import types_pb2
from stratops_wire.gateway_client import GatewayClient
from up_driver import Up, manifest

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]


async def orders_of(up: Up, name: str) -> list[Order]:
    running = up.running()
    async with GatewayClient(running.gateway, running.operator_token) as gateway:
        return [
            (order.cause.sequence, types_pb2.Side.Name(order.side).removeprefix("SIDE_").lower())
            async for order in gateway.orders(name)
        ]


async def test_it_makes_the_orders_of_an_independent_computation(
    start_up: StartUp, tmp_path: Path
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(manifest("probe"))
    up = start_up(
        "-f", str(path), "--data", str(SAMPLE), "--speed", "max", "--fill", "touch",
        "--no-fill-sizes",
    )  # fmt: skip
    await up.until(lambda desk: up.replay_ended(), deadline_s=240)
    reference = expected(SAMPLE)
    await up.until(lambda desk: desk.fills >= len(reference) and not desk.queued, deadline_s=120)
    assert await orders_of(up, "probe") == reference
