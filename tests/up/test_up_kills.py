"""Fifty kills at random moments, under load: what was filled is counted once, by everybody."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stratops_api.v1 import risk_gateway_pb2 as pb
from up_driver import REDIS, Up, manifest, strategy

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

StartUp = Callable[..., Up]
KILLS = 50
VICTIMS = (REDIS, "nats-server", "risk_gateway", "paper_venue", "market_feed", "probe@")


async def test_fifty_kills_lose_nothing_and_count_nothing_twice(
    start_up: StartUp, tmp_path: Path
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(manifest("probe") + "---\n" + manifest("other", symbols="[ETHUSDT]"))
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201  # a failure is to be tried again
    choose = random.Random(seed)
    up = start_up("-f", str(path), "--speed", "2", "-o", "json")
    await up.until(lambda desk: desk.fills > 0)
    killed = 0
    for _ in range(KILLS):
        await asyncio.sleep(choose.uniform(0.3, 3.0))
        killed += _kill(up, choose.choice(VICTIMS))
    assert killed > KILLS // 2
    calm = await up.until(_everybody_is_armed)
    after = await up.until(lambda desk: desk.fills > calm.fills + 5 and _everybody_is_armed(desk))
    assert all(len(_armed(status)) == 1 for status in after.strategies)
    up.stop()
    report = up.report()
    assert report["ledger_equals_venue"], report["differences"]
    assert report["restarts"] >= killed


def _kill(up: Up, who: str) -> bool:
    """Whether it was there to be killed: it may not have come back from the last time."""
    try:
        up.child(who).kill()
    except (LookupError, psutil.NoSuchProcess):
        return False
    return True


def _everybody_is_armed(desk: pb.Desk) -> bool:
    return all(strategy(desk, name).role == "armed" for name in ("probe", "other"))


def _armed(status: pb.StrategyStatus) -> list[pb.RunnerStatus]:
    return [runner for runner in status.runners if runner.role == "armed"]
