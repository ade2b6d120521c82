"""One connection to Redis, in RESP3: messages pushed to us and replies to our commands, in order.

An asyncio.Protocol around hiredis.Reader: several times as cheap per message as a client library.
RESP3 because a subscribed connection may still publish and PING there; Redis 6 and later speak it.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis

_PUSH = hiredis.PushNotification
_DEFAULT_PORT = 6379
_TURN_NS = 20_000_000  # of one turn of the loop, for messages: probes and other links wait so long
_REST_S = 0.001  # the others' turns until the next
_AT_ONCE = range(8)  # messages between two looks at the clock, which costs as much as a check
_READ_BYTES = 262_144  # kept: one made for each read is mapped and unmapped by the kernel


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Redis is: redis://[user:password@]host[:port], rediss:// for TLS, with `?ca=FILE` by
    the authorities in a file (PEM) and no others.
    """

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    ca: str = ""  # read at each connection: what is renewed there counts from the next on

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Raises ValueError."""
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORT
        except ValueError:
            parts, port = urlsplit(""), 0
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise ValueError(f"Redis address {_shown(url)!r}: expected redis://host:port")
        tls, ca = parts.scheme == "rediss", _ca(parts.query)
        if ca is None or (ca and not tls):
            raise ValueError(f"Redis address {_shown(url)!r}: expected ?ca=FILE, of rediss://")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, tls, ca)

    def trust(self) -> ssl.SSLContext | None:
        """Raises OSError, for a file without certificates too."""
        return ssl.create_default_context(cafile=self.ca or None) if self.tls else None

    def greeting(self) -> bytes:
        """The first command of a connection: RESP3, and who we are."""
        if not self.password:
            return command("HELLO", "3")
        return command("HELLO", "3", "AUTH", self.user or "default", self.password)


def _shown(url: str) -> str:
    """Without what may be a password: everything before the last @."""
    return url.rpartition("@")[2]


def _ca(query: str) -> str | None:
    """Of an address; empty without one, None for what is no such query."""
    match parse_qsl(query, keep_blank_values=True):
        case []:
            return "" if not query else None
        case [("ca", path)] if path:
            return path
    return None


def command(*words: str | bytes) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub has a tuple of one
    return packed


class RedisLink(asyncio.BufferedProtocol):
    """Calls `take` for each message of a subscribed channel no larger than `max_size`.

    `on_other` gets everything else that Redis sends (confirmations, pattern messages, replies,
    messages too large), `on_drained` what is left to do when a read is worked off, or a part of it:
    whoever takes long with each message leaves the loop a turn now and then. `closed` ends with the
    reason; an exception of a callback ends it as that exception.
    """

    def __init__(
        self,
        take: Callable[[bytes], object],
        on_other: Callable[[Any], object],
        on_drained: Callable[[], object],
        max_size: int,
    ) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.received_ns = monotonic_ns()
        self.taken = 0
        self.take = take  # may be changed between two messages
        self._buffer = bytearray(_READ_BYTES)
        # A view, since under TLS asyncio slices it for each further record: a slice of the bytes
        # themselves is a copy, and what is read into it is lost.
        self._view = memoryview(self._buffer)
        self._reader = hiredis.Reader()
        self._on_other = on_other
        self._on_drained = on_drained
        self._max_size = max_size
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        if self.closed.done():
            return
        self.received_ns = monotonic_ns()
        # Any buffer will do; its types do not say so.
        self._reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]
        self._work_off(self.received_ns + _TURN_NS)

    def _work_off(self, until_ns: int) -> None:
        try:
            done = self._pass_on(until_ns)
            self._on_drained()
        except hiredis.ProtocolError as error:
            self.close(f"not the Redis protocol: {error}")
        except Exception as error:  # noqa: BLE001  # a consumer's own: it ends run(), asyncio would only log it
            self._end(error)
        else:
            if not done:
                self._rest()

    def _pass_on(self, until_ns: int) -> bool:
        """False when the time was up before all that was read is passed on."""
        gets, push, most = self._reader.gets, _PUSH, self._max_size
        while True:
            for _ in _AT_ONCE:
                if (item := gets()) is False:
                    return True
                # Of all pushes of three, only b"message", channel, payload ends in bytes.
                if (
                    item.__class__ is push
                    and len(item) == 3
                    and (payload := item[2]).__class__ is bytes
                    and len(payload) <= most
                ):
                    self.taken += 1
                    self.take(payload)
                else:
                    self._on_other(item)
            if monotonic_ns() >= until_ns:
                return False

    def _rest(self) -> None:
        if self._transport is not None and not self.closed.done():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(_REST_S, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self.closed.done():
            self._transport.resume_reading()
            self.received_ns = monotonic_ns()  # what was read is not worked off: no silence yet
            self._work_off(self.received_ns + _TURN_NS)

    def connection_lost(self, error: Exception | None) -> None:
        self.close(f"connection lost: {error or 'closed by Redis'}")

    def send(self, *commands: bytes) -> None:
        if self._transport is not None and not self.closed.done():
            self._transport.writelines(commands)

    def close(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
        self._abort()

    def _end(self, error: Exception) -> None:
        if not self.closed.done():
            self.closed.set_exception(error)
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()  # close() would first wait for a peer that may be gone


async def connect(address: Address, link: Callable[[], RedisLink], timeout_s: float) -> RedisLink:
    """A greeted link. Raises OSError, or TimeoutError after `timeout_s`."""
    tls = address.trust()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, made = await loop.create_connection(link, address.host, address.port, ssl=tls)
    made.send(address.greeting())
    return made
