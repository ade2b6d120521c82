"""What `stratops up` accepts, and what the command costs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratops.options import InvalidOption, Options, options

PLAIN: dict[str, Any] = {
    "manifests": [],
    "data": [],
    "feed": "",
    "speed": "1",
    "fill": "next-tick",
    "fill_sizes": True,
    "duration": "",
    "until_end": False,
    "state": Path(".stratops"),
    "output": "",
    "color": True,
    "session": "",
}


def test_nothing_asked_for_is_the_defaults() -> None:
    assert options(**PLAIN) == Options()


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20.0), ("1.5m", 90.0), ("1h", 3600.0), ("500ms", 0.5), ("7", 7.0)]
)
def test_a_time_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert options(**PLAIN | {"duration": text}).seconds == seconds


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"duration": "soon"}, r"--for: 'soon', expected a time"),
        ({"speed": "0"}, r"--speed: '0', expected a number above 0, or max"),
        ({"speed": "nan"}, r"--speed: 'nan'"),
        ({"speed": "inf"}, r"--speed: 'inf'"),
        ({"fill": "mid"}, r"--fill: 'mid', expected next-tick or touch"),
        ({"output": "yaml"}, r"-o: 'yaml', expected json"),
        ({"feed": "http://x"}, r"--feed: 'http://x', expected redis://"),
        ({"feed": "redis://x", "data": [Path("a")]}, r"--feed and --data: expected one"),
    ],
)
def test_a_wrong_option_is_named_with_its_value(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidOption, match=named):
        options(**PLAIN | wrong)


# What typer itself needs of rich is its own affair; tables and live screens are ours.
HEAVY = ("grpc", "pydantic", "nats", "yaml", "redis", "structlog", "msgspec", "rich.live")


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from stratops.main import app
app(["--help"], standalone_mode=False)
heavy = sorted(set({HEAVY!r}) & set(sys.modules))
print(heavy, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"
