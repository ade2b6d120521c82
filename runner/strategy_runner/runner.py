"""One runner at work: market data and gateway on one loop, the replica between them.

Everything here runs on that loop, one thing after the other; nothing needs a lock. A strategy that
does not return holds all of it, which the gateway sees: no word of this runner comes any more.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handover.messages import Alive, Counters, GatewayMessage, Phase, Trouble
from handover.replica import Identity, Replica
from market_data import Subscription
from strategy_runner.exits import Exit
from strategy_runner.guard import resident_bytes
from strategy_runner.host import StrategyHost
from strategy_runner.logs import Log
from strategy_runner.session import GatewaySession, Refused
from strategy_runner.settings import Settings
from strategy_runner.spec import RunnerSpec

_PROGRESS_MESSAGES = 256  # a replay waits for the slowest: it is told at least this often


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    look_s: float = 0.02
    alive_s: float = 0.05
    report_s: float = 1.0  # errors of the strategy, and memory
    leave_s: float = 0.5  # for the last batch to be acknowledged


class Runner:
    """`run()` once; `leave()` from a signal."""

    def __init__(
        self,
        settings: Settings,
        spec: RunnerSpec,
        host: StrategyHost,
        log: Log,
        pace: Pace = Pace(),  # frozen
    ) -> None:
        self.host = host
        self.log = log
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[Exit] = self._loop.create_future()
        self._phase = Phase.SYNC
        self._published = 0
        self._rss_bytes = resident_bytes()
        self._reported: Counter[str] = Counter()
        self.session = GatewaySession(
            settings.gateway,
            on_open=self._opened,
            on_message=self._heard,
            on_closed=self._closed,
        )
        identity = Identity(
            spec.strategy, spec.revision, settings.instance, settings.token, spec.state_key
        )
        self.replica = Replica(host, self.session.send, self._barrier, identity)
        self.market = Subscription(
            spec.redis_url,
            spec.channels,
            on_payload=self.replica.on_payload,
            on_drained=self._drained,
            on_subscribed=self._subscribed,
            on_lost=self._lost,
            consumer=settings.consumer or f"{spec.strategy}@{spec.revision}",
            progress=self._progress,
            symbols=spec.symbols,
            dropped=host.dropped,
        )

    async def run(self) -> Exit:
        """Until released, asked to leave, refused, or stopped for the strategy's errors."""
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(work)
            for work in (self.market.run(), self.session.run(), self._keep_pace())
        ]
        waited: list[asyncio.Future[Any]] = [self._end, *tasks]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not self._end.done():
                return self._failed(tasks)
            await self._last_words(tasks[0])
            return self._end.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.host.close()

    def leave(self) -> None:
        """Decides nothing more; ends when what was decided is acknowledged, or soon anyway."""
        self._finish(Exit.DONE, "asked to end")

    @property
    def ready(self) -> bool:
        """It decides, or follows what another one decides."""
        at_work = self.replica.phase in (Phase.ARMED, Phase.FOLLOW)
        return at_work and self.session.connected and self.market.connected

    def counters(self) -> Counters:
        return Counters(
            ticks=self.host.ticks,
            errors=self.host.guard.total,
            dropped=dict(self.host.dropped),
            rss_bytes=self._rss_bytes,
            feed_age_ns=self.market.age_ns or 0,
            held=self.replica.held,
        )

    # ---- market data

    def _drained(self) -> None:
        self.replica.on_drained(self._loop.time())
        self._tell_progress()

    def _subscribed(self, number: int) -> None:
        self.log.info("subscribed", subscription=number)
        self.replica.on_subscribed()

    def _lost(self, reason: str) -> None:
        self.log.warning("feed_lost", reason=reason)
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

    def _opened(self) -> None:
        self.session.send(self.replica.hello())

    def _heard(self, message: GatewayMessage) -> None:
        self.replica.on_message(message)
        self._tell_progress()
        self._note_phase()
        if self.replica.released is not None:
            self._finish(Exit.DONE, f"released: {self.replica.released}")

    def _closed(self, why: str) -> None:
        if not self._end.done():
            self.log.warning("gateway_lost", reason=why)

    def _note_phase(self) -> None:
        if self.replica.phase is not self._phase:
            self._phase = self.replica.phase
            self.log.info("phase", phase=self._phase, epoch=self.replica.epoch)

    # ---- time

    async def _keep_pace(self) -> None:
        alive = reported = 0.0
        while True:
            now = self._loop.time()
            self.replica.tick(now)
            self._note_phase()
            if now - alive >= self._pace.alive_s:
                alive = now
                self.session.send(Alive(self.counters()))
            if now - reported >= self._pace.report_s:
                reported = now
                self._report()
            self._judge_strategy()
            await asyncio.sleep(self._pace.look_s)

    def _report(self) -> None:
        self._rss_bytes = resident_bytes()
        errors = self.host.guard.errors
        if errors != self._reported:
            self._reported = Counter(errors)
            self.log.error("strategy_errors", count=dict(errors), last=self.host.guard.last)

    def _judge_strategy(self) -> None:
        fault = self.host.guard.fault
        if fault is not None:
            self.session.send(Trouble(fault))
            self._finish(Exit.STRATEGY, f"{fault}: {self.host.guard.last}")

    # ---- the end

    def _finish(self, code: Exit, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(code)
            self.log.info("ending", reason=reason, exit=int(code), ticks=self.host.ticks)

    def _failed(self, tasks: list[asyncio.Task[None]]) -> Exit:
        """One of the tasks ended by itself: it raised."""
        error = next(task.exception() for task in tasks if task.done())
        assert error is not None
        if not isinstance(error, Refused):
            raise error
        self.log.error("refused", reason=str(error))
        return Exit.REFUSED

    async def _last_words(self, market: asyncio.Task[None]) -> None:
        """Lets the gateway know where the deciding stopped, and waits until it does."""
        market.cancel()
        await asyncio.wait({market})
        self.replica.on_feed_lost()
        deadline = self._loop.time() + self._pace.leave_s
        while self._unacknowledged and self._loop.time() < deadline:
            self.replica.tick(self._loop.time())
            await asyncio.sleep(self._pace.look_s / 4)

    @property
    def _unacknowledged(self) -> bool:
        at_work = self.session.connected and self._end.result() is Exit.DONE
        decided = self.replica.phase in (Phase.ARMED, Phase.STOPPED)
        return at_work and decided and self.replica.progress != self.host.sequences()
