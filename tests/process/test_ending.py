"""SIGTERM at any moment of each process' life, as PID 1 of a container meets it.

PID 1 has no default for a signal: what is not caught is ignored. So the processes begin with
SIGTERM ignored, which outlives exec.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from own_time import ends_in

pytestmark = pytest.mark.servers

NOWHERE = "127.0.0.1:1"
FEED = {"STRATOPS_REDIS_URL": f"redis://{NOWHERE}"}
VENUE = FEED | {"STRATOPS_NATS_URL": f"nats://{NOWHERE}", "STRATOPS_SYMBOLS": "BTCUSDT"}
RUNNER = {"STRATOPS_GATEWAY": NOWHERE, "STRATOPS_TOKEN": "secret"}
MODULES = {"market_feed": FEED, "paper_venue": VENUE, "strategy_runner": RUNNER}
EXIT = {"market_feed": 0, "paper_venue": 0, "strategy_runner": 143}
SPEC = {
    "strategy": "probe",
    "revision": "0123456789",
    "source": {"builtin": "momentum"},
    "symbols": ["BTCUSDT"],
    "channels": ["market:btcusdt"],
    "redis_url": f"redis://{NOWHERE}",
}


class Started:
    def __init__(self, module: str, environment: dict[str, str], log: Path, before: str) -> None:
        path = os.pathsep.join(filter(None, (before, *sys.path)))
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
        self.log = log
        self.began = monotonic()
        with log.open("wb") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                env=inherited | environment,
                stderr=stderr,
                preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
            )

    @property
    def catches_sigterm(self) -> bool:
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    async def ended(self) -> int:
        """Its exit code, within a second of its own after SIGTERM."""
        assert await ends_in(self.popen) < 1
        return self.popen.returncode


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, port: Callable[[], int]) -> Iterator[Start]:
    started: list[Started] = []

    def start(module: str, before: str = "", **spec: Any) -> Started:
        """`before`: a folder whose modules come before all others."""
        (tmp_path / "spec.json").write_text(json.dumps(SPEC | spec))
        own = {
            "STRATOPS_SPEC": str(tmp_path / "spec.json"),
            "STRATOPS_STATE_DIR": str(tmp_path / "state"),
            "STRATOPS_LISTEN": f"127.0.0.1:{port()}",
            "STRATOPS_METRICS_PORT": str(port()),
        }
        told = own | MODULES[module]
        started.append(Started(module, told, tmp_path / "log", before))
        return started[-1]

    yield start
    for one in started:
        one.popen.kill()
        one.popen.wait()


@pytest.mark.parametrize("module", MODULES)
async def test_sigterm_is_caught_before_anything_heavy_is_imported(
    start: Start, module: str, tmp_path: Path
) -> None:
    """What stands for it loads for ever."""
    here = tmp_path / "here"
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "msgspec.py").write_text(
        f"import time\nopen({str(here)!r}, 'w').close()\ntime.sleep(600)\n"
    )
    one = start(module, before=str(tmp_path / "heavy"))
    while not here.exists():
        assert monotonic() - one.began < 60
        await asyncio.sleep(0.01)
    assert one.catches_sigterm
    assert await one.ended() == EXIT[module]


@pytest.mark.parametrize("after_ms", [60, 80, 100, 150, 200, 300, 400, 600, 2000])
@pytest.mark.parametrize("module", MODULES)
async def test_sigterm_ends_it_at_any_moment(start: Start, module: str, after_ms: int) -> None:
    one = start(module)
    while not one.catches_sigterm:
        await asyncio.sleep(0.001)
    await asyncio.sleep(max(0, one.began + after_ms / 1000 - monotonic()))
    assert await one.ended() == EXIT[module]
    assert "asked to end" in one.log.read_text().splitlines()[-1]


async def test_sigterm_ends_a_strategy_that_never_loads(start: Start, tmp_path: Path) -> None:
    slow = f"import time\nopen({str(tmp_path / 'here')!r}, 'w')\nwhile True:\n    time.sleep(0.1)\n"
    one = start("strategy_runner", source={"inline": slow, "name": "slow.py"})
    while not (tmp_path / "here").exists():
        assert monotonic() - one.began < 60
        await asyncio.sleep(0.01)
    assert await one.ended() == 143
    assert one.log.read_text().splitlines()[-1] == (
        "strategy_runner: asked to end while the strategy was loading, at slow.py:4"
    )
