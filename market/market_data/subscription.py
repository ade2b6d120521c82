"""A consumer's subscription to its channels, kept up for as long as it runs.

One Redis connection: data, heartbeats, PING, and our own progress. A link that went silent without
closing is found by PING with a deadline, on monotonic time; while this process itself was held up,
no deadline runs.
"""

import asyncio
import random
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

import hiredis
import msgspec

from market_data.intake import MAX_SIZE, Dropped
from market_data.progress import (
    HEARTBEATS,
    Heartbeat,
    Progress,
    decode_heartbeat,
    encode,
    progress_channel,
)
from market_data.redis_link import Address, RedisLink, command, connect

_PROGRESS_MESSAGES = 256
_GOODBYE_LOOKS = 20
_HEARTBEATS = HEARTBEATS.encode()
NO_LINK = -1  # as a feed's age, where it is told as a number


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    look_s: float = 0.25  # progress is published, and the link looked at, this often
    connect_s: float = 2.0  # to be connected, and from then to be subscribed
    ping_s: float = 1.0
    pong_s: float = 1.5
    heartbeat_s: float = 3.0  # a feed without a heartbeat for longer is stale
    backoff_s: float = 0.05  # the first wait; each is twice the last one, jittered
    backoff_most_s: float = 1.0
    rewind_s: float = 2.0  # a replay that knows us goes back to what we have lost; so long we wait


def _nothing(*_: object) -> None:
    pass


