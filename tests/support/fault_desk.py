"""A desk whose every link can be spoilt, and whose processes are started again when they end.

Gateway, venue, Redis, NATS and the journal's PostgreSQL are real processes; between them, and
before the gateway, lie proxies.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import redis

from desk_driver import HASH, OPERATOR, content, tick
from held_ports import free_port
from risk_gateway.home import Home, Postgres
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayStub
from toxiproxy_driver import Link, Toxiproxy

SYMBOL = "BTCUSDT"
_POLL_S = 0.05
_CALL_S = 20.0
_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,  # by a gateway that ends
)
ANSWERED_WITHIN_S = 90.0
_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
)


class NotHere(Exception):
    """What a fault needs, and this machine does not have."""


class Kept:
    """A process that is started again when it ends, as whoever runs a desk would."""

    def __init__(self, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", module]
        self._log, self._environment = log, {**os.environ, **environment}
        self.ended = 0
        self._start()

    def _start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stderr=log)

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            if self._process.poll() is not None:
                self.ended += 1
                self._start()
            await asyncio.sleep(_POLL_S)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def said(self, after: int = 0) -> tuple[Counter[str], int]:
        """Its log's events by name from that place on, and where the log ends now."""
        with self._log.open("rb") as log:
            log.seek(after)
            lines = log.read().splitlines()
            return Counter(filter(None, map(_event, lines))), log.tell()


def _event(line: bytes) -> str:
    """Of a line that is none, as of a traceback: the line's own first words."""
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return " ".join(line.decode(errors="replace").split()[:3])


@dataclass(frozen=True, slots=True)
class Servers:
    """What a test, or a long run, has started."""

    redis: Any
    nats: Any
    venue_nats: Any = None  # None: the same
    postgres: Any = None  # None: the journal is a file


@dataclass(slots=True)
class Books:
    """What the venue has."""

    orders: int = 0
    position: Decimal = Decimal(0)
    unfinished: int = 0


@dataclass(slots=True)
class Agreement:
    """How ledger and venue stand to each other."""

    differences: list[str] = field(default_factory=list)
    working: int = 0

    @property
    def whole(self) -> bool:
        return not (self.differences or self.working)


