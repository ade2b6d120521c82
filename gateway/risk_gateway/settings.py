"""What the gateway reads from its environment, once, at the start."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from market_data.redis_link import Address
from risk_gateway import venue_file
from risk_gateway.allowances import Most
from risk_gateway.home import URLS, Postgres
from risk_gateway.people import InvalidPeople, People
from risk_gateway.people import read as read_people
from risk_gateway.roles import Role
from risk_gateway.room import LEAST_FREE_BYTES
from risk_gateway.venue_file import VenueKind, VenueTerms
from stratops_process.environment import Environment, InvalidSettings, refused
from stratops_wire.audience import audience_of


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
    people: People | None = None  # who the cluster knows by other tokens than its own


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
    connections: int = 4_000  # at each address
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
        cluster = _cluster(read)
        return cls(
            listen=read.text("LISTEN"),
            state_dir=Path(read.text("STATE_DIR")),
            operator_token="" if cluster else read.text("OPERATOR_TOKEN"),
            venues=read.venues(),
            redis_url=read.checked("REDIS_URL", Address.parse),
            nats_url=read.nats_url(),
            symbols=symbols,
            channels=_channels(read.names("CHANNELS", "market:{symbol}"), symbols),
            clock=read.one_of("CLOCK", Clock, Clock.WALL),
            consumer=read.text("CONSUMER", "gateway"),
            catalogue=read.path("CATALOGUE"),
            currency=read.currency(),
            allow_live=read.flag("ALLOW_LIVE"),
            metrics_port=read.port("METRICS_PORT"),
            metrics_host=read.text("METRICS_HOST", ""),
            on_difference=read.one_of("ON_DIFFERENCE", OnDifference, OnDifference.NAME),
            nats_dir=read.path("NATS_DIR"),
            policies=None if cluster else read.path("POLICIES"),
            tls_dir=read.path("TLS_DIR"),
            client_ca=read.client_ca(),
            client_listen=read.text("TLS_CLIENT_LISTEN", ""),
            roster=None if cluster else read.path("ROSTER"),
            most=_most(read),
            connections=read.whole("CONNECTIONS", 4_000, 1, _MOST_OF_A_BOUND),
            cluster=cluster,
            postgres=read.postgres(read.text("ADDRESS", read.text("LISTEN"))),
            log_level=read.level(),
            least_free_bytes=read.whole("LEAST_FREE_BYTES", LEAST_FREE_BYTES, 0, 2**50),
        )


def api_access(environ: Mapping[str, str]) -> ApiAccess:
    """Raises InvalidSettings."""
    return _api_access(_Reader(environ))


def _api_access(read: "_Reader") -> ApiAccess:
    usual = ApiAccess()
    server = read.text("API_SERVER", usual.server).rstrip("/")
    if not server.startswith("https://"):
        raise refused("API_SERVER", server, "https://...")
    return ApiAccess(
        server, read.path("API_CA") or usual.ca, read.path("API_TOKEN_FILE") or usual.token_file
    )


def _most(read: "_Reader") -> Most:
    """Of each caller."""
    return Most(
        read.whole("CALLS_A_SECOND", 200, 1, _MOST_OF_A_BOUND),
        read.whole("CALLS_AT_ONCE", 32, 1, _MOST_OF_A_BOUND),
    )


def _cluster(read: "_Reader") -> Cluster | None:
    if read.one_of("IDENTITY", Identity, Identity.LOCAL) is Identity.LOCAL:
        return None
    namespace = read.text("NAMESPACE")
    runners = read.names("RUNNERS", f"system:serviceaccount:{namespace}:stratops-runner")
    members = {
        Role.OPERATOR: frozenset(read.names("OPERATORS")),
        Role.READER: frozenset(read.names("READERS", "")),
        Role.TRADER: frozenset(read.names("TRADERS", "")),
        Role.RISK_OFFICER: frozenset(read.names("RISK_OFFICERS", "")),
    }
    return Cluster(
        api=_api_access(read),
        namespace=namespace,
        members=members,
        runners=frozenset(runners),
        audience=read.text("TOKEN_AUDIENCE", audience_of(namespace)),
        people=read.people(),
    )


def _channels(templates: tuple[str, ...], symbols: tuple[str, ...]) -> tuple[str, ...]:
    made = [
        template.replace("{symbol}", symbol.lower())
        for template in templates
        for symbol in (symbols if "{symbol}" in template else symbols[:1])
    ]
    return tuple(dict.fromkeys(made))


class _Reader(Environment):
    """With what only the gateway asks."""

    def people(self) -> People | None:
        if not self.has("PEOPLE"):
            return None
        try:
            return read_people(self.text("PEOPLE"))
        except InvalidPeople as error:
            raise InvalidSettings(f"STRATOPS_PEOPLE: {error}") from error

    def client_ca(self) -> Path | None:
        if self.has("TLS_CLIENT_CA") and not self.has("TLS_DIR"):
            raise refused("TLS_CLIENT_CA", self.text("TLS_CLIENT_CA"), "STRATOPS_TLS_DIR too")
        if self.has("TLS_CLIENT_LISTEN") and not self.has("TLS_CLIENT_CA"):
            where = self.text("TLS_CLIENT_LISTEN")
            raise refused("TLS_CLIENT_LISTEN", where, "STRATOPS_TLS_CLIENT_CA too")
        return self.path("TLS_CLIENT_CA")

    def currency(self) -> str:
        value = self.text("CURRENCY", "")
        if value and not _CURRENCY.fullmatch(value):
            raise refused("CURRENCY", value, "a currency in upper case, as in USDT")
        return value

    def venues(self) -> tuple[VenueTerms, ...]:
        """By a file of them, or in the short form of one."""
        if not self.has("VENUES"):
            tls_dir = self.path("VENUE_TLS_DIR")
            kind = self.one_of("VENUE_KIND", VenueKind, VenueKind.PAPER)
            return (VenueTerms(self.text("VENUE"), kind=kind, tls_dir=tls_dir),)
        for short in ("VENUE", "VENUE_KIND", "VENUE_TLS_DIR"):
            if self.has(short):
                raise refused(short, self.text(short), "STRATOPS_VENUES only")
        path = self.text("VENUES")
        try:
            return venue_file.read(Path(path).read_bytes())
        except (OSError, venue_file.InvalidVenues) as error:
            raise InvalidSettings(f"STRATOPS_VENUES: {path}: {error}") from error

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
            raise refused("NATS_URL", value, "tls://... with STRATOPS_NATS_DIR")
        return value
