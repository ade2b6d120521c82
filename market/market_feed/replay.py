"""The replay at work: publishes the messages of its files as its window and pace allow.

One Redis connection carries messages out and the consumers' progress in. When it was lost, when a
consumer has lost messages, or when this process itself was killed, the replay takes a new session,
hears where everyone is, and goes on from the lowest place.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from typing import Any

import msgspec

from market_data.progress import Heartbeat, decode_progress, encode, heartbeat_channel, origin
from market_data.subscription import Subscription
from market_feed.files import InvalidRow, Source
from market_feed.merge import Message, messages
from market_feed.pace import Pace
from market_feed.records import Consumer, Place, Report, Resume, Stream, read_resume, write
from market_feed.settings import Settings
from market_feed.window import SIZE, Standing, Window

_RESUME = "feed-resume.json"
_BATCH = 256
_BEAT_S = 0.1
_BEATS_A_SECOND = 10
_SILENT_S = 2.0
_REJOIN_S = 2.0
_SKIPPED_AT_ONCE = 1_000
_LOGGED_ROWS = 10  # of each file


class Replay:
    """`run()` it until cancelled; it stays after its last message, for consumers not done yet."""

    def __init__(self, settings: Settings, sources: list[Source], log: Any) -> None:
        self._settings = settings
        self._log = log
        self._bad_rows: Counter[str] = Counter()
        self._messages: Iterator[Message] = messages(sources, self._on_invalid)
        self._next: Message | None = None
        self._resume = self._read_resume()
        self._restarts = self._resume.restarts + 1 if self._resume else 0
        self._window = Window(settings.channel_of, self._resume.position if self._resume else 0)
        self._pace = Pace(settings.speed, monotonic)
        self._playing = False
        self._ended = False
        self._sent_again = 0
        self._interruption = ""
        self._news = asyncio.Event()
        self._link = Subscription(
            settings.redis_url,
            [f"market-progress:{settings.session}*"],
            on_payload=self._on_progress,
            on_drained=self._news.set,
            on_subscribed=self._on_subscribed,
            on_lost=self._on_lost,
        )

    @property
    def session(self) -> str:
        return (
            f"{self._settings.session}.{self._restarts}"
            if self._restarts
            else self._settings.session
        )

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._link.run())
                tasks.create_task(self._beat())
                tasks.create_task(self._play())
        finally:
            self._write_down()

    async def _play(self) -> None:
        """Session after session."""
        await self._skip()
        for name in self._settings.expected:
            self._window.expect(name, monotonic())
        within_s = _REJOIN_S if self._window.position else self._settings.expect_s
        while True:
            await self._connected()
            self._interruption = ""
            await self._gather(within_s)
            back = self._window.rewind()
            self._sent_again += back
            self._log.info(
                "publishing", session=self.session, position=self._window.position, again=back
            )
            self._playing = True
            await self._publish()
            self._playing = False
            within_s = _REJOIN_S
            self._restarts += 1
            self._log.warning("new session", session=self.session, reason=self._interruption)

    async def _skip(self) -> None:
        """Passes over what every consumer had processed before we were restarted."""
        if self._resume is None:
            return
        for name, known in self._resume.consumers.items():
            standing = Standing(known.processed, known.missed, left=False)
            self._window.restore(name, known.place, standing, monotonic())
        for n in range(self._resume.position):
            message = next(self._messages, None)
            if message is None:
                break
            self._window.note(message)
            if n % _SKIPPED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _connected(self) -> None:
        while not self._link.connected:
            await self._hear(_BEAT_S)
        self._window.listen_from(monotonic())

    async def _gather(self, within_s: float) -> None:
        """Waits until every consumer known has reported in this session."""
        self._say_where()
        deadline = monotonic() + within_s
        while set(self._window.names()) - self._window.heard_in(self.session):
            if monotonic() > deadline or self._interruption:
                break
            await self._hear(deadline - monotonic())
        if not self._interruption:
            self._name_leavers(self._window.leave_unheard(self.session))

    async def _publish(self) -> None:
        """Until interrupted."""
        while not self._interruption:
            batch = self._batch()
            if batch:
                self._link.publish(batch)
                await asyncio.sleep(0)
            else:
                await self._hear(self._idle_s())

    def _batch(self) -> list[tuple[str, bytes]]:
        """What may go out now, for its channels."""
        most = min(_BATCH, self._window.room, SIZE - self._link.unanswered)
        tail = b',"session":"%s"}' % self.session.encode()
        batch: list[tuple[str, bytes]] = []
        while len(batch) < most and (message := self._due()):
            batch.append((self._settings.channel_of(message.symbol), message.wire + tail))
        return batch

    def _due(self) -> Message | None:
        message = self._window.again()
        if message is not None:
            return message
        message = self._peek()
        if message is None or self._pace.wait_s(message.at_ns) > 0:
            return None
        self._window.add(message)
        self._pace.sent(message.at_ns)
        self._next = None
        return message

    def _peek(self) -> Message | None:
        if self._next is None and not self._ended:
            self._next = next(self._messages, None)
            if self._next is None:
                self._end()
        return self._next

    def _end(self) -> None:
        self._ended = True
        self._log.info("ended", session=self.session, published=self._window.published)
        self._write_down()

    def _idle_s(self) -> float:
        """How long nothing can be due, if nothing comes in."""
        if self._next is None or self._window.room <= 0:
            return _BEAT_S
        return min(_BEAT_S, max(0.0, self._pace.wait_s(self._next.at_ns)))

    async def _hear(self, within_s: float) -> None:
        """Until something comes over the link, or for so long."""
        self._news.clear()
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _beat(self) -> None:
        """Ten times a second: who is silent. At first, and each second: where we are."""
        beats, looked_s = 0, monotonic()
        while True:
            await asyncio.sleep(_BEAT_S)
            now_s = monotonic()
            if now_s - looked_s > 5 * _BEAT_S or not self._playing:
                self._window.listen_from(now_s)  # held up ourselves: others may have spoken
            looked_s = now_s
            self._name_leavers(self._window.leave_silent(now_s - _SILENT_S))
            beats += 1
            if not self._playing or beats % _BEATS_A_SECOND == 0:
                self._say_where()
            is_first_sign = beats == 1 and self._resume is None  # the desk waits for it
            if is_first_sign or beats % _BEATS_A_SECOND == 0:
                self._write_down()

    def _say_where(self) -> None:
        window = self._window
        ended = self._ended and window.position == window.published
        beat = Heartbeat(self.session, window.published, window.last, ended, window.position)
        if self._link.connected:
            self._link.publish([(heartbeat_channel(self.session), encode(beat))])

    def _on_subscribed(self, _: int) -> None:
        self._news.set()

    def _on_progress(self, payload: bytes) -> None:
        try:
            progress = decode_progress(payload)
        except (msgspec.MsgspecError, RecursionError) as error:
            self._log.warning("progress is malformed", error=str(error))
            return
        if origin(progress.session) != self._settings.session:
            return
        lost = self._window.report(progress, monotonic())
        if lost and (self._playing or progress.session == self.session):
            self._interrupt(f"{progress.consumer} has lost messages")

    def _on_lost(self, reason: str) -> None:
        self._window.forget_links()
        self._interrupt(reason)

    def _interrupt(self, reason: str) -> None:
        self._interruption = self._interruption or reason
        self._news.set()

    def _name_leavers(self, names: list[str]) -> None:
        for name in names:
            shortfall = self._window.standings()[name].shortfall
            self._log.warning("consumer left the window", consumer=name, shortfall=shortfall)

    def _on_invalid(self, error: InvalidRow) -> None:
        self._bad_rows[error.file] += 1
        if self._bad_rows[error.file] <= _LOGGED_ROWS:
            self._log.warning("row left out", error=str(error))

    def _read_resume(self) -> Resume | None:
        folder, session = self._settings.state_dir, self._settings.session
        files = tuple(str(path) for path in self._settings.files)
        return read_resume(folder / _RESUME, session, files) if folder else None

    def _write_down(self) -> None:
        if self._settings.state_dir:
            write(self._settings.state_dir / _RESUME, self._resume_record())
        if self._settings.report:
            write(self._settings.report, self.report())

    def _resume_record(self) -> Resume:
        window = self._window
        return Resume(
            session=self._settings.session,
            restarts=self._restarts,
            files=tuple(str(path) for path in self._settings.files),
            position=window.lowest,
            streams=window.last,
            consumers={name: Place(*known) for name, known in window.places().items()},
        )

    def report(self) -> Report:
        window = self._window
        return Report(
            session=self.session,
            published=window.published,
            sent_again=self._sent_again,
            streams={name: Stream(n, window.last[name]) for name, n in window.counts.items()},
            consumers={name: Consumer(*known) for name, known in window.standings().items()},
            restarts=self._restarts,
            bad_rows=dict(self._bad_rows),
            ended=self._ended,
        )
