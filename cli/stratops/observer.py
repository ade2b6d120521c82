"""What `up` sees of its desk: the gateway's answer twice a second, the feed's counters, memory."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stratops.notices import Kind, Notices
from stratops.rollouts import Runner
from stratops.supervisor import Child
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable

POLL_S = 0.25
RATE_OVER_S = 3.0
AWAY_S = 3.0  # the gateway does not answer: a problem worth a line

# A runner that the gateway had and has no more, while its process lives and the gateway answers.
LOST_S = 1.0
# One that never came, or did not come back to a restarted gateway.
ABSENT_S = 20.0


class Observer:
    """Run by its own task; `on_desk` is told each answer."""

    def __init__(
        self,
        gateway: GatewayClient,
        feed_report: Path,
        notices: Notices,
        on_desk: Callable[[pb.Desk], None],
    ) -> None:
        self.desk: pb.Desk | None = None
        self.answered_at = 0.0  # monotonic
        self.answering_since = 0.0
        self._gateway = gateway
        self._feed_report = feed_report
        self._notices = notices
        self._on_desk = on_desk
        self._received: deque[tuple[float, int]] = deque(maxlen=int(RATE_OVER_S / POLL_S))

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> pb.Desk | None:
        """Asks once; None if the gateway does not answer."""
        try:
            desk = await self._gateway.get_desk()
        except GatewayUnavailable:
            self.answering_since = 0.0
            self._say_away()
            return None
        except GatewayRefused as refusal:
            self._notices.stands("gateway", str(refusal))
            return None
        self._take(desk)
        return desk

    @property
    def rate(self) -> float:
        """Messages of the feed a second, as the gateway counts them."""
        if len(self._received) < 2:
            return 0.0
        (then, before), (now, after) = self._received[0], self._received[-1]
        return max(after - before, 0) / (now - then)

    def feed(self) -> Mapping[str, Any]:
        """The replayer's own counters; empty while it has written none."""
        with contextlib.suppress(OSError, ValueError):
            report = json.loads(self._feed_report.read_text())
            return report if isinstance(report, dict) else {}
        return {}

    def _take(self, desk: pb.Desk) -> None:
        now = time.monotonic()
        self._notices.solved("gateway")
        self._note_halt(desk.halted)
        self.desk, self.answered_at = desk, now
        self.answering_since = self.answering_since or now
        self._received.append((now, desk.feed.received))
        self._on_desk(desk)

    def _note_halt(self, halted: str) -> None:
        before = self.desk.halted if self.desk else ""
        if halted and halted != before:
            self._notices.say(Kind.HALTED, "desk", halted)
        if before and not halted:
            self._notices.say(Kind.RESUMED, "desk", "orders leave again")

    def _say_away(self) -> None:
        if self.answered_at and time.monotonic() - self.answered_at > AWAY_S:
            self._notices.stands("gateway", "the risk gateway does not answer")


def end_unhealthy(
    runners: Iterable[Runner], answering_since: float, notices: Notices, answered_at: float
) -> None:
    """Kills, to be started again, what outgrew its memory or makes no progress.

    `answering_since` is when the gateway began to answer (monotonic), 0 while it does not;
    `answered_at` when it last did. By its answers, not by the clock: a gateway that answers late,
    or a machine that stood still, is no runner's fault.
    """
    for runner in runners:
        if runner.child is None or not runner.alive:
            continue
        excess = _excess(runner.child)
        if excess:
            notices.say(Kind.MEMORY_LIMIT, runner.strategy.ref, excess)
            runner.child.kill(f"memory_limit: {excess}")
        elif answering_since and _is_lost(runner, answering_since, answered_at):
            why = f"no_progress: the gateway has not heard of {runner.instance}, its process lives"
            notices.say(Kind.NO_PROGRESS, runner.strategy.ref, why)
            runner.child.kill(why)


def _excess(child: Child) -> str:
    process = child.process
    if process is None or not process.command.rss_bytes:
        return ""
    held, allowed = process.rss_bytes(), process.command.rss_bytes
    return f"held {held >> 20} MiB of {allowed >> 20} MiB" if held > allowed else ""


def _is_lost(runner: Runner, answering_since: float, answered_at: float) -> bool:
    process = runner.child.process if runner.child else None
    if process is None:
        return False
    if runner.connected_at is not None and runner.connected_at > answering_since:
        return answered_at - runner.connected_at > LOST_S
    return answered_at - max(answering_since, process.started) > ABSENT_S
