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


class Identity(StrEnum):
    """By what callers are known."""

    LOCAL = "local"  # tokens that were shared with them
    CLUSTER = "cluster"  # ServiceAccount tokens of a Kubernetes cluster


class VenueKind(StrEnum):
    """What an order at the venue costs."""

    PAPER = "paper"  # nothing
    REAL = "real"


_PROJECTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How the cluster's API server is reached, by files that the kubelet keeps fresh."""

    server: str = "https://kubernetes.default.svc"
    ca: Path = _PROJECTED / "ca.crt"
    token_file: Path = _PROJECTED / "token"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that vouches for callers and has the desk's risk policies."""

    api: ApiAccess
    namespace: str
    operators: frozenset[str]  # subjects of tokens
    runners: frozenset[str]
    audience: str


@dataclass(frozen=True, slots=True)
class Settings:
    listen: str
    state_dir: Path
    operator_token: str  # empty on a cluster
    venue: str
    redis_url: str
    nats_url: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    clock: Clock = Clock.WALL
    consumer: str = "gateway"
    catalogue: Path | None = None  # None: the one that ships with market_data
    allow_live: bool = False
    venue_kind: VenueKind = VenueKind.PAPER
    metrics_port: int | None = None
    metrics_host: str = ""  # empty: where it listens
    policies: Path | None = None  # a file of them, where no cluster has them
    tls_dir: Path | None = None  # tls.crt and tls.key; None: plain
    cluster: Cluster | None = None  # None: identity is local
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = _Reader(environ)
        symbols = read.names("SYMBOLS")
        cluster = _cluster(read) if read.identity() is Identity.CLUSTER else None
        return cls(
            listen=read.text("LISTEN"),
            state_dir=Path(read.text("STATE_DIR")),
            operator_token="" if cluster else read.text("OPERATOR_TOKEN"),
            venue=read.text("VENUE"),
            redis_url=read.text("REDIS_URL"),
            nats_url=read.text("NATS_URL"),
            symbols=symbols,
            channels=_channels(read.text("CHANNELS", "market:{symbol}"), symbols),
            clock=read.clock(),
            consumer=read.text("CONSUMER", "gateway"),
            catalogue=read.path("CATALOGUE"),
            allow_live=read.flag("ALLOW_LIVE"),
            venue_kind=read.venue_kind(),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", ""),
            policies=None if cluster else read.path("POLICIES"),
            tls_dir=read.path("TLS_DIR"),
            cluster=cluster,
            log_level=read.text("LOG_LEVEL", "info").lower(),
        )


def api_access(environ: Mapping[str, str]) -> ApiAccess:
    """Raises InvalidSettings."""
    return _api_access(_Reader(environ))


def _api_access(read: "_Reader") -> ApiAccess:
    usual = ApiAccess()
    server = read.text("API_SERVER", usual.server).rstrip("/")
    if not server.startswith("https://"):
        raise InvalidSettings(f"STRATOPS_API_SERVER: {server!r}, expected https://...")
    return ApiAccess(
        server, read.path("API_CA") or usual.ca, read.path("API_TOKEN_FILE") or usual.token_file
    )


def _cluster(read: "_Reader") -> Cluster:
    namespace = read.text("NAMESPACE")
    runners = read.text("RUNNERS", f"system:serviceaccount:{namespace}:stratops-runner")
    return Cluster(
        api=_api_access(read),
        namespace=namespace,
        operators=frozenset(read.names("OPERATORS")),
        runners=frozenset(_names(runners)),
        audience=read.text("TOKEN_AUDIENCE", "stratops-gateway"),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


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

    def path(self, name: str) -> Path | None:
        return Path(self.text(name)) if self.has(name) else None

    def identity(self) -> Identity:
        value = self.text("IDENTITY", Identity.LOCAL)
        if value not in set(Identity):
            raise InvalidSettings(f"STRATOPS_IDENTITY: {value!r}, expected local or cluster")
        return Identity(value)

    def names(self, name: str) -> tuple[str, ...]:
        found = _names(self.text(name))
        if not found:
            raise InvalidSettings(f"STRATOPS_{name}: {self.text(name)!r}, expected names")
        return found

    def clock(self) -> Clock:
        value = self.text("CLOCK", Clock.WALL)
        if value not in set(Clock):
            raise InvalidSettings(f"STRATOPS_CLOCK: {value!r}, expected market or wall")
        return Clock(value)

    def venue_kind(self) -> VenueKind:
        value = self.text("VENUE_KIND", VenueKind.PAPER)
        if value not in set(VenueKind):
            raise InvalidSettings(f"STRATOPS_VENUE_KIND: {value!r}, expected paper or real")
        return VenueKind(value)

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
