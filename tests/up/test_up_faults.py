"""kill -9 of each process under load: nothing is lost, nothing counts twice, the report tells."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from up_driver import REDIS, Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(manifest("probe"))
    return path


@pytest.mark.parametrize(
    "who", [REDIS, "nats-server", "risk_gateway", "paper_venue", "market_feed", "probe@"]
)
async def test_a_kill_loses_nothing(start_up: StartUp, probe: Path, who: str) -> None:
    up = start_up("-f", str(probe), "--speed", "10", "-o", "json")
    before = await up.until(lambda desk: desk.fills > 3)
    up.child(who).kill()
    await up.until_true(lambda: "died" in up.err)
    await up.until(lambda desk: desk.fills > before.fills + 3)
    up.stop()
    report = up.report()
    assert report["ledger_equals_venue"], report["differences"]
    assert report["restarts"] == 1


async def test_a_killed_runner_is_replaced_under_a_new_epoch(
    start_up: StartUp, probe: Path
) -> None:
    up = start_up("-f", str(probe), "--speed", "10")
    before = strategy(await up.until(lambda desk: desk.fills > 0), "probe")
    up.child("probe@").kill()
    await up.until(lambda desk: strategy(desk, "probe").epoch > before.epoch)
    await up.until(lambda desk: strategy(desk, "probe").fills > before.fills)


async def test_all_but_up_killed_at_once_recovers(start_up: StartUp, probe: Path) -> None:
    up = start_up("-f", str(probe), "--speed", "10", "-o", "json")
    before = await up.until(lambda desk: desk.fills > 3)
    for child in up.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it went with another one
            child.kill()
    await asyncio.sleep(1)
    await up.until(lambda desk: desk.fills > before.fills + 3)
    up.stop()
    report = up.report()
    assert report["ledger_equals_venue"], report["differences"]


@pytest.mark.parametrize("who", ["risk_gateway", "all"])
async def test_what_stands_still_for_a_moment_costs_nobody_its_runner(
    start_up: StartUp, probe: Path, who: str
) -> None:
    up = start_up("-f", str(probe), "--speed", "10", "-o", "json")
    before = await up.until(lambda desk: desk.fills > 0)
    held = [up.child(who)] if who != "all" else [*up.children(), psutil.Process(up.process.pid)]
    for process in held:
        process.suspend()
    await asyncio.sleep(3)
    for process in held:
        process.resume()
    await up.until(lambda desk: desk.fills > before.fills)
    up.stop()
    assert up.report()["restarts"] == 0, up.err
