"""What the process reads from its environment, once, at its start."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market_data.redis_link import Address
from market_feed import sample
from stratops_process.environment import Environment, refused

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULT_CHANNEL = "market:{symbol}"


@dataclass(frozen=True, slots=True)
class Settings:
    redis_url: str
    files: tuple[Path, ...]
    speed: float | None  # None is as fast as the consumers
    session: str  # empty: the one of an earlier life, or a new one
    repeat: bool = False
    channel: str = _DEFAULT_CHANNEL
    expected: tuple[str, ...] = ()
    expect_s: float = 10.0
    state_dir: Path | None = None
    report: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = Environment(environ)
        repeat = read.flag("REPEAT")
        return cls(
            redis_url=read.checked("REDIS_URL", Address.parse),
            files=_files(read.text("DATA_FILES", "")),
            speed=_speed(read),
            session=_session(read.text("SESSION", "" if repeat else "run-1")),
            repeat=repeat,
            channel=_channel(read.names("CHANNELS", _DEFAULT_CHANNEL)[0]),
            expected=read.names("EXPECT", ""),
            expect_s=_positive(read, "EXPECT_S", "10"),
            state_dir=read.path("STATE_DIR"),
            report=read.path("REPORT"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            log_level=read.level(),
        )

    def channel_of(self, symbol: str) -> str:
        return self.channel.replace("{symbol}", symbol.lower())


def _files(value: str) -> tuple[Path, ...]:
    """The shipped sample when nothing is said."""
    paths = tuple(Path(part) for part in value.split(os.pathsep) if part) or sample.paths()
    for path in paths:
        if not path.is_file():
            raise refused("DATA_FILES", str(path), "a file")
    return paths


def _speed(read: Environment) -> float | None:
    return None if read.text("SPEED", "") == "max" else _positive(read, "SPEED", "1", "max, or ")


def _positive(read: Environment, name: str, default: str, other: str = "") -> float:
    value = read.text(name, default)
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise refused(name, value, f"{other}a number above 0")
    return number


def _session(value: str) -> str:
    if value and not _SESSION.fullmatch(value):
        raise refused("SESSION", value, "letters, digits, - and _, at most 64")
    return value


def _channel(value: str) -> str:
    if any(sign in value for sign in "*?["):
        raise refused("CHANNELS", value, "a channel to publish on, not a pattern")
    return value