class Subscription:
    """`run()` it as a task. All callbacks come on its loop, in the order of the connection.

    `url` may be asked for anew at each connection; its ValueError is a reason for having none.

    `on_payload` gets each message of the channels (those over 1 MB are counted as `too_large` in
    `dropped`, never passed on); `on_drained` follows each read, and each part of a long one.
    `on_subscribed(n)` says that the nth subscription is complete: everything published from now on
    arrives. `on_lost(reason)` says that this no longer holds. An exception of a callback ends
    `run()`.

    With `consumer` and `progress` (last sequence processed by "SYMBOL/type") it takes part in the
    replay's window; not while `progress` answers None. `symbols` names those it takes from its
    channels, if not all. After a lost link the replay goes back to what was lost; what comes before
    it does is left out, so the order holds. A channel with `*`, `?` or `[` in it is a pattern.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        channels: Sequence[str],
        *,
        on_payload: Callable[[bytes], object],
        on_drained: Callable[[], object] = _nothing,
        on_subscribed: Callable[[int], object] = _nothing,
        on_lost: Callable[[str], object] = _nothing,
        consumer: str = "",
        progress: Callable[[], Mapping[str, int] | None] | None = None,
        symbols: Collection[str] = (),
        dropped: Counter[str] | None = None,
        timing: Timing = Timing(),  # frozen
    ) -> None:
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        self.heartbeat: Heartbeat | None = None
        self.subscriptions = 0
        self.trouble = ""  # why it is not connected
        self._address = _address(url)
        self._patterns = [HEARTBEATS, *(name for name in channels if _is_pattern(name))]
        self._channels = [name for name in channels if not _is_pattern(name)]
        self._on_payload = on_payload
        self._on_drained = on_drained
        self._on_subscribed = on_subscribed
        self._on_lost = on_lost
        self._consumer = consumer
        self._progress = progress
        self._symbols = tuple(symbols)
        self._life = uuid.uuid4().hex[:12]
        self._timing = timing
        self.unanswered = 0  # PUBLISHes that Redis has not worked off
        self._link: RedisLink | None = None
        self._unconfirmed = 0
        self._pongs: deque[Callable[[], object]] = deque()
        self._pinged_ns = 0
        self._awaited_since_ns = 0  # of the oldest PING not answered; 0 when none is out
        self._heartbeat_ns = 0
        self._heard_ns = monotonic_ns()  # of the feed; at first, when we began to listen
        self._judged = (0, 0)  # messages of this link that were taken, and all that were dropped
        self._rewinding: str | None = None  # the session that is to end before we take messages
        self._in_window = False  # of the replay, as far as we have said
        self._news = 0

    @property
    def connected(self) -> bool:
        """Everything published arrives."""
        return self._link is not None and self._unconfirmed == 0

    @property
    def session(self) -> str:
        """The feed's session by its last heartbeat; empty before the first."""
        return self.heartbeat.session if self.heartbeat else ""

    @property
    def age_ns(self) -> int | None:
        """Monotonic time since the feed's last accepted message or heartbeat; None without a link.

        What Redis says itself is no word of the feed. Before the first it is since we listen.
        """
        return monotonic_ns() - self._heard_ns if self._link else None

    @property
    def read_ns(self) -> int:
        """Monotonic time since the link was last read; 0 without one."""
        return monotonic_ns() - self._link.received_ns if self._link else 0

    @property
    def stale(self) -> bool:
        """True without a link, or when the feed that had heartbeats has none any more."""
        if not self.connected:
            return True
        silent_ns = monotonic_ns() - self._heartbeat_ns
        return self.heartbeat is not None and silent_ns > self._timing.heartbeat_s * 1e9

    async def run(self) -> None:
        """Until cancelled, or until a callback raises."""
        waits = _waits(self._timing)
        while True:
            before = self.subscriptions
            self.trouble = await self._serve()
            if self.subscriptions > before:
                waits = _waits(self._timing)
                self._on_lost(self.trouble)
            await asyncio.sleep(next(waits))

    def barrier(self, callback: Callable[[], object]) -> None:
        """Calls back when everything published before now has been passed on.

        Not at all when the link is lost before; `on_lost` is the answer then.
        """
        if self._link is not None:
            self._pongs.append(callback)
            self._ping(self._link)

    def note_progress(self) -> None:
        """One more message is processed; says so to the feed after every 256."""
        self._news += 1
        if self._news >= _PROGRESS_MESSAGES:
            self.publish_progress()

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Sends (channel, payload) pairs over the same connection; lost without one."""
        if self._link is not None:
            commands = [command(b"PUBLISH", channel, payload) for channel, payload in messages]
            self.unanswered += len(commands)
            self._link.send(*commands)

    def publish_progress(self, leaving: bool = False) -> None:
        """At once, if the feed is known and everything is subscribed."""
        self._news = 0
        if not self.connected or not self.session or self._progress is None:
            return
        streams = self._progress()
        leaving = leaving or streams is None
        if leaving and not self._in_window:
            return
        self._in_window = not leaving
        report = Progress(
            consumer=self._consumer,
            streams=dict(streams or {}),
            channels=(*self._channels, *self._patterns[1:]),
            symbols=self._symbols,
            life=self._life,
            subscription=self.subscriptions,
            session=self.session,
            leaving=leaving,
        )
        self.publish([(progress_channel(self.session), encode(report))])

    async def _serve(self) -> str:
        """One connection, from dialling to its end; answers why it ended."""
        try:
            link = await connect(self._address(), self._make_link, self._timing.connect_s)
        except ValueError as error:
            return f"no connection: {error}"
        except TimeoutError:
            return f"no connection in {self._timing.connect_s} s"
        except OSError as error:
            return f"no connection: {error}"
        try:
            self._subscribe(link)
            await self._watch(link)
            return link.closed.result()
        except asyncio.CancelledError:
            await self._say_goodbye(link)
            raise
        finally:
            self._link, self._rewinding = None, None
            link.close("given up")

    def _make_link(self) -> RedisLink:
        return RedisLink(self._on_payload, self._on_other, self._drained, MAX_SIZE)

    def _drained(self) -> None:
        self._note_accepted()
        self._on_drained()

    def _note_accepted(self) -> None:
        """Where more were taken than dropped, one was accepted: a count per read, none each."""
        if self._link is None:
            return
        taken, dropped = self._judged
        self._judged = (self._link.taken, self.dropped.total())
        if self._judged[0] - taken > self._judged[1] - dropped:
            self._heard_ns = self._link.received_ns

    def _subscribe(self, link: RedisLink) -> None:
        self._link = link
        self._judged = (0, self.dropped.total())
        self._unconfirmed = len(self._channels) + len(self._patterns)
        self._pongs.clear()
        self.unanswered = 0
        self._awaited_since_ns = 0
        self._pinged_ns = monotonic_ns()
        if self._in_window:
            self._rewinding, link.take = self.session, _nothing
        if self._channels:
            link.send(command("SUBSCRIBE", *self._channels))
        link.send(command("PSUBSCRIBE", *self._patterns))

    async def _say_goodbye(self, link: RedisLink) -> None:
        """Or the replay would wait for us. Redis has to have read it before we hang up."""
        link.take = self._on_drained = _nothing
        self.publish_progress(leaving=True)
        for _ in range(_GOODBYE_LOOKS):
            if not self.unanswered or link.closed.done():
                return
            await asyncio.sleep(0.01)

    async def _watch(self, link: RedisLink) -> None:
        """Looks after the link until it is closed."""
        opened_ns = looked_ns = monotonic_ns()
        while not link.closed.done():
            await asyncio.wait({link.closed}, timeout=self._timing.look_s)
            now_ns = monotonic_ns()
            # A process that was stopped, or a handler that took long, is not the link's fault.
            held_up_ns = max(0, now_ns - looked_ns - round(2e9 * self._timing.look_s))
            opened_ns += held_up_ns
            if self._awaited_since_ns:
                self._awaited_since_ns += held_up_ns
            looked_ns = now_ns
            self._look(link, now_ns, opened_ns)

    def _look(self, link: RedisLink, now_ns: int, opened_ns: int) -> None:
        timing = self._timing
        if self._unconfirmed and now_ns - opened_ns > timing.connect_s * 1e9:
            link.close(f"not subscribed in {timing.connect_s} s")
        heard_ns = max(self._awaited_since_ns, link.received_ns)
        if self._awaited_since_ns and now_ns - heard_ns > timing.pong_s * 1e9:
            link.close(f"no answer to PING in {timing.pong_s} s")
        elif not self._awaited_since_ns and now_ns - self._pinged_ns > timing.ping_s * 1e9:
            self._pongs.append(_nothing)
            self._ping(link)
        if self._rewinding is not None and now_ns - opened_ns > timing.rewind_s * 1e9:
            self._take_messages(link)
        self.publish_progress()

    def _take_messages(self, link: RedisLink) -> None:
        self._rewinding, link.take = None, self._on_payload
        self._on_subscribed(self.subscriptions)

    def _ping(self, link: RedisLink) -> None:
        self._pinged_ns = monotonic_ns()
        self._awaited_since_ns = self._awaited_since_ns or self._pinged_ns
        link.send(command("PING", "-"))

    def _on_other(self, item: Any) -> None:
        """Everything but a message of a plain channel."""
        if item.__class__ is int:
            self.unanswered -= 1
        elif item.__class__ is bytes:
            self._on_pong()
        elif self._link is not None:
            self._on_seldom(self._link, item)

    def _on_seldom(self, link: RedisLink, item: Any) -> None:
        if isinstance(item, hiredis.ReplyError):
            link.close(f"refused by Redis: {item}")
        elif not isinstance(item, hiredis.PushNotification):
            return  # the answer to HELLO
        elif item[0] in (b"subscribe", b"psubscribe"):
            self._on_confirmed(link)
        elif item[0] == b"pmessage" and item[1] == _HEARTBEATS:
            self._on_heartbeat(link, item[3])
        elif len(item[-1]) > MAX_SIZE:
            self.dropped[Dropped.TOO_LARGE] += 1
        else:
            link.taken += 1
            link.take(item[-1])

    def _on_confirmed(self, link: RedisLink) -> None:
        self._unconfirmed -= 1
        if self._unconfirmed:
            return
        self.subscriptions += 1
        self.trouble = ""
        self.publish_progress()
        if self._rewinding is None or not self._in_window:
            self._take_messages(link)

    def _on_pong(self) -> None:
        self._awaited_since_ns = 0 if len(self._pongs) == 1 else monotonic_ns()
        if self._pongs:
            self._pongs.popleft()()

    def _on_heartbeat(self, link: RedisLink, payload: bytes) -> None:
        known = self.session
        try:
            self.heartbeat = decode_heartbeat(payload)
        except (msgspec.MsgspecError, RecursionError):
            self.dropped[Dropped.MALFORMED] += 1
            return
        self._heartbeat_ns = self._heard_ns = monotonic_ns()
        if self.session != known:
            self.publish_progress()
        if self._rewinding is not None and self.session != self._rewinding and self.connected:
            self._take_messages(link)


def _address(url: str | Callable[[], str]) -> Callable[[], Address]:
    """Raises ValueError for a fixed address that is none."""
    if callable(url):
        return lambda: Address.parse(url())
    fixed = Address.parse(url)
    return lambda: fixed


def _is_pattern(channel: str) -> bool:
    return any(sign in channel for sign in "*?[")


def _waits(timing: Timing) -> Iterator[float]:
    """Seconds before each further attempt."""
    wait = timing.backoff_s
    while True:
        yield wait * random.uniform(0.5, 1)  # noqa: S311  # spreads reconnects, guards nothing
        wait = min(2 * wait, timing.backoff_most_s)
