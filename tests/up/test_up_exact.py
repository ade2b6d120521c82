"""sma_crossover through the whole desk, against a computation that shares no code with it."""

import csv
import gzip
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from stratops.gateway_client import GatewayClient
from stratops_api.v1 import types_pb2
from up_driver import Up, manifest

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
SAMPLE = Path(str(files("market_feed"))) / "sample" / "quotes_BTCUSDT_20240808.csv.gz"
SHORT, LONG, INCREMENT = 5, 20, 0.01

Order = tuple[int, str]  # sequence of the tick, side


def expected(path: Path) -> list[Order]:
    """Twenty lines of numpy: mids in whole increments, moving sums, changes of the comparison."""
    with gzip.open(path, "rt") as text:
        rows = [
            (row["sequence"], row["bid_price"], row["ask_price"]) for row in csv.DictReader(text)
        ]
    sequence = np.array([int(row[0]) for row in rows], dtype=np.int64)
    bid, ask = (np.array([float(row[n]) for row in rows]) for n in (1, 2))
    mid2 = np.rint(bid / INCREMENT).astype(np.int64) + np.rint(ask / INCREMENT).astype(np.int64)
    total = np.concatenate(([0], np.cumsum(mid2)))
    places = np.arange(LONG, len(mid2) + 1)
    short, long = (total[places] - total[places - n] for n in (SHORT, LONG))
    above = LONG * short > SHORT * long
    changes = np.flatnonzero(above[1:] != above[:-1]) + 1
    orders: list[Order] = []
    for change in changes:
        side = "buy" if above[change] else "sell"
        if side == "buy" or orders:  # a sale needs a position
            orders.append((int(sequence[places[change] - 1]), side))
    return orders


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
    await up.until(lambda desk: up.replay_ended(), deadline_s=120)
    reference = expected(SAMPLE)
    await up.until(lambda desk: desk.fills >= len(reference) and not desk.queued, deadline_s=30)
    assert await orders_of(up, "probe") == reference