class FaultDesk:
    def __init__(
        self,
        folder: Path,
        servers: Servers,
        toxiproxy: Toxiproxy,
        state: Path | None = None,
        preload: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        """`state`, `preload` and `settings` are the gateway's: folder, environment, settings."""
        self.servers, self.folder = servers, folder
        self._toxiproxy = toxiproxy
        self.links: dict[str, Link] = {}
        gateway, venue = (f"127.0.0.1:{free_port()}" for _ in range(2))
        bus = servers.venue_nats or servers.nats
        policies = folder / "policies.json"  # one strategy has orders of both sides
        policies.write_text(json.dumps({"main": {"desk": {"self_trade": "allow"}}}))
        market = {"SYMBOLS": SYMBOL, "CLOCK": "market"}
        self.journal: Home = state or folder / "gateway"
        if servers.postgres is not None:
            database = servers.postgres.database()
            settings["POSTGRES_URL"] = self._through("gateway-postgres", database.url)
            self.journal = database
        self.venue = Kept(
            "paper_venue",
            folder / "venue.log",
            _settings(
                **market, LISTEN=venue, STATE_DIR=str(folder / "venue"), FILL_MODEL="touch",
                FILL_SIZES="false", REDIS_URL=servers.redis.url,
                NATS_URL=self._through("venue-nats", bus.url),
            ),
        )  # fmt: skip
        self.gateway = Kept(
            "risk_gateway",
            folder / "gateway.log",
            {
                **(preload or {}),
                **_settings(**{
                    **market, "LISTEN": gateway, "STATE_DIR": str(state or folder / "gateway"),
                    "OPERATOR_TOKEN": OPERATOR, "POLICIES": str(policies),
                    "CALLS_A_SECOND": "100000",
                    "VENUE": self._through("gateway-venue", venue),
                    "REDIS_URL": self._through("gateway-redis", servers.redis.url),
                    "NATS_URL": self._through("gateway-nats", servers.nats.url), **settings,
                }),
            },
        )  # fmt: skip
        self.runner_address = self._through("runner-gateway", gateway)
        self._gateway, self._venue = _channel(gateway), _channel(venue)
        self._market = redis.Redis(port=servers.redis.port)
        self._sequence = 0
        self._revision = 0
        self._keepers = [asyncio.create_task(each.keep()) for each in (self.gateway, self.venue)]

    def _through(self, name: str, url: str) -> str:
        """The same, with a proxy before it."""
        before, _, rest = url.rpartition("@" if "@" in url else "//")
        address, slash, path = rest.partition("/")
        self.links[name] = self._toxiproxy.link(name, address)
        joint = url[len(before) : len(url) - len(rest)]
        return f"{before}{joint}{self.links[name].address}{slash}{path}"

    async def close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for channel in (self._gateway, self._venue):
            await channel.close()
        self._market.close()
        self.gateway.end()
        self.venue.end()

    # ---- the market

    def next_tick(self) -> int:
        """Published, whether or not anybody hears it; its sequence."""
        self._sequence += 1
        self._market.publish(f"market:{SYMBOL.lower()}", tick(self._sequence))
        return self._sequence

    # ---- what may be asked, by the operator, past every proxy

    @property
    def stub(self) -> Any:
        return RiskGatewayStub(self._gateway)

    async def deploy(self) -> str:
        """The next revision, once the gateway takes it; its name."""
        self._revision += 1
        name = f"r{self._revision}"
        term = await _answered(self.stub.BeginTerm, pb.BeginTermRequest(token=OPERATOR, holder="t"))
        await _answered(
            self.stub.Deploy,
            pb.DeployRequest(
                token=OPERATOR, term=term.term, strategy="s", revision=name,
                content=content(), runner_token_sha256=HASH,
            ),
        )  # fmt: skip
        return name

    async def cancel_all(self) -> None:
        request = pb.CancelOrdersRequest(token=OPERATOR, all=True, reason="drill")
        await _answered(self.stub.CancelOrders, request)

    async def agreement(self) -> Agreement:
        """By what both sides say, compared here; once that agrees, by the gateway's own word."""
        found = await self._compared()
        if found.whole:
            request = pb.GetDeskRequest(token=OPERATOR, reconcile=True)
            desk = await _answered(self.stub.GetDesk, request)
            found.differences += desk.reconciliation.differences
        return found

    async def _compared(self) -> Agreement:
        desk = await _answered(self.stub.GetDesk, pb.GetDeskRequest(token=OPERATOR))
        books = await self._books()
        found = Agreement(working=desk.working)
        held = sum((Decimal(each.positions[SYMBOL] or 0) for each in desk.strategies), Decimal(0))
        if held != books.position:
            found.differences.append(f"position: ledger {held}, venue {books.position}")
        if books.unfinished:
            found.differences.append(f"{books.unfinished} orders open at the venue")
        if books.orders > desk.orders:
            found.differences.append(f"orders: journal {desk.orders}, venue {books.orders}")
        return found

    async def _books(self) -> Books:
        books, after = Books(), ""
        while True:
            request = venue_pb.ListOrdersRequest(after_order_id=after)
            page = await _answered(OrderExecutionStub(self._venue).ListOrders, request)
            for order in page.orders:
                _count(books, order)
            after = page.next_after_order_id
            if not after:
                return books

    async def verified(self) -> str:
        """Empty: the journal proves; else why not."""
        command = [sys.executable, "-m", "risk_gateway.audit", "verify", _named(self.journal)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, said = await process.communicate()
        return said.decode() if process.returncode else ""


def _settings(**values: str) -> dict[str, str]:
    return {f"STRATOPS_{name}": value for name, value in values.items()}


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=_CHANNEL)


def _named(journal: Home) -> str:
    return journal.url if isinstance(journal, Postgres) else str(journal)


def _count(books: Books, order: venue_pb.OrderResponse) -> None:
    sign = 1 if order.side == types.SIDE_BUY else -1
    books.orders += 1
    books.position += sign * Decimal(order.filled_quantity or 0)
    states = (types.ORDER_STATE_ACCEPTED, types.ORDER_STATE_PARTIALLY_FILLED)
    books.unfinished += order.state in states


async def _answered(call: Any, request: Any) -> Any:
    """Asked again while nobody is there, or whoever was there is so no more."""
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    while True:
        try:
            return await call(request, timeout=_CALL_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AGAIN or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_POLL_S)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Raises NotHere where none can be mounted, which takes root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        raise NotHere("no tmpfs can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
