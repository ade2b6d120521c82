"""One run of a desk: its processes from the first to the last, and what is asked of them.

`Desk.run` starts redis and nats, venue and gateway, the runners, and at last the feed; it ends them
in the opposite order. Everything it starts has an owner here.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from stratops import plan as plans
from stratops.aside import aside
from stratops.crew import Crew, all_stopped
from stratops.ending import at_rest, compared
from stratops.folder import DeskFolder, Running
from stratops.interruption import unless
from stratops.manifests import Checked, CheckedStrategy
from stratops.notices import Kind, Notices
from stratops.observer import Observer, end_unhealthy
from stratops.plan import DeskPlan
from stratops.report import Document, Seen, document
from stratops.rollouts import Rollouts
from stratops.screen import View
from stratops.seats import RunnerSeats
from stratops.venue_client import venue_answers
from stratops.watch import POLL_S, ManifestWatch
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import (
    GatewayClient,
    GatewayRefused,
    GatewayUnavailable,
)

QUIET_S = 20.0  # after the end of a replay, for what is under way
HURRIED_QUIET_S = 1.2  # the same, when the data was cut off
STOP_S = 2.5  # for all processes to end, SIGKILL included
STEP_S = 0.05
_ANSWER_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends by itself."""

    seconds: float | None = None
    at_end_of_replay: bool = False


