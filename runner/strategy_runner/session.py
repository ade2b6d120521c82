"""The session with the gateway: one bidirectional gRPC stream, opened again whenever it ends.

Messages go out in their order. What was not yet written when a stream ends is forgotten: the
replica repeats what matters once the next stream has said Welcome.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio

from handover.messages import GatewayMessage, RunnerMessage
from strategy_runner.desk import DeskUnreadable, Gateway
from stratops_api.v1 import risk_gateway_pb2_grpc
from stratops_wire import InvalidMessage
from stratops_wire.leader import Replicas, is_wanted_no_more, leader_named_by
from stratops_wire.session import gateway_message_from_proto, runner_message_to_proto

_UNKNOWN_HERE = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class NotWanted(Exception):
    """What this runner runs was replaced or withdrawn: no waiting helps. Of every other refusal it
    may: its revision may come yet, a token or a policy be put right.
    """


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    backoff_s: float = 0.05  # the first wait; each is twice the last one, jittered
    backoff_most_s: float = 1.0
    refused_s: float = 10.0  # so long an unknown runner is only early, and asks as often as others
    refused_most_s: float = 15.0  # from then on


_OPTIONS = (
    # How long one attempt to connect may take: a handshake is slow where fifty pods start at once.
    # Each attempt has a channel of its own, and what waits between them is `_waits`.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),  # a strategy's snapshot
    # A link that went dark without closing ends 7 + 5 s after the gateway's last word. It is the
    # ping's own deadline that counts, a minute by default; keepalive_timeout_ms alone ends nothing.
    ("grpc.keepalive_time_ms", 7_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class GatewaySession:
    """`run()` it as a task; `send` from the same loop.

    `gateway()` is asked anew for each stream. `on_open(gateway)` comes when a stream is open,
    before anything is written to it; `on_message` for each message of the gateway; `on_closed(why)`
    when the stream has ended, or could not be opened.
    """

    def __init__(
        self,
        gateway: Callable[[], Gateway],
        *,
        on_open: Callable[[Gateway], object],
        on_message: Callable[[GatewayMessage], object],
        on_closed: Callable[[str], object],
        timing: Timing = Timing(),  # frozen
    ) -> None:
        self.connected = False  # the gateway has spoken on the stream that is open
        self.trouble = "not opened yet"  # why the last stream ended, or was not had
        self.spoke_at = 0.0  # when something was last sent; the loop's time
        self._open = self._finishing = False
        self._call: Any = None
        self._called = ""  # of the gateway's addresses, the last one called
        self._gateway = gateway
        self._on_open = on_open
        self._on_message = on_message
        self._on_closed = on_closed
        self._timing = timing
        self._outbox: deque[RunnerMessage] = deque()
        self._news = asyncio.Event()
        self._all_written = asyncio.Event()
        self._all_written.set()
        self._closed = asyncio.Event()

    def send(self, message: RunnerMessage) -> None:
        """Queued for the stream that is open; without one it is forgotten."""
        if self._open:
            self.spoke_at = asyncio.get_running_loop().time()
            self._outbox.append(message)
            self._all_written.clear()
            self._news.set()

    async def finish(self, within_s: float) -> None:
        """Ends the session for good: all that was sent is written, and the gateway hangs up.

        Or so much time is over: the link may be dark. To cancel instead could cost the last words.
        """
        self._finishing = True
        if self._call is None or not self.connected:
            return
        with suppress(TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            async with asyncio.timeout(within_s):
                await self._all_written.wait()
                self._open = False
                await self._call.done_writing()
                await self._closed.wait()

    async def run(self) -> None:
        """Until finished or cancelled. Raises NotWanted."""
        waits = _Waits(self._timing)
        was_led = False
        while not self._finishing:
            code, heard, led = await self._serve()
            self._on_closed(self.trouble)
            # To the leader at once; but whom a standby names may have died a moment ago.
            was_led = led and not was_led
            if was_led:
                continue
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(waits.after(now, heard=heard, unknown=code in _UNKNOWN_HERE))

    async def _serve(self) -> tuple[grpc.StatusCode | None, bool, bool]:
        """One stream; answers how it ended, whether the gateway said anything on it, and whether it
        is another one that leads."""
        try:
            gateway = self._gateway()
        except DeskUnreadable as error:
            self.trouble = str(error)
            return None, False, False
        replicas = Replicas.of(gateway.address, self._called)
        self._called = replicas.called
        gateway = replace(gateway, address=replicas.called)
        async with _channel(gateway) as channel:
            call = risk_gateway_pb2_grpc.RiskGatewayStub(channel).Trade()
            self._begin(gateway, call)
            writer = asyncio.create_task(self._write(call))
            heard = False
            try:
                async for message in call:
                    heard = self.connected = True
                    self._on_message(gateway_message_from_proto(message))
                self.trouble = f"{gateway.address}: it ended the session"
            except grpc.aio.AioRpcError as error:
                self.trouble = f"{gateway.address}: {error.code().name}: {error.details()}"
                if is_wanted_no_more(error):
                    raise NotWanted(error.details()) from error
                self._called = replicas.after(error).called
                return error.code(), heard, leader_named_by(error) == self._called
            except InvalidMessage as error:
                self.trouble = f"{gateway.address}: its message: {error}"
            finally:
                await self._close(call, writer)
            return None, heard, False

    def _begin(self, gateway: Gateway, call: Any) -> None:
        self._outbox.clear()
        self._open, self._call = True, call
        self._closed.clear()
        self._on_open(gateway)

    async def _close(self, call: Any, writer: asyncio.Task[None]) -> None:
        self.connected = self._open = False
        self._call = None
        self._all_written.set()
        self._closed.set()
        writer.cancel()
        call.cancel()
        await asyncio.wait({writer})

    async def _write(self, call: Any) -> None:
        try:
            while True:
                while self._outbox:
                    await call.write(runner_message_to_proto(self._outbox.popleft()))
                self._all_written.set()
                self._news.clear()
                await self._news.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader meets the same end, and says why


def _channel(gateway: Gateway) -> grpc.aio.Channel:
    """With a CA the gateway has to prove that it is the host we call."""
    if gateway.ca is None:
        return grpc.aio.insecure_channel(gateway.address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(gateway.ca)
    return grpc.aio.secure_channel(gateway.address, credentials, options=_OPTIONS)


class _Waits:
    """Seconds before each further attempt."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._last = 0.0
        self._unknown_since: float | None = None

    def after(self, now: float, *, heard: bool, unknown: bool) -> float:
        """After an attempt on which the gateway was heard, or did not know us."""
        if not unknown:
            self._unknown_since = None
        elif self._unknown_since is None:
            self._unknown_since = now
        self._last = self._timing.backoff_s if heard or not self._last else self._next(now)
        return self._last * random.uniform(0.5, 1)  # noqa: S311  # spreads reconnects, guards nothing

    def _next(self, now: float) -> float:
        since, timing = self._unknown_since, self._timing
        patient = since is not None and now - since > timing.refused_s
        return min(2 * self._last, timing.refused_most_s if patient else timing.backoff_most_s)
