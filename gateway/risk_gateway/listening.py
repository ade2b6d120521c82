"""The gateway's gRPC server: what it bears, and the addresses that it listens on."""

import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import structlog

from risk_gateway.settings import Settings
from risk_gateway.tls import server_credentials
from stratops_process.environment import InvalidSettings

_MOST_CALLS = 2_000  # sessions are calls too
_OWN_FILES = 512  # journal, venues, feed, bus, pages
_SAYS_NOTHING_MS = 5_000
_ASKS_NOTHING_MS = 30_000
_OPTIONS = (
    # Without it a hung gateway and its successor could share one port, and its calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),  # a strategy's snapshot
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    # Of one connection: what a flood of calls can put in front of the others' at most.
    ("grpc.max_concurrent_streams", 256),
    # A runner whose node has gone says nothing: its session would live on for hours.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # the ping's own deadline, a minute by default, counts
    # Clients ask each 10 s, idle ones too; oftener than this is a fault.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # What holds a place among the connections without a call: pings do not count as one. A caller
    # that is told to go connects again with its next call, by itself.
    ("grpc.server_handshake_timeout_ms", _SAYS_NOTHING_MS),
    ("grpc.max_connection_idle_ms", _ASKS_NOTHING_MS),
)

log = structlog.get_logger()


def made_server(connections: int, **more: Any) -> grpc.aio.Server:
    """With so many connections at each address at most."""
    bound = ("grpc.max_allowed_incoming_connections", connections)
    return grpc.aio.server(options=(*_OPTIONS, bound), maximum_concurrent_rpcs=_MOST_CALLS, **more)


def most_connections(settings: Settings) -> int:
    """As many as are set, where the process may have so many files; its own come first."""
    addresses = 2 if settings.client_listen else 1
    room = (_most_files() - _OWN_FILES) // addresses
    if room >= settings.connections:
        return settings.connections
    log.warning("fewer_connections", files=room + _OWN_FILES, set=settings.connections)
    return max(room, 1)


def _most_files() -> int:
    """All that we may have, from now on."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # a kernel may allow fewer than it says: macOS does
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 2**31


def listen(server: grpc.aio.Server, settings: Settings) -> str:
    """Raises InvalidSettings, InvalidCertificate."""
    everywhere = None if settings.client_listen else settings.client_ca
    if settings.client_listen:
        _bind(server, "TLS_CLIENT_LISTEN", settings.client_listen, settings, settings.client_ca)
    return _bind(server, "LISTEN", settings.listen, settings, everywhere)


def _bind(
    server: grpc.aio.Server, name: str, address: str, settings: Settings, client_ca: Path | None
) -> str:
    try:
        if settings.tls_dir is None:
            port = server.add_insecure_port(address)
        else:
            trust = server_credentials(settings.tls_dir, client_ca)
            port = server.add_secure_port(address, trust)
    except RuntimeError as error:
        raise InvalidSettings(f"STRATOPS_{name}: {address!r} cannot be bound: {error}") from error
    return f"{address.rpartition(':')[0]}:{port}"
