"""The venue's settings, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market_data.redis_link import Address
from paper_venue.venue import Clock, FillModel, Rules
from stratops_process.environment import Environment


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
        read = Environment(environ)
        symbols = read.names("SYMBOLS")
        return cls(
            listen=read.text("LISTEN"),
            state_dir=Path(read.text("STATE_DIR")),
            redis_url=read.checked("REDIS_URL", Address.parse),
            nats_url=read.text("NATS_URL"),
            symbols=symbols,
            channels=_channels(read.names("CHANNELS", "market:{symbol}"), symbols),
            rules=Rules(
                fill_model=read.one_of("FILL_MODEL", FillModel, FillModel.NEXT_TICK),
                sizes=read.flag("FILL_SIZES", default=True),
                clock=read.one_of("CLOCK", Clock, Clock.WALL),
            ),
            catalogue=read.path("CATALOGUE"),
            consumer=read.text("CONSUMER", "venue"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            log_level=read.level(),
        )


def _channels(templates: tuple[str, ...], symbols: tuple[str, ...]) -> tuple[str, ...]:
    """One channel for each symbol, and those without a symbol as they are."""
    names = (
        template.replace("{symbol}", symbol.lower()) for template in templates for symbol in symbols
    )
    return tuple(dict.fromkeys(names))
