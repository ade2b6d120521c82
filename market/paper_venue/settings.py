"""The venue's settings, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from paper_venue.venue import Clock, FillModel, Rules

E = TypeVar("E", bound=StrEnum)

_LEVELS = ("debug", "info", "warning", "error")


class InvalidSettings(ValueError):
    """Names the variable, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    listen: str
    state_dir: Path
    redis_url: str
    nats_url: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    rules: Rules
    catalogue: Path | None = None  # None: the one that ships
    consumer: str = "venue"
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = _Reader(environ)
        symbols = read.names("SYMBOLS")
        return cls(
            listen=read.text("LISTEN"),
            state_dir=Path(read.text("STATE_DIR")),
            redis_url=read.text("REDIS_URL"),
            nats_url=read.text("NATS_URL"),
            symbols=symbols,
            channels=_channels(read.names("CHANNELS", "market:{symbol}"), symbols),
            rules=Rules(
                fill_model=read.one_of("FILL_MODEL", FillModel, FillModel.NEXT_TICK),
                sizes=read.flag("FILL_SIZES", "true"),
                clock=read.one_of("CLOCK", Clock, Clock.WALL),
            ),
            catalogue=read.path("CATALOGUE"),
            consumer=read.text("CONSUMER", "venue"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            log_level=read.word("LOG_LEVEL", "info", _LEVELS),
        )


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(f"STRATOPS_{name}") or default
        if value is None:
            raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
        return value

    def names(self, name: str, default: str | None = None) -> tuple[str, ...]:
        names = tuple(part.strip() for part in self.text(name, default).split(",") if part.strip())
        if not names:
            raise InvalidSettings(f"STRATOPS_{name}: empty, expected names with commas between")
        return names

    def path(self, name: str) -> Path | None:
        value = self._environ.get(f"STRATOPS_{name}")
        return Path(value) if value else None

    def port(self, name: str) -> int | None:
        value = self.text(name, "")
        if not value:
            return None
        if not value.isdecimal() or int(value) > 65_535:
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a port")
        return int(value)

    def word(self, name: str, default: str, words: tuple[str, ...]) -> str:
        value = self.text(name, default).lower()
        if value not in words:
            expected = " or ".join(words)
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected {expected}")
        return value

    def one_of(self, name: str, kind: type[E], default: E) -> E:
        return kind(self.word(name, default, tuple(kind)))

    def flag(self, name: str, default: str) -> bool:
        return self.word(name, default, ("true", "false")) == "true"


def _channels(templates: tuple[str, ...], symbols: tuple[str, ...]) -> tuple[str, ...]:
    """One channel for each symbol, and those without a symbol as they are."""
    names = (
        template.replace("{symbol}", symbol.lower()) for template in templates for symbol in symbols
    )
    return tuple(dict.fromkeys(names))
