"""`stratops journal` and `stratops explain`, as a person calls them."""

import subprocess
import sys
from pathlib import Path

import pytest

from desk_driver import DeskDriver, buy


def stratops(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stratops", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """The folder of a desk that has decided one signal."""
    desk = DeskDriver(tmp_path / "gateway")
    runner = await desk.armed()
    await runner.decide(buy("x"))
    desk.close()
    return tmp_path


@pytest.mark.servers
def test_a_desk_is_proven_copied_and_explained(state: Path, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    proven = stratops("journal", "verify", str(state))
    copied = stratops("journal", "backup", copy, str(state))
    told = stratops("explain", "x-0", "--journal", copy)
    assert "proven: records 1 to" in proven.stdout
    assert copied.stdout.endswith("proven\n")
    assert "order_is_small_enough" in told.stdout
    assert (proven.returncode, copied.returncode, told.returncode) == (0, 0, 0)


@pytest.mark.servers
def test_what_is_wrong_is_said_with_an_exit_code(tmp_path: Path) -> None:
    ended = stratops("journal", "verify", str(tmp_path))
    assert ended.returncode == 1
    assert "journal.db: not there" in ended.stderr
