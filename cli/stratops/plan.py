"""Which processes a desk consists of: their programs, environments and addresses. Pure.

Every process of ours is `python -P -m <package>` and is told everything by STRATOPS_ variables;
of those that the user has set, only the ones named here are passed on.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stratops.crew import RUNNER
from stratops.processes import Command

GATEWAY = "risk-gateway"
VENUE = "paper-venue"
FEED = "market-feed"
PASSED_ON = ("STRATOPS_CATALOGUE", "STRATOPS_CURRENCY", "STRATOPS_LOG_LEVEL")

# What a runner may hold in memory when its manifest does not say.
RUNNER_RSS_BYTES = 512 * 1024 * 1024
# Private mappings that hold no data count as well: thread stacks, allocator arenas.
DATA_ROOM_BYTES = 1024 * 1024 * 1024

_REDIS_OUTPUT = "pubsub 256mb 64mb 60"  # four messages of 10 MB overrun the default of 32 MB


@dataclass(frozen=True, slots=True)
class Ports:
    redis: int
    nats: int
    gateway: int
    venue: int


@dataclass(frozen=True, slots=True)
class RunnerLife:
    """What one runner process is told, beside the desk's addresses."""

    strategy: str
    revision: str
    instance: str
    token: str
    spec: Path
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    rss_bytes: int = RUNNER_RSS_BYTES

    @property
    def consumer(self) -> str:
        return consumer(self.strategy, self.revision)


def consumer(strategy: str, revision: str) -> str:
    """The name under which a runner reports its progress in the feed."""
    return f"{strategy}@{revision}"


POLICIES = "policies.json"  # what manifests say of risk policies, for the gateway


@dataclass(frozen=True, slots=True)
class DeskPlan:
    folder: Path
    ports: Ports
    redis_program: str
    nats_program: str
    operator_token: str
    session: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...] = ("market:{symbol}",)
    data: tuple[Path, ...] = ()
    speed: str = "1"
    fill: str = "next-tick"
    fill_sizes: bool = True
    feed_url: str = ""  # a foreign feed; empty: our own redis and replay

    @property
    def gateway(self) -> str:
        return f"127.0.0.1:{self.ports.gateway}"

    @property
    def venue(self) -> str:
        return f"127.0.0.1:{self.ports.venue}"

    @property
    def redis_url(self) -> str:
        return self.feed_url or f"redis://127.0.0.1:{self.ports.redis}"

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.ports.nats}"

    @property
    def nats_name(self) -> str:
        """By which our server is told from somebody else's on its port."""
        return f"stratops-{os.getpid()}"

    @property
    def clock(self) -> str:
        return "wall" if self.feed_url else "market"


def redis(plan: DeskPlan, environ: Mapping[str, str]) -> Command:
    options = {
        "port": str(plan.ports.redis),
        "bind": "127.0.0.1",
        "dir": str(plan.folder / "redis"),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "client-output-buffer-limit": _REDIS_OUTPUT,
    }
    argv = [plan.redis_program]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Command("redis", tuple(argv), inherited(environ))


def nats(plan: DeskPlan, environ: Mapping[str, str]) -> Command:
    where = ("-a", "127.0.0.1", "-p", str(plan.ports.nats))
    store = ("-js", "-sd", str(plan.folder / "nats"))
    name = ("-n", plan.nats_name)
    return Command("nats", (plan.nats_program, *where, *name, *store), inherited(environ))


def gateway(plan: DeskPlan, environ: Mapping[str, str]) -> Command:
    told = {
        "STRATOPS_LISTEN": plan.gateway,
        "STRATOPS_STATE_DIR": str(plan.folder / "gateway"),
        "STRATOPS_OPERATOR_TOKEN": plan.operator_token,
        "STRATOPS_ROSTER": str(plan.folder / "roster.toml"),
        "STRATOPS_CONSUMER": GATEWAY,
        "STRATOPS_POLICIES": str(plan.folder / "gateway" / POLICIES),
    }
    return _python("gateway", "risk_gateway", environ, _market(plan) | told)


def venue(plan: DeskPlan, environ: Mapping[str, str]) -> Command:
    told = {
        "STRATOPS_LISTEN": plan.venue,
        "STRATOPS_STATE_DIR": str(plan.folder / "venue"),
        "STRATOPS_FILL_MODEL": plan.fill,
        "STRATOPS_FILL_SIZES": "true" if plan.fill_sizes else "false",
        "STRATOPS_CONSUMER": VENUE,
    }
    return _python("venue", "paper_venue", environ, _market(plan) | told)


def feed(plan: DeskPlan, environ: Mapping[str, str], runners: tuple[str, ...]) -> Command:
    """`runners`: the consumers, beside gateway and venue, that the first message waits for."""
    told = {
        "STRATOPS_DATA_FILES": os.pathsep.join(map(str, plan.data)),
        "STRATOPS_SPEED": plan.speed,
        "STRATOPS_SESSION": plan.session,
        "STRATOPS_STATE_DIR": str(plan.folder / "feed"),
        "STRATOPS_REPORT": str(plan.folder / "feed" / "report.json"),
        "STRATOPS_EXPECT": ",".join((GATEWAY, VENUE, *runners)),
        "STRATOPS_CONSUMER": FEED,
    }
    return _python("feed", "market_feed", environ, _market(plan) | told)


def runner(plan: DeskPlan, environ: Mapping[str, str], life: RunnerLife) -> Command:
    told = {
        "STRATOPS_SPEC": str(life.spec),
        "STRATOPS_TOKEN": life.token,
        "STRATOPS_INSTANCE": life.instance,
        "STRATOPS_SYMBOLS": ",".join(life.symbols),
        "STRATOPS_CHANNELS": ",".join(life.channels),
        "STRATOPS_CONSUMER": life.consumer,
    }
    name = runner_name(life.strategy, life.revision)
    command = _python(name, "strategy_runner", environ, _market(plan) | told)
    data_bytes = life.rss_bytes + DATA_ROOM_BYTES
    return Command(name, command.argv, command.environment, data_bytes, life.rss_bytes)


def runner_name(strategy: str, revision: str) -> str:
    return f"{RUNNER}{strategy} {revision}"


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what is StratOps' own: no child sees another one's token."""
    kept = {name: value for name, value in environ.items() if not name.startswith("STRATOPS_")}
    return kept | {name: environ[name] for name in PASSED_ON if name in environ}


def _market(plan: DeskPlan) -> dict[str, str]:
    return {
        "STRATOPS_REDIS_URL": plan.redis_url,
        "STRATOPS_NATS_URL": plan.nats_url,
        "STRATOPS_GATEWAY": plan.gateway,
        "STRATOPS_VENUE": plan.venue,
        "STRATOPS_SYMBOLS": ",".join(plan.symbols),
        "STRATOPS_CHANNELS": ",".join(plan.channels),
        "STRATOPS_CLOCK": plan.clock,
    }


def _python(
    name: str, package: str, environ: Mapping[str, str], told: Mapping[str, str]
) -> Command:
    # -P: a module in the user's folder must not stand in for one of ours.
    argv = (sys.executable, "-P", "-m", package)
    return Command(name, argv, inherited(environ) | {"PYTHONUNBUFFERED": "1"} | dict(told))
