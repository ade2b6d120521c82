import subprocess
import sys
from pathlib import Path

from trading.signals import Cause

_TICK = Cause("BTCUSDT", "tick", 1, 7)
_CHANGES_ONE = """
from trading.signals import Cause

Cause("BTCUSDT", "tick", 1, 7).sequence = 2
"""


def test_equal_values_are_one_key() -> None:
    assert {_TICK: "here"}[Cause("BTCUSDT", "tick", 1, 7)] == "here"


def test_no_value_can_be_changed_as_the_type_checker_sees_it(tmp_path: Path) -> None:
    changing = tmp_path / "changing.py"
    changing.write_text(_CHANGES_ONE)
    command = [sys.executable, "-m", "mypy", str(changing)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 'Property "sequence" defined in "Cause" is read-only' in found.stdout
