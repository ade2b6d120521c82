"""What the process reads from its environment, once, at its start."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market_data.redis_link import Address
from market_feed import sample

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEFAULT_CHANNEL = "market:{symbol}"


class InvalidSettings(ValueError):
    """An environment that the process cannot start with; names variable, value, expectation."""


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
        repeat = _flag("STRATOPS_REPEAT", environ.get("STRATOPS_REPEAT", ""))
        return cls(
            redis_url=_redis_url(_needed(environ, "STRATOPS_REDIS_URL")),
            files=_files(environ.get("STRATOPS_DATA_FILES", "")),
            speed=_speed(environ.get("STRATOPS_SPEED", "") or "1"),
            session=_session(environ.get("STRATOPS_SESSION", ""), "" if repeat else "run-1"),
            repeat=repeat,
            channel=_channel(environ.get("STRATOPS_CHANNELS", "")),
            expected=_names(environ.get("STRATOPS_EXPECT", "")),
            expect_s=_positive("STRATOPS_EXPECT_S", environ.get("STRATOPS_EXPECT_S", "") or "10"),
            state_dir=_path(environ.get("STRATOPS_STATE_DIR", "")),
            report=_path(environ.get("STRATOPS_REPORT", "")),
            metrics_port=_port(environ.get("STRATOPS_METRICS_PORT", "")),
            metrics_host=environ.get("STRATOPS_METRICS_HOST", "") or "127.0.0.1",
            log_level=(environ.get("STRATOPS_LOG_LEVEL", "") or "info").lower(),
        )

    def channel_of(self, symbol: str) -> str:
        return self.channel.replace("{symbol}", symbol.lower())


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise InvalidSettings(f"{name}: not set")
    return value


def _redis_url(value: str) -> str:
    try:
        Address.parse(value)
    except ValueError as error:
        raise InvalidSettings(f"STRATOPS_REDIS_URL: {error}") from error
    return value


def _files(value: str) -> tuple[Path, ...]:
    """The shipped sample when nothing is said."""
    paths = tuple(Path(part) for part in value.split(os.pathsep) if part) or sample.paths()
    for path in paths:
        if not path.is_file():
            raise InvalidSettings(f"STRATOPS_DATA_FILES: {path}: expected a file")
    return paths


def _speed(value: str) -> float | None:
    return None if value == "max" else _positive("STRATOPS_SPEED", value, "max, or ")


def _positive(name: str, value: str, other: str = "") -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise InvalidSettings(f"{name}: {value!r}, expected {other}a number above 0")
    return number


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", ""):
        raise InvalidSettings(f"{name}: {value!r}, expected true or false")
    return value.lower() == "true"


def _port(value: str) -> int | None:
    if not value:
        return None
    if not value.isdecimal() or int(value) > 65_535:
        raise InvalidSettings(f"STRATOPS_METRICS_PORT: {value!r}, expected a port")
    return int(value)


def _session(value: str, default: str) -> str:
    value = value or default
    if value and not _SESSION.fullmatch(value):
        raise InvalidSettings(
            f"STRATOPS_SESSION: {value!r}, expected letters, digits, - and _, at most 64"
        )
    return value


def _channel(value: str) -> str:
    channel = value.split(",")[0].strip() or _DEFAULT_CHANNEL
    if any(sign in channel for sign in "*?["):
        raise InvalidSettings(
            f"STRATOPS_CHANNELS: {channel!r}, expected a channel to publish on, not a pattern"
        )
    return channel


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _path(value: str) -> Path | None:
    return Path(value) if value else None
