"""What the gateway reads from its environment, once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class InvalidSettings(ValueError):
    """An environment to start nothing with; names the variable, its value, what it needs."""


class Clock(StrEnum):
    """Which time decisions are made in: the market data's own, or the wall's."""

    MARKET = "market"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Settings:
    listen: str
    state_dir: Path
    operator_token: str
    venue: str
    redis_url: str
    nats_url: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    clock: Clock = Clock.WALL
    consumer: str = "gateway"
    catalogue: Path | None = None  # None: the one that ships with market_data
    allow_live: bool = False
    metrics_port: int | None = None
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = _Reader(environ)
        symbols = read.names("SYMBOLS")
        return cls(
            listen=read.text("LISTEN"),
            state_dir=Path(read.text("STATE_DIR")),
            operator_token=read.text("OPERATOR_TOKEN"),
            venue=read.text("VENUE"),
            redis_url=read.text("REDIS_URL"),
            nats_url=read.text("NATS_URL"),
            symbols=symbols,
            channels=_channels(read.text("CHANNELS", "market:{symbol}"), symbols),
            clock=read.clock(),
            consumer=read.text("CONSUMER", "gateway"),
            catalogue=Path(read.text("CATALOGUE")) if read.has("CATALOGUE") else None,
            allow_live=read.flag("ALLOW_LIVE"),
            metrics_port=read.port("METRICS_PORT"),
            log_level=read.text("LOG_LEVEL", "info").lower(),
        )


def _channels(templates: str, symbols: tuple[str, ...]) -> tuple[str, ...]:
    made = [
        template.strip().replace("{symbol}", symbol.lower())
        for template in templates.split(",")
        if template.strip()
        for symbol in (symbols if "{symbol}" in template else symbols[:1])
    ]
    return tuple(dict.fromkeys(made))


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def has(self, name: str) -> bool:
        return bool(self._environ.get(f"STRATOPS_{name}"))

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(f"STRATOPS_{name}") or default
        if value is None:
            raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in self.text(name).split(",") if part.strip())
        if not found:
            raise InvalidSettings(f"STRATOPS_{name}: {self.text(name)!r}, expected names")
        return found

    def clock(self) -> Clock:
        value = self.text("CLOCK", Clock.WALL)
        if value not in set(Clock):
            raise InvalidSettings(f"STRATOPS_CLOCK: {value!r}, expected market or wall")
        return Clock(value)

    def flag(self, name: str) -> bool:
        value = self.text(name, "false").lower()
        if value not in ("true", "false"):
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected true or false")
        return value == "true"

    def port(self, name: str) -> int | None:
        if not self.has(name):
            return None
        value = self.text(name)
        if not value.isdigit() or int(value) > 65_535:
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a port")
        return int(value)
