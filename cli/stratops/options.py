"""What `stratops up` was asked for, checked."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_FILLS = ("next-tick", "touch")


class InvalidOption(ValueError):
    """Names the option, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Options:
    manifests: tuple[Path, ...] = ()  # none: the example desk
    data: tuple[Path, ...] = ()  # none: the shipped sample
    feed: str = ""
    speed: str = "1"
    fill: str = "next-tick"
    fill_sizes: bool = True
    seconds: float | None = None
    until_end: bool = False
    state: Path = Path(".stratops")
    json: bool = False
    color: bool = True
    session: str = ""


def options(
    *,
    manifests: Sequence[Path],
    data: Sequence[Path],
    feed: str,
    speed: str,
    fill: str,
    fill_sizes: bool,
    duration: str,
    until_end: bool,
    state: Path,
    output: str,
    color: bool,
    session: str,
) -> Options:
    """Raises InvalidOption."""
    if feed and data:
        raise InvalidOption("--feed and --data: expected one of them")
    if feed and not feed.startswith(("redis://", "rediss://", "unix://")):
        raise InvalidOption(f"--feed: {feed!r}, expected redis://HOST:PORT")
    if fill not in _FILLS:
        raise InvalidOption(f"--fill: {fill!r}, expected {' or '.join(_FILLS)}")
    if output not in ("", "json"):
        raise InvalidOption(f"-o: {output!r}, expected json")
    return Options(
        manifests=tuple(manifests),
        data=tuple(data),
        feed=feed,
        speed=_speed(speed),
        fill=fill,
        fill_sizes=fill_sizes,
        seconds=_seconds(duration) if duration else None,
        until_end=until_end,
        state=state,
        json=output == "json",
        color=color,
        session=session,
    )


def _speed(text: str) -> str:
    try:
        number = math.inf if text == "max" else float(text)
    except ValueError:
        number = 0.0
    if not number > 0 or (math.isinf(number) and text != "max"):
        raise InvalidOption(f"--speed: {text!r}, expected a number above 0, or max")
    return text


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if not found:
        raise InvalidOption(f"--for: {text!r}, expected a time as in 20s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2]]