class Desk:
    """Everything it starts belongs to the task group that is handed in, and is ended by `run`."""

    def __init__(
        self,
        plan: DeskPlan,
        folder: DeskFolder,
        notices: Notices,
        environ: Mapping[str, str],
        gateway: GatewayClient,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._notices = notices
        self._environ = environ
        self._gateway = gateway
        self._tasks = tasks
        self._loops: list[asyncio.Task[None]] = []
        self._crew = Crew(tasks, folder.logs, notices)
        self._seats = RunnerSeats(plan, folder, self._crew, environ)
        self._rollouts = Rollouts(gateway, self._seats, notices)
        self._observer = Observer(gateway, folder.feed_report, notices, self._rollouts.observe)
        self._began = time.monotonic()
        self._final: pb.Desk | None = None
        self._ending = False

    async def run(
        self, checked: Checked, watch: ManifestWatch, limits: Limits, stop: asyncio.Event
    ) -> Document:
        """Until `limits` or `stop` end it; answers with the report. Raises StartFailed."""
        try:
            if await unless(stop, self._start(checked, watch)):
                await unless(stop, self._last(limits))
                await self._end(stop)
        finally:
            for task in self._loops:
                task.cancel()
            await self._crew.stop(STOP_S)
        return self._report()

    def view(self) -> View:
        observer = self._observer
        return View(
            session=self._plan.session,
            up_s=time.monotonic() - self._began,
            desk=observer.desk,
            rate=observer.rate,
            feed=observer.feed(),
            restarts=dict(self._crew.restarts),
            notices=self._notices.all,
            problems=self._notices.problems,
            starting=self._rollouts.starting(observer.desk),
            ending=self._ending,
        )

    def kill(self) -> None:
        """Ends all processes now; `run` ends as it can."""
        self._crew.kill()

    # ---- Start

    async def _start(self, checked: Checked, watch: ManifestWatch) -> None:
        await self._start_servers()
        self._write_policies(checked)
        await self._start_core()
        self._folder.announce(_running(self._plan))
        self._folder.forget_specs()
        known = await self._begin_term()
        self._rollouts.want(_active(checked))
        self._rollouts.forget_others(known)
        loops = (self._rollouts.run(), self._observer.run(), self._tend(), self._follow(watch))
        self._loops = [self._tasks.create_task(loop) for loop in loops]
        await self._rollouts.settled()
        if not self._plan.feed_url:
            await self._start_feed(_active(checked))

    async def _start_servers(self) -> None:
        self._folder.part("redis")
        self._crew.keep_told(plans.nats(self._plan, self._environ))
        if not self._plan.feed_url:
            self._crew.keep_told(plans.redis(self._plan, self._environ))
            await self._crew.answers("redis", self._redis_answers)
        await self._crew.answers("nats", self._nats_answers)

    async def _redis_answers(self) -> bool:
        process = self._crew.children["redis"].process
        pid = process.pid if process else 0
        return await _says(self._plan.ports.redis, f"process_id:{pid}\r", "INFO server\r\n")

    async def _nats_answers(self) -> bool:
        return await _says(self._plan.ports.nats, f'"{self._plan.nats_name}"')

    async def _start_core(self) -> None:
        for command in (plans.venue, plans.gateway):
            child = self._crew.keep_told(command(self._plan, self._environ))
            self._folder.part(child.name)
        await self._crew.answers("venue", partial(venue_answers, self._plan.venue, 1.0))
        await self._crew.answers("gateway", self._gateway_answers)

    async def _start_feed(self, strategies: Iterable[CheckedStrategy]) -> None:
        self._folder.part("feed")
        self._folder.feed_report.unlink(missing_ok=True)  # an earlier run's
        runners = tuple(plans.consumer(one.ref, one.revision) for one in strategies)
        self._crew.keep_told(plans.feed(self._plan, self._environ, runners))
        await self._crew.answers("feed", self._feed_reports)

    async def _feed_reports(self) -> bool:
        return bool(self._observer.feed())

    async def _gateway_answers(self) -> bool:
        try:
            await self._gateway.get_desk(timeout_s=1.0)
        except GatewayUnavailable:
            return False
        return True

    async def _begin_term(self) -> list[str]:
        """Takes charge, and answers with the strategies that the gateway already wants."""
        await self._gateway.begin_term(f"stratops up, process {os.getpid()}")
        desk = await self._gateway.get_desk()
        return [one.strategy for one in desk.strategies if one.wanted_revision]

    # ---- While it runs

    async def _last(self, limits: Limits) -> None:
        """Returns when the run is over by itself; what it took to start is none of its time."""
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        while deadline is None or time.monotonic() < deadline:
            if limits.at_end_of_replay and self._observer.feed().get("ended"):
                return
            await asyncio.sleep(STEP_S)

    async def _tend(self) -> None:
        while True:
            since, last = self._observer.answering_since, self._observer.answered_at
            end_unhealthy(self._rollouts.runners, since, self._notices, last)
            self._crew.bound_logs()
            await asyncio.sleep(POLL_S)

    async def _follow(self, watch: ManifestWatch) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            # In a thread: it loads an author's code, which may hang for seconds.
            checked = await aside(watch.poll)
            if checked is not None:
                self._take(checked)

    def _take(self, checked: Checked) -> None:
        """A valid set of manifests becomes what is wanted; an invalid one only a problem."""
        if checked.problems:
            text = "\n".join(str(problem) for problem in checked.problems)
            if self._notices.problems.get("manifests") != text:
                self._notices.say(Kind.INVALID, "manifests", text)
                self._notices.stands("manifests", text)
            return
        self._notices.solved("manifests")
        self._write_policies(checked)
        self._rollouts.want(_active(checked))

    def _write_policies(self, checked: Checked) -> None:
        specs = {each.metadata.name: each.spec.as_written() for each in checked.policies}
        self._folder.write_policies(plans.POLICIES, specs)

    # ---- End

    async def _end(self, stop: asyncio.Event) -> None:
        """Lets what is under way come to rest, and compares ledger and venue."""
        self._ending = True
        if not self._observer.feed().get("ended"):
            await self._cut_the_data()
        elif await unless(stop, self._settle(QUIET_S)):
            return
        await self._settle(HURRIED_QUIET_S)

    async def _settle(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        with contextlib.suppress(GatewayUnavailable, GatewayRefused):
            self._final = await at_rest(self._gateway, deadline)
            self._final = await compared(self._gateway, deadline)

    async def _cut_the_data(self) -> None:
        """No more ticks, so that what is counted stands still."""
        feed = self._crew.children.get("feed")
        if feed is not None:
            await feed.stop(0.4)
        else:
            await all_stopped((runner.child for runner in self._rollouts.runners), 0.4)

    def _report(self) -> Document:
        return document(
            Seen(
                session=self._plan.session,
                desk=self._final or self._observer.desk,
                feed=self._observer.feed(),
                symbols=self._seats.symbols,
                restarts=self._crew.restarts,
                notices=self._notices.all,
                problems=self._notices.problems,
            )
        )


def _running(plan: DeskPlan) -> Running:
    return Running(
        pid=os.getpid(),
        session=plan.session,
        gateway=plan.gateway,
        venue=plan.venue,
        redis=plan.redis_url,
        nats=plan.nats_url,
        operator_token=plan.operator_token,
    )


def _active(checked: Checked) -> list[CheckedStrategy]:
    return [strategy for strategy in checked.strategies if not strategy.suspended]


async def _says(port: int, words: str, question: str = "") -> bool:
    """Whether who listens there answers with these words, and so is our own child."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(question.encode())
                await reader.readuntil(words.encode())
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return False
    return True
