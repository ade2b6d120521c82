"""What the gateway reads from its environment, once, at the start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from risk_gateway import venue_file
from risk_gateway.allowances import Most
from risk_gateway.home import URLS, Postgres
from risk_gateway.roles import Role
from risk_gateway.room import LEAST_FREE_BYTES
from risk_gateway.venue_file import VenueKind, VenueTerms


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


class OnDifference(StrEnum):
    """What a start does when ledger and venue differ; it names it either way."""

    NAME = "name"
    ADOPT = "adopt"  # besides, open orders of somebody else, where they are ours to look after
    HALT = "halt"


_MOST_OF_A_BOUND = 1_000_000
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{0,11}")
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
    members: Mapping[Role, frozenset[str]]  # subjects and groups of tokens, by role
    runners: frozenset[str]
    audience: str


@dataclass(frozen=True, slots=True)
class Settings:
    listen: str
    state_dir: Path
    operator_token: str  # empty on a cluster
    venues: tuple[VenueTerms, ...]
    redis_url: str
    nats_url: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    clock: Clock = Clock.WALL
    consumer: str = "gateway"
    catalogue: Path | None = None  # None: the one that ships with market_data
    currency: str = ""  # the desk's; empty: everything counts as one
    allow_live: bool = False
    metrics_port: int | None = None
    metrics_host: str = ""  # empty: where it listens
    on_difference: OnDifference = OnDifference.NAME  # of ledger and venue, at the start
    # ca.crt, for mTLS tls.crt and tls.key, username and password; None: by the url alone
    nats_dir: Path | None = None
    policies: Path | None = None  # a file of them, where no cluster has them
    tls_dir: Path | None = None  # tls.crt and tls.key; None: plain
    client_ca: Path | None = None  # PEM; whose certificates callers may be known by
    client_listen: str = ""  # where these are asked for; empty: everywhere
    roster: Path | None = None  # who else may call, where identity is local
    most: Most = field(default_factory=Most)  # of each caller
    cluster: Cluster | None = None  # None: identity is local
    postgres: Postgres | None = None  # where the journal lies; None: in state_dir
    log_level: str = "info"
    least_free_bytes: int = LEAST_FREE_BYTES  # on the journal's disk; below it only closing

    @property
    def pages_host(self) -> str:
        return self.metrics_host or self.listen.rpartition(":")[0]

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
            venues=read.venues(),
            redis_url=read.text("REDIS_URL"),
            nats_url=read.nats_url(),
            symbols=symbols,
            channels=_channels(read.text("CHANNELS", "market:{symbol}"), symbols),
            clock=read.clock(),
            consumer=read.text("CONSUMER", "gateway"),
            catalogue=read.path("CATALOGUE"),
            currency=read.currency(),
            allow_live=read.flag("ALLOW_LIVE"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", ""),
            on_difference=read.on_difference(),
            nats_dir=read.path("NATS_DIR"),
            policies=None if cluster else read.path("POLICIES"),
            tls_dir=read.path("TLS_DIR"),
            client_ca=read.client_ca(),
            client_listen=read.text("TLS_CLIENT_LISTEN", ""),
            roster=None if cluster else read.path("ROSTER"),
            most=Most(read.number("CALLS_A_SECOND", 200), read.number("CALLS_AT_ONCE", 32)),
            cluster=cluster,
            postgres=read.postgres(read.text("ADDRESS", read.text("LISTEN"))),
            log_level=read.text("LOG_LEVEL", "info").lower(),
            least_free_bytes=read.bytes("LEAST_FREE_BYTES", LEAST_FREE_BYTES),
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
    members = {
        Role.OPERATOR: frozenset(read.names("OPERATORS")),
        Role.READER: frozenset(_names(read.text("READERS", ""))),
        Role.TRADER: frozenset(_names(read.text("TRADERS", ""))),
        Role.RISK_OFFICER: frozenset(_names(read.text("RISK_OFFICERS", ""))),
    }
    return Cluster(
        api=_api_access(read),
        namespace=namespace,
        members=members,
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

    def client_ca(self) -> Path | None:
        if self.has("TLS_CLIENT_CA") and not self.has("TLS_DIR"):
            ca = self.text("TLS_CLIENT_CA")
            raise InvalidSettings(f"STRATOPS_TLS_CLIENT_CA: {ca!r}, expected STRATOPS_TLS_DIR too")
        if self.has("TLS_CLIENT_LISTEN") and not self.has("TLS_CLIENT_CA"):
            where = self.text("TLS_CLIENT_LISTEN")
            expected = "expected STRATOPS_TLS_CLIENT_CA too"
            raise InvalidSettings(f"STRATOPS_TLS_CLIENT_LISTEN: {where!r}, {expected}")
        return self.path("TLS_CLIENT_CA")

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

    def currency(self) -> str:
        value = self.text("CURRENCY", "")
        if value and not _CURRENCY.fullmatch(value):
            expected = "a currency in upper case, as in USDT"
            raise InvalidSettings(f"STRATOPS_CURRENCY: {value!r}, expected {expected}")
        return value

    def venues(self) -> tuple[VenueTerms, ...]:
        """By a file of them, or in the short form of one."""
        if not self.has("VENUES"):
            tls_dir = self.path("VENUE_TLS_DIR")
            return (VenueTerms(self.text("VENUE"), kind=self.venue_kind(), tls_dir=tls_dir),)
        for short in ("VENUE", "VENUE_KIND", "VENUE_TLS_DIR"):
            if self.has(short):
                value = self.text(short)
                raise InvalidSettings(f"STRATOPS_{short}: {value!r}, expected STRATOPS_VENUES only")
        path = self.text("VENUES")
        try:
            return venue_file.read(Path(path).read_bytes())
        except (OSError, venue_file.InvalidVenues) as error:
            raise InvalidSettings(f"STRATOPS_VENUES: {path}: {error}") from error

    def venue_kind(self) -> VenueKind:
        value = self.text("VENUE_KIND", VenueKind.PAPER)
        if value not in set(VenueKind):
            raise InvalidSettings(f"STRATOPS_VENUE_KIND: {value!r}, expected paper or real")
        return VenueKind(value)

    def postgres(self, address: str) -> Postgres | None:
        if not self.has("POSTGRES_URL"):
            return None
        url = self.text("POSTGRES_URL")
        if not url.startswith(URLS):  # it may have a password: it is not shown
            raise InvalidSettings("STRATOPS_POSTGRES_URL: expected postgresql://...")
        return Postgres(url, address=address)

    def nats_url(self) -> str:
        value = self.text("NATS_URL")
        if self.has("NATS_DIR") and not value.startswith("tls://"):
            raise InvalidSettings(
                f"STRATOPS_NATS_URL: {value!r}, expected tls://... with STRATOPS_NATS_DIR"
            )
        return value

    def on_difference(self) -> OnDifference:
        value = self.text("ON_DIFFERENCE", OnDifference.NAME)
        if value not in set(OnDifference):
            raise InvalidSettings(
                f"STRATOPS_ON_DIFFERENCE: {value!r}, expected name, adopt or halt"
            )
        return OnDifference(value)

    def flag(self, name: str) -> bool:
        value = self.text(name, "false").lower()
        if value not in ("true", "false"):
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected true or false")
        return value == "true"

    def bytes(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal():
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a number of bytes")
        return int(value)

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal() or not 1 <= int(value) <= _MOST_OF_A_BOUND:
            expected = f"a whole number from 1 to {_MOST_OF_A_BOUND}"
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected {expected}")
        return int(value)

    def port(self, name: str) -> int | None:
        if not self.has(name):
            return None
        value = self.text(name)
        if not value.isdigit() or int(value) > 65_535:
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected a port")
        return int(value)
