"""What the runner reads from its environment, once, at the start.

What it runs, on which market data, stands in the spec file (see `spec`).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strategy_runner.desk import Desk, DeskFolder, FixedDesk
from stratops_wire.leader import is_address


class InvalidSettings(ValueError):
    """An environment the runner cannot start with; names the variable, its value, what it needs."""


@dataclass(frozen=True, slots=True)
class Settings:
    spec: Path
    instance: str  # one life of one runner process
    gateway: str = ""
    token: str = field(default="", repr=False)
    desk_dir: Path | None = None  # takes the place of gateway and token, and knows a feed
    consumer: str = ""  # its name in the feed's window; empty: <strategy>@<revision>
    catalogue: Path | None = None  # None: the one that ships with market_data
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    api_key: str = field(default="", repr=False)  # of /status; empty: nobody may read it
    uvloop: bool = False
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = _Reader(environ)
        desk_dir = read.folder("DESK_DIR")
        catalogue = read.text("CATALOGUE", "")
        return cls(
            spec=Path(read.text("SPEC")),
            instance=_instance(read.text("INSTANCE", ""), read.text("POD", "")),
            gateway="" if desk_dir else read.address("GATEWAY"),
            token="" if desk_dir else read.text("TOKEN"),
            desk_dir=desk_dir,
            consumer=read.text("CONSUMER", ""),
            catalogue=Path(catalogue) if catalogue else None,
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            api_key=environ.get("STRATEGY_ENGINE_API_KEY", ""),
            uvloop=read.text("UVLOOP", "0") in ("1", "true"),
            log_level=read.level("LOG_LEVEL"),
        )

    def desk(self, redis_url: str) -> Desk:
        """`redis_url` as the spec has it. Raises InvalidSettings."""
        if self.desk_dir is not None:
            return DeskFolder(self.desk_dir, redis_url)
        if not redis_url:
            raise InvalidSettings("STRATOPS_DESK_DIR: not set, expected it where no redis_url is")
        return FixedDesk(self.gateway, self.token, redis_url)


def _instance(given: str, pod: str) -> str:
    """A pod's containers start again under the same name; each life is an instance of its own."""
    life = uuid.uuid4().hex
    return given or (f"{pod}.{life[:8]}" if pod else life)


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(f"STRATOPS_{name}") or default
        if value is None:
            raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
        return value

    def address(self, name: str) -> str:
        value = self.text(name)
        if not is_address(value):
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected host:port")
        return value

    def folder(self, name: str) -> Path | None:
        value = self.text(name, "")
        if value and not Path(value).is_dir():
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a folder")
        return Path(value) if value else None

    def port(self, name: str) -> int | None:
        value = self.text(name, "")
        if not value:
            return None
        if not value.isdecimal() or int(value) > 65_535:
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a port")
        return int(value)

    def level(self, name: str) -> str:
        value = self.text(name, "info").lower()
        if value not in ("debug", "info", "warning", "error"):
            raise InvalidSettings(
                f"STRATOPS_{name}: {value!r}, expected debug, info, warning or error"
            )
        return value
