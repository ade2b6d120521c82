"""What the runner reads from its environment, once, at the start.

What it runs, on which market data, stands in the spec file (see `spec`).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strategy_runner.desk import Desk, DeskFolder, FixedDesk
from stratops_process.environment import Environment, InvalidSettings, refused
from stratops_wire.leader import is_address


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
        read = Environment(environ)
        desk_dir = _folder(read.path("DESK_DIR"))
        return cls(
            spec=Path(read.text("SPEC")),
            instance=_instance(read.text("INSTANCE", ""), read.text("POD", "")),
            gateway="" if desk_dir else _address(read),
            token="" if desk_dir else read.text("TOKEN"),
            desk_dir=desk_dir,
            consumer=read.text("CONSUMER", ""),
            catalogue=read.path("CATALOGUE"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            api_key=environ.get("STRATEGY_ENGINE_API_KEY", ""),
            uvloop=read.text("UVLOOP", "0") in ("1", "true"),
            log_level=read.level(),
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


def _address(read: Environment) -> str:
    value = read.text("GATEWAY")
    if not is_address(value):
        raise refused("GATEWAY", value, "host:port")
    return value


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise refused("DESK_DIR", str(path), "a folder")
    return path
