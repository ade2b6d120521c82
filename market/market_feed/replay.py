"""The replay at work: publishes the messages of its files as its window and pace allow.

One Redis connection carries messages out and the consumers' progress in. When it was lost, when a
consumer has lost messages, or when this process itself was killed, the replay takes a new session,
hears where everyone is, and goes on from the lowest place.
"""

import asyncio
from collections import Counter
from time import monotonic, time
from typing import Any

import msgspec

from market_data.progress import (
    Heartbeat,
    decode_progress,
    encode,
    heartbeat_channel,
    origin,
)
from market_data.subscription import Subscription
from market_feed.files import InvalidRow, Source
from market_feed.laps import Laps, LostLife
from market_feed.merge import Message
from market_feed.pace import Pace
from market_feed.records import Report, Resume, read_resume, write
from market_feed.settings import Settings
from market_feed.window import SIZE, Standing, Window

_RESUME = "feed-resume.json"
_BATCH = 256
_BEAT_S = 0.1
_BEATS_A_SECOND = 10
_SILENT_S = 2.0
_REJOIN_S = 2.0
_LOST_LIFE_S = 0.5  # for consumers to say where a life of ours that left nothing written was
_SKIPPED_AT_ONCE = 1_000
_LOGGED_ROWS = 10  # of each file


class Replay:
    """`run()` it until cancelled; it stays after its last message, for consumers not done yet."""

    def __init__(self, settings: Settings, sources: list[Source], log: Any) -> None:
        self._settings = settings
        self._log = log
        self._bad_rows: Counter[str] = Counter()
        self.laps = Laps(sources, self._on_invalid, repeat=settings.repeat)
        self._next: Message | None = None
        self._resume = self._read_resume()
        self._origin = self._named()
        self._lost_life = LostLife() if settings.repeat and self._resume is None else None
        self._restarts = self._resume.restarts + 1 if self._resume else 0
        self._window = Window(settings.channel_of, self._resume.position if self._resume else 0)
        self._pace = Pace(settings.speed, monotonic)
        self._began = False
        self._playing = False
        self._ended = False
        self._sent_again = 0
        self._interruption = ""
        self._news = asyncio.Event()
        self._link = Subscription(
            settings.redis_url,
            ["market-progress:*"],
            on_payload=self._on_progress,
            on_drained=self._news.set,
            on_subscribed=self._on_subscribed,
            on_lost=self._on_lost,
        )

    @property
    def session(self) -> str:
        return f"{self._origin}.{self._restarts}" if self._restarts else self._origin

    @property
    def missing(self) -> str:
        """What it waits for; empty when it publishes, or has published all."""
        if not self._link.connected:
            return f"redis {self._link.trouble or 'not subscribed yet'}"
        return "" if self._playing else "consumers to say where they are"

    @property
    def lead(self) -> int:
        """Messages published that the slowest consumer has not processed."""
        return self._window.position - self._window.lowest

    async def run(self) -> None:
        if self._settings.state_dir:
            self._settings.state_dir.mkdir(parents=True, exist_ok=True)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._link.run())
                tasks.create_task(self._beat())
                tasks.create_task(self._play())
        finally:
            self.laps.close()
            self._write_down()

    async def _play(self) -> None:
        """Session after session."""
        await self._go_to(self._window.position)
        for name, known in self._resume.consumers.items() if self._resume else ():
            standing = Standing(known.processed, known.missed, left=False)
            self._window.restore(name, known.place, standing, monotonic())
        self._expect()
        within_s = _REJOIN_S if self._window.position else self._settings.expect_s
        while True:
            await self._connected()
            self._interruption = ""
            await self._pass_lost_life()
            await self._gather(within_s)
            back = self._window.rewind()
            self._sent_again += back
            self._log.info(
                "publishing", session=self.session, position=self._window.position, again=back
            )
            self._begin()
            await self._publish()
            self._playing = False
            within_s = _REJOIN_S
            self._restarts += 1
            self._log.warning("new session", session=self.session, reason=self._interruption)

    async def _go_to(self, position: int) -> None:
        """Passes over what comes before: of the last lap message by message, else by arithmetic."""
        lap, left = 0, position
        if self.laps.repeats and position:
            await self._survey()
            lap, left = divmod(position, max(1, self.laps.course.length))
            self._window.pass_over(*self.laps.course.before(lap))
            self.laps.begin(lap)
        for n in range(left):
            message = next(self.laps, None)
            if message is None:
                break
            self._window.note(message)
            if n % _SKIPPED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _survey(self) -> None:
        for n, _ in enumerate(self.laps.survey()):
            if n % _SKIPPED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _pass_lost_life(self) -> None:
        """Goes on in the first lap that is new to everyone."""
        if self._lost_life is None:
            return
        if not self._window.published:
            await self._hear_for(_LOST_LIFE_S)
        if self._lost_life.sequences:
            await self._survey()
            lap = self.laps.course.lap_after(self._lost_life.sequences)
            self._lost_life.sequences.clear()
            if lap > self.laps.lap:
                self._log.warning("consumers know an earlier life of this feed", goes_on_in_lap=lap)
                self._window = Window(self._settings.channel_of, lap * self.laps.course.length)
                self._next = None
                await self._go_to(self._window.position)
                self._expect()

    def _begin(self) -> None:
        """A session. The very first message already has to find us written down."""
        self._playing = True
        if not self._began:
            self._began = True
            self._write_down()

    def _expect(self) -> None:
        for name in self._settings.expected:
            self._window.expect(name, monotonic())

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
            self._next = next(self.laps, None)
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

    async def _hear_for(self, within_s: float) -> None:
        deadline = monotonic() + within_s
        while (left_s := deadline - monotonic()) > 0:
            await self._hear(left_s)

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
            self._window.forget()
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
        if self._lost_life and self._lost_life.is_known_by(progress.streams, self._window.last):
            self._interrupt(f"{progress.consumer} is ahead of us")
        if origin(progress.session) != self._origin:
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

    def _named(self) -> str:
        """The run. Signals are named after it: a new one must never have been there before."""
        if self._settings.session:
            return self._settings.session
        return self._resume.session if self._resume else f"run-{int(time())}"

    def _write_down(self) -> None:
        if self._settings.state_dir and (self._lost_life is None or self._began):
            write(self._settings.state_dir / _RESUME, self._resume_record())
        if self._settings.report:
            write(self._settings.report, self.report())

    def _resume_record(self) -> Resume:
        files = tuple(str(path) for path in self._settings.files)
        return Resume.of(self._window, self._origin, self._restarts, files)

    def report(self) -> Report:
        return Report.of(
            self._window,
            session=self.session,
            sent_again=self._sent_again,
            restarts=self._restarts,
            bad_rows=dict(self._bad_rows),
            ended=self._ended,
        )
