"""A strategy that misbehaves harms nobody else on its desk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stratops_api.v1 import risk_gateway_pb2 as pb
from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]

HEAD = """
import time
from strategy_sdk import Strategy

class Bad(Strategy):
    seen: int = 0

    def start(self):
        self.count = 0
        self.kept = []

    def on_market_data(self, event):
        self.count += 1
"""
RAISES = HEAD + "        if self.count % 10 == 0: raise RuntimeError('bad luck')\n"
HANGS = HEAD + "        if self.count == 200: time.sleep(10)\n"
GROWS = HEAD + "        self.kept.append(bytearray(2_000_000))\n"
SELF_KILL = HEAD + "        import os; os._exit(7)\n"
ENDS_SOON = (
    HEAD
    + """        import os
        if time.monotonic() - BEGAN > 0.8: os._exit(7)

BEGAN = time.monotonic()
"""
)


@pytest.fixture
def both(tmp_path: Path) -> Callable[[str], Path]:
    """A manifest of `bad`, with this code, beside `good`."""

    def write(code: str, more: str = "") -> Path:
        (tmp_path / "bad.py").write_text(code)
        bad = manifest("bad", "{source: {file: bad.py}}", parameters="{}", more=more)
        path = tmp_path / "both.yaml"
        path.write_text(bad + "---\n" + manifest("good"))
        return path

    return write


async def test_one_that_raises_harms_nobody(start_up: StartUp, both: Callable[[str], Path]) -> None:
    up = start_up("-f", str(both(RAISES)), "--speed", "10", "-o", "json")
    await up.until(lambda desk: _errors(desk, "bad") > 0)
    await up.until(lambda desk: strategy(desk, "good").fills > 0)
    up.stop()
    report = up.report()
    assert report["strategies"]["good"]["errors"] == 0
    assert report["ledger_equals_venue"], report["differences"]


def _errors(desk: pb.Desk, name: str) -> int:
    return max((one.counters.errors for one in strategy(desk, name).runners), default=0)


async def test_one_that_hangs_is_ended_and_started_again(
    start_up: StartUp, both: Callable[[str], Path]
) -> None:
    up = start_up("-f", str(both(HANGS)), "--speed", "10", "-o", "json")
    await up.until_true(lambda: "no_progress" in up.err)
    before = await up.until(lambda desk: strategy(desk, "good").fills > 0)
    await up.until(lambda desk: strategy(desk, "good").fills > strategy(before, "good").fills)
    await up.until(lambda desk: strategy(desk, "bad").epoch > 1)
    up.stop()
    assert up.report()["restarts"] >= 1


async def test_one_that_allocates_without_end_is_ended_at_its_limit(
    start_up: StartUp, both: Callable[[str, str], Path]
) -> None:
    limit = "  resources: {limits: {memory: 200Mi}}\n"
    up = start_up("-f", str(both(GROWS, limit)), "--speed", "10", "-o", "json")
    await up.until_true(lambda: "memory_limit" in up.err)
    before = await up.until(lambda desk: strategy(desk, "good").fills > 0)
    await up.until(lambda desk: strategy(desk, "good").fills > strategy(before, "good").fills)
    up.stop()
    report = up.report()
    assert any(notice["kind"] == "memory_limit" for notice in report["notices"])
    assert report["ledger_equals_venue"], report["differences"]


@pytest.mark.parametrize("code", [SELF_KILL, ENDS_SOON], ids=["at once", "soon after it is armed"])
async def test_a_new_revision_that_keeps_ending_is_given_up(
    start_up: StartUp, tmp_path: Path, code: str
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(manifest("probe"))
    (tmp_path / "bad.py").write_text(code)
    up = start_up("-f", str(path), "--speed", "2", "-o", "json")
    before = strategy(await up.until(lambda desk: desk.fills > 0), "probe")
    path.write_text(manifest("probe", "{source: {file: bad.py}}", parameters="{}"))
    await up.until_true(lambda: "given_up" in up.err)
    calm = await up.until(lambda desk: strategy(desk, "probe").revision == before.revision)
    await up.until(lambda desk: desk.fills > calm.fills)
    up.stop()
    report = up.report()
    assert "crash_loop" in report["problems"]["probe"]
    assert report["strategies"]["probe"]["wanted_revision"] == before.revision
