"""One runner at work: market data and gateway on one loop, the replica between them.

Everything here runs on that loop, one thing after the other; nothing needs a lock. A strategy that
does not return holds all of it, which the gateway sees: no word of this runner comes any more.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from handover.messages import Alive, Counters, GatewayMessage, Phase, Trouble
from handover.replica import Identity, Replica
from handover.timing import TIMING
from market_data import NO_LINK, Subscription
from strategy_runner.desk import Desk, Gateway
from strategy_runner.exits import Ending, Exit
from strategy_runner.guard import MOST_IN_A_ROW, Fault, resident_bytes
from strategy_runner.histogram import AGE_US, Histogram
from strategy_runner.host import StrategyHost
from strategy_runner.logs import Log
from strategy_runner.session import GatewaySession, NotWanted
from strategy_runner.settings import Settings
from strategy_runner.spec import RunnerSpec

_PROGRESS_MESSAGES = 256  # a replay waits for the slowest: it is told at least this often
_FAULTS = {
    Fault.ERRORS: f"{MOST_IN_A_ROW} messages in a row raised, expected one of them not to",
    Fault.MEMORY: "no memory left, expected it to fit",
    Fault.EXIT: "asked the process to exit, expected it to stay",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    look_s: float = 0.1
    alive_s: float = TIMING.alive  # of silence, until a word that it is there
    alone_s: float = TIMING.alone  # the same, while nobody follows
    count_s: float = 1.0  # between its counters, whatever else it says
    report_s: float = 1.0  # errors of the strategy, and memory
    repeat_s: float = 60.0  # until what lasts is said again
    leave_s: float = 0.5  # for the last batch to be acknowledged


class Runner:
    """`run()` once; `leave()` from a signal. `end` is set when it is to end, before it has."""

    def __init__(
        self,
        settings: Settings,
        spec: RunnerSpec,
        desk: Desk,
        host: StrategyHost,
        log: Log,
        pace: Pace = Pace(),  # frozen
    ) -> None:
        self.host = host
        self.log = log
        self.decided_us = Histogram(AGE_US)
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self.end: asyncio.Future[Ending] = self._loop.create_future()
        self._phase = Phase.SYNC
        self._lost = {"feed": "", "gateway": ""}  # why, as last seen
        self._said_at: dict[str, float] = {}
        self._published = 0
        self._rss_bytes = resident_bytes()
        self._reported: Counter[str] = Counter()
        self.session = GatewaySession(
            desk.gateway,
            on_open=self._opened,
            on_message=self._heard,
            on_closed=self._closed,
        )
        identity = Identity(
            spec.strategy, spec.revision, settings.instance, state_key=spec.state_key
        )
        self.replica = Replica(host, self.session.send, self._barrier, identity)
        self.market = Subscription(
            desk.feed,
            spec.channels,
            on_payload=self.replica.on_payload,
            on_drained=self._drained,
            on_subscribed=self._subscribed,
            on_lost=self._feed_lost,
            consumer=settings.consumer or f"{spec.strategy}@{spec.revision}",
            progress=self._progress,
            symbols=spec.symbols,
            dropped=host.dropped,
        )

    async def run(self) -> Ending:
        """Until released, wanted no more, asked to leave, or stopped for the strategy's errors."""
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(work)
            for work in (self.market.run(), self.session.run(), self._keep_pace())
        ]
        waited: list[asyncio.Future[Any]] = [self.end, *tasks]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not self.end.done():
                self._fail(tasks)
            else:
                await self._last_words(tasks[0])
            return self.end.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.host.close()

    def leave(self) -> None:
        """Decides nothing more; ends when what was decided is acknowledged, or soon anyway."""
        self._finish(Exit.ASKED, "asked to end")

    @property
    def missing(self) -> str:
        """What it waits for; empty when it decides, or follows what another one decides."""
        lacks = []
        if self.replica.phase not in (Phase.ARMED, Phase.FOLLOW):
            lacks.append(f"phase {self.replica.phase}")
        if not self.session.connected:
            lacks.append(f"gateway {self.session.trouble}")
        if not self.market.connected:
            lacks.append(f"feed {self.market.trouble or 'not subscribed yet'}")
        return "; ".join(lacks)

    def counters(self) -> Counters:
        age_ns = self.market.age_ns
        return Counters(
            ticks=self.host.ticks,
            errors=self.host.guard.total,
            dropped=dict(self.host.dropped),
            rss_bytes=self._rss_bytes,
            feed_age_ns=NO_LINK if age_ns is None else age_ns,
            held=self.replica.held,
        )

    # ---- market data

    def _drained(self) -> None:
        if self._phase is Phase.ARMED:
            self.decided_us.add(self.market.read_ns // 1000)
        self.replica.on_drained(self._loop.time())
        self._tell_progress()

    def _subscribed(self, number: int) -> None:
        self.log.info("subscribed", subscription=number)
        self.replica.on_subscribed()
        # Or the desk would take it for one without a feed, and say so, until it is told again.
        self.session.send(Alive(self.counters()))

    def _feed_lost(self, reason: str) -> None:
        self._note_trouble("feed", reason)
        self.replica.on_feed_lost()

    def _barrier(self, reached: Callable[[], None]) -> None:
        self.market.barrier(reached)

    def _progress(self) -> Mapping[str, int] | None:
        return self.replica.progress

    def _tell_progress(self) -> None:
        if self.host.ticks - self._published >= _PROGRESS_MESSAGES:
            self._published = self.host.ticks
            self.market.publish_progress()

    # ---- gateway

    def _opened(self, gateway: Gateway) -> None:
        self.session.send(replace(self.replica.hello(), token=gateway.token))

    def _heard(self, message: GatewayMessage) -> None:
        self.replica.on_message(message)
        self._tell_progress()
        self._note_phase()
        if self.replica.released is not None:
            self._finish(Exit.DONE, f"released: {self.replica.released}")

    def _closed(self, why: str) -> None:
        self._note_trouble("gateway", why)

    def _note_phase(self) -> None:
        if self.replica.phase is not self._phase:
            self._phase = self.replica.phase
            self.log.info("phase", phase=self._phase, epoch=self.replica.epoch)

    # ---- time

    async def _keep_pace(self) -> None:
        counted = reported = 0.0
        while True:
            now = self._loop.time()
            self.replica.tick(now)
            self._note_phase()
            silent_s = now - self.session.spoke_at
            if silent_s >= self._patience_s or now - counted >= self._pace.count_s:
                counted = now
                self.session.send(Alive(self.counters()))
            if now - reported >= self._pace.report_s:
                reported = now
                self._report()
            self._judge_strategy()
            await asyncio.sleep(self._pace.look_s)

    @property
    def _patience_s(self) -> float:
        return self._pace.alone_s if self.replica.is_alone else self._pace.alive_s

    def _report(self) -> None:
        self._rss_bytes = resident_bytes()
        self._note_trouble("feed", "" if self.market.connected else self.market.trouble)
        if self.session.connected:
            self._note_trouble("gateway", "")
        errors = self.host.guard.errors
        if errors != self._reported:
            self._reported = Counter(errors)
            self.log.error("strategy_errors", count=dict(errors), last=self.host.guard.last)

    def _note_trouble(self, what: str, why: str) -> None:
        """Said when it is news, and once a minute while it lasts: an attempt each second is not."""
        news, self._lost[what] = why != self._lost[what], why
        now = self._loop.time()
        due = news or now - self._said_at.get(what, now) >= self._pace.repeat_s
        if why and due and not self.end.done():
            self._said_at[what] = now
            self.log.warning(f"{what}_lost", reason=why)

    def _judge_strategy(self) -> None:
        guard = self.host.guard
        if guard.fault is not None:
            self.session.send(Trouble(guard.fault))
            why = f"strategy: {guard.fault}: {_FAULTS[guard.fault]}; the last: {guard.last}"
            self._finish(Exit.STRATEGY, why)

    # ---- the end

    def _finish(self, code: Exit, reason: str) -> None:
        if not self.end.done():
            self.end.set_result(Ending(code, reason))
            self.log.info("ending", reason=reason, exit=int(code), ticks=self.host.ticks)

    def _fail(self, tasks: list[asyncio.Task[None]]) -> None:
        """One of the tasks ended by itself: it raised."""
        error = next(task.exception() for task in tasks if task.done())
        assert error is not None
        if not isinstance(error, NotWanted):
            raise error
        self._finish(Exit.DONE, f"released: {error}")

    async def _last_words(self, market: asyncio.Task[None]) -> None:
        """Lets the gateway know where the deciding stopped, and waits until it does."""
        market.cancel()
        await asyncio.wait({market})
        self.replica.on_feed_lost()
        deadline = self._loop.time() + self._pace.leave_s
        while self._unacknowledged and self._loop.time() < deadline:
            self.replica.tick(self._loop.time())
            await asyncio.sleep(self._pace.look_s / 4)
        await self.session.finish(deadline - self._loop.time())

    @property
    def _unacknowledged(self) -> bool:
        at_work = self.session.connected and self.end.result().code is Exit.ASKED
        decided = self.replica.phase in (Phase.ARMED, Phase.STOPPED)
        return at_work and decided and self.replica.progress != self.host.sequences()
