"""Reloads that change nothing but the version leave no trace in the orders, wherever they fall."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from crossover_reference import SAMPLE, expected
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient
from trading.ids import client_order_id, signal_id
from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
SPLITS = 12


async def test_the_orders_are_those_of_a_run_without_a_reload(
    start_up: StartUp, tmp_path: Path
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(manifest("probe", version="1.0.0"))
    up = start_up(
        "-f", str(path), "--data", str(SAMPLE), "--speed", "6", "--fill", "touch",
        "--no-fill-sizes",
    )  # fmt: skip
    for split in range(1, SPLITS + 1):
        await _reloaded(up, path, split)
    await up.until(lambda desk: up.replay_ended(), deadline_s=240)
    reference = [_id(sequence) for sequence, _side in expected(SAMPLE)]
    desk = await up.until(lambda desk: desk.fills >= len(reference), deadline_s=120)
    assert desk.handovers == SPLITS
    assert await _ids(up) == reference


async def _reloaded(up: Up, path: Path, split: int) -> None:
    """Saves another version at a random moment, and waits until it has taken over."""

    def armed(desk: pb.Desk) -> bool:
        return strategy(desk, "probe").role == "armed" and desk.handovers >= split - 1

    before = strategy(await up.until(armed), "probe").revision
    await asyncio.sleep(random.uniform(0, 1))
    path.write_text(manifest("probe", version=f"1.0.{split}"))
    await up.until(lambda desk: strategy(desk, "probe").revision not in ("", before))


def _id(sequence: int) -> str:
    return client_order_id(signal_id("probe", "test", "BTCUSDT/tick", sequence, 0))


async def _ids(up: Up) -> list[str]:
    running = up.running()
    async with GatewayClient(running.gateway, running.operator_token) as gateway:
        return [order.client_order_id async for order in gateway.orders("probe")]
