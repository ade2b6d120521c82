"""Event objects, for `kubectl describe`: one for each thing that is said of a strategy.

Said again within minutes, the same Event counts up, and is written at most once in a while. Nobody
waits for them: what cannot be told in time is counted and dropped.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from strategy_operator.actions import Event
from strategy_operator.cluster import EVENT, STRATEGY, Cluster, No, Refused
from strategy_operator.metrics import Counts

_MOST_WAITING = 500
_SAME_S = 600.0  # said again after that, it is another Event
_AGAIN_S = 30.0  # the same Event is written at most so often
_COMPONENT = "stratops-operator"

log = structlog.get_logger()


@dataclass(slots=True)
class _Series:
    name: str
    first: str
    count: int
    said_at: float
    written_at: float


@dataclass(frozen=True, slots=True)
class _Said:
    strategy: Mapping[str, str]  # namespace, name, uid
    event: Event
    at: str
    heard_at: float


class Events:
    def __init__(
        self,
        cluster: Cluster,
        counts: Counts,
        identity: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._counts = counts
        self._identity = identity
        self._monotonic = monotonic
        self._waiting: asyncio.Queue[_Said] = asyncio.Queue(_MOST_WAITING)
        self._series: dict[str, _Series] = {}

    def say(self, metadata: Mapping[str, Any], event: Event) -> None:
        strategy = {name: str(metadata[name]) for name in ("namespace", "name", "uid")}
        said = _Said(strategy, event, _now(), self._monotonic())
        try:
            self._waiting.put_nowait(said)
        except asyncio.QueueFull:
            self._counts.events_dropped += 1

    async def run(self) -> None:
        while True:
            said = await self._waiting.get()
            try:
                await self._write(said)
            except Refused as refused:
                self._counts.events_dropped += 1
                log.debug("event_not_written", why=str(refused))

    async def _write(self, said: _Said) -> None:
        digest = _digest(said)
        series = self._series.get(digest)
        if series is None or said.heard_at - series.said_at > _SAME_S:
            await self._begin(digest, said)
            return
        series.count += 1
        series.said_at = said.heard_at
        self._series[digest] = self._series.pop(digest)  # the newest, now
        if said.heard_at - series.written_at >= _AGAIN_S:
            series.written_at = said.heard_at
            patch = {"count": series.count, "lastTimestamp": said.at}
            await self._cluster.merge(EVENT, said.strategy["namespace"], series.name, patch)
            self._counts.wrote(EVENT.kind, "patch")

    async def _begin(self, digest: str, said: _Said) -> None:
        name = f"{said.strategy['name']}.{digest}{int(said.heard_at * 1e3) & 0xFFFFFFFF:08x}"
        self._series[digest] = _Series(name, said.at, 1, said.heard_at, said.heard_at)
        self._forget(said.heard_at)
        try:
            await self._cluster.post(EVENT, self._manifest(name, said))
            self._counts.wrote(EVENT.kind, "create")
        except Refused as refused:
            if refused.no is not No.CONFLICT:
                del self._series[digest]
                raise

    def _forget(self, now: float) -> None:
        """Events of which nothing was heard for long; the oldest come first."""
        for digest, series in tuple(self._series.items()):
            if now - series.said_at <= _SAME_S:
                return
            del self._series[digest]

    def _manifest(self, name: str, said: _Said) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": said.strategy["namespace"]},
            "involvedObject": {"apiVersion": STRATEGY.api, "kind": STRATEGY.kind, **said.strategy},
            "type": "Warning" if said.event.warning else "Normal",
            "reason": said.event.reason,
            "message": said.event.message,
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._identity,
            "firstTimestamp": said.at,
            "lastTimestamp": said.at,
            "count": 1,
        }


def _digest(said: _Said) -> str:
    words = (said.strategy["uid"], said.event.reason, said.event.message, said.event.warning)
    return hashlib.sha256(repr(words).encode()).hexdigest()[:8]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
