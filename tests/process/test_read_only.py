"""The market's and the strategy's processes where a pod has them: nothing to write but two folders.

Read-only root, uid 10001 without an entry in /etc/passwd, no HOME; /mnt stands for the volumes.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from kube_probe import page

pytestmark = pytest.mark.servers

UID = 10001
POD = (
    "mount --bind {volumes} /mnt && mount -t tmpfs -o size=1m tmpfs /tmp"
    " && mount -o remount,bind,ro /"
    f" && exec unshare --user --map-user={UID} --map-group={UID} -- {{python}} -P -m {{module}}"
)
SPEC = {
    "strategy": "probe",
    "revision": "0123456789",
    "source": {"builtin": "momentum"},
    "symbols": ["BTCUSDT"],
    "channels": ["market:btcusdt"],
}
Start = Callable[..., int]


def as_a_pod(command: str) -> list[str]:
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", command]


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where no such thing can be made; in CI that is a failure."""
    volumes = tmp_path_factory.mktemp("none")
    command = POD.format(volumes=volumes, python="true", module="none")
    tried = subprocess.run(as_a_pod(command), capture_output=True, text=True)
    if tried.returncode != 0:
        why = f"unshare: {tried.stderr.strip()}, expected user and mount namespaces"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)


@pytest.fixture
def volumes(tmp_path: Path, redis_server: Any) -> Path:
    """What is mounted: the spec, the desk, and a state folder that is empty at first."""
    folder = tmp_path / "volumes"
    (folder / "desk").mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(SPEC))
    desk = {"gateway": "127.0.0.1:1", "token": "t", "feed": redis_server.url}
    for name, text in desk.items():
        (folder / "desk" / name).write_text(text)
    return folder


@pytest.fixture
def start(
    pods: None, volumes: Path, redis_server: Any, port: Callable[[], int], tmp_path: Path
) -> Iterator[Start]:
    """Answers the port of the pages."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, **settings: str) -> int:
        pages = port()
        told = {
            "STRATOPS_REDIS_URL": redis_server.url,
            "STRATOPS_NATS_URL": "nats://127.0.0.1:1",
            "STRATOPS_STATE_DIR": f"/mnt/{module}",
            "STRATOPS_METRICS_PORT": str(pages),
        }
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        command = POD.format(volumes=volumes, python=sys.executable, module=module)
        with (tmp_path / f"{module}.log").open("wb") as log:
            started.append(
                subprocess.Popen(as_a_pod(command), env=environment | told | settings, stderr=log)
            )
        return pages

    yield start
    for one in started:
        one.kill()
        one.wait()


async def until(port: int, path: str, words: str) -> None:
    """The page says so."""
    deadline, found = monotonic() + 60, ""
    while words not in found:
        assert monotonic() < deadline, found
        with suppress(ConnectionError):  # not up yet
            found = (await page(port, path))[1]
        await asyncio.sleep(0.05)


async def test_a_feed_and_a_venue_need_their_state_folder_only(
    start: Start, volumes: Path, port: Callable[[], int]
) -> None:
    venue = start("paper_venue", STRATOPS_LISTEN=f"127.0.0.1:{port()}", STRATOPS_SYMBOLS="BTCUSDT")
    await until(venue, "/ready", "ready\n")
    feed = start("market_feed", STRATOPS_REPEAT="true", STRATOPS_SPEED="max")
    await until(feed, "/ready", "ready\n")
    await until(feed, "/metrics", "strategy_engine_feed_lap 1.0")
    await until(venue, "/metrics", 'market_data_received_total{symbol="BTCUSDT",type="tick"}')
    assert (volumes / "paper_venue" / "book.db").exists()
    assert (volumes / "market_feed" / "feed-resume.json").exists()


async def test_a_runner_needs_no_folder_at_all(start: Start, volumes: Path) -> None:
    before = sorted(volumes.rglob("*"))
    runner = start(
        "strategy_runner",
        STRATOPS_SPEC="/mnt/spec.json",
        STRATOPS_DESK_DIR="/mnt/desk",
        STRATOPS_POD="probe-0123456789-1",
    )
    await until(runner, "/ready", "phase sync; gateway 127.0.0.1:1: UNAVAILABLE")
    await until(runner, "/health", "ok")
    _, missing = await page(runner, "/ready")
    assert "feed" not in missing
    assert sorted(volumes.rglob("*")) == before


def test_a_root_that_is_read_only_is_one(pods: None, tmp_path: Path) -> None:
    """Else the other tests would show nothing."""
    command = POD.format(volumes=tmp_path, python=shutil.which("true"), module="x").replace(
        "exec unshare", f"! touch {Path(__file__).parent}/written && exec unshare"
    )
    assert subprocess.run(as_a_pod(command), capture_output=True).returncode == 0
