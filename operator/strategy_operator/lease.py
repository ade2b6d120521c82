"""Who of several operators acts: a Lease, renewed every 2 s, taken over after 15 s of silence.

`move` decides, purely; `Leadership` asks the API server. Another holder is judged by when *we* saw
its record change, never by its clock. Whoever could not renew for 10 s stops acting by itself.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

import structlog

from strategy_operator.cluster import LEASE, Cluster, No, Refused

DURATION_S = 15
GIVE_UP_S = 10.0
RETRY_S = 2.0
NAME = "stratops-operator"
# Whoever uninstalls takes the Lease under this name: operators that see that happen act no more.
UNINSTALLER = "uninstall"
_ATTEMPT_S = 4.0
_RETIRED_S = 120.0  # by then whatever was uninstalled is gone, or it was not uninstalled
_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # exactly six digits, else the API server refuses it

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Record:
    """What the Lease says, and of which version."""

    holder: str = ""
    duration_s: int = DURATION_S
    transitions: int = 0
    acquired: str = ""
    renewed: str = ""
    version: str = ""  # empty: there is no Lease yet

    @classmethod
    def of(cls, lease: Mapping[str, Any]) -> "Record":
        spec = lease.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration_s=spec.get("leaseDurationSeconds") or DURATION_S,
            transitions=spec.get("leaseTransitions") or 0,
            acquired=spec.get("acquireTime") or "",
            renewed=spec.get("renewTime") or "",
            version=lease["metadata"]["resourceVersion"],
        )

    def manifest(self, namespace: str) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration_s,
            "leaseTransitions": self.transitions,
        }
        if self.acquired:
            spec["acquireTime"] = self.acquired
        if self.renewed:
            spec["renewTime"] = self.renewed
        metadata = {"name": NAME, "namespace": namespace}
        if self.version:
            metadata["resourceVersion"] = self.version
        return {
            "apiVersion": LEASE.api,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": spec,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    record: Record
    at: float  # when it became so, on our own monotonic clock

    def now_is(self, record: Record, now: float) -> "Seen":
        return self if record == self.record else Seen(record, now)


class Move(Enum):
    TAKE = auto()
    RENEW = auto()
    WAIT = auto()
    RETIRE = auto()


def move(identity: str, seen: Seen, now: float, *, before: str = "") -> Move:
    """What to do about the Lease; `before` is who held it when this operator looked last."""
    holder = seen.record.holder
    if holder == identity:
        return Move.RENEW
    if holder == UNINSTALLER and before not in ("", UNINSTALLER):
        return Move.RETIRE
    expired = now - seen.at >= seen.record.duration_s
    return Move.TAKE if not holder or expired else Move.WAIT


def taken(record: Record, identity: str, wall: datetime) -> Record:
    text = wall.strftime(_MICRO_TIME)
    changes = 0 if not record.version or record.holder == identity else 1
    return replace(
        record,
        holder=identity,
        duration_s=DURATION_S,
        transitions=record.transitions + changes,
        acquired=record.acquired if record.holder == identity and record.acquired else text,
        renewed=text,
    )


def released(record: Record) -> Record:
    return replace(record, holder="", duration_s=1)


class Leadership:
    """`leading` is asked before each side effect; it turns false by itself when time runs out."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        identity: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._monotonic = monotonic
        self._seen: Seen | None = None
        self._held_until = 0.0
        self._contend_from = 0.0
        self._complaint = ""
        self._stale = False  # what was seen is not what is there
        self._told = False
        self._changed = asyncio.Condition()
        self._looking = asyncio.Lock()

    @property
    def leading(self) -> bool:
        return self._monotonic() < self._held_until

    @property
    def known(self) -> bool:
        """Whether it is known who leads."""
        return self._seen is not None

    @property
    def holder(self) -> str:
        return self._seen.record.holder if self._seen is not None else ""

    async def gained(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._told)

    async def lost(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._told)

    async def run(self) -> None:
        while True:
            began = self._monotonic()
            await self.attempt()
            await self._tell()
            left = RETRY_S - (self._monotonic() - began)
            await asyncio.sleep(max(0.2, min(left, self._left())))
            await self._tell()

    def _left(self) -> float:
        """Until leadership ends by itself; the usual pause when there is none."""
        return self._held_until - self._monotonic() if self.leading else RETRY_S

    async def attempt(self) -> None:
        """One look at the Lease, and what follows from it."""
        bound = min(_ATTEMPT_S, self._left()) if self.leading else _ATTEMPT_S
        try:
            async with asyncio.timeout(bound), self._looking:
                await self._look_twice()
                self._complain("")
        except TimeoutError:
            self._complain(f"no answer within {bound:.1f} s")
        except Refused as refused:
            self._stale = True
            self._complain(str(refused))

    def _complain(self, why: str) -> None:
        """Once, not every two seconds."""
        if why and why != self._complaint:
            log.warning("lease_not_renewed" if self.leading else "lease_not_read", why=why)
        self._complaint = why

    async def _look_twice(self) -> None:
        """Where somebody else has just written it, who leads is asked again at once."""
        try:
            await self._look()
        except Refused as refused:
            if refused.no is not No.CONFLICT:
                raise
            self._stale = True
            await self._look()

    async def _look(self) -> None:
        before = self.holder
        if self._seen is None or self._stale or not self.leading:
            self._notice(await self._read())
        assert self._seen is not None
        now = self._monotonic()
        which = move(self._identity, self._seen, now, before=before)
        if which is not Move.RENEW:
            self._held_until = 0.0
        if which is Move.RETIRE:
            self._contend_from = now + _RETIRED_S
        elif which is not Move.WAIT and now >= self._contend_from:
            await self._write(taken(self._seen.record, self._identity, datetime.now(UTC)), now)

    async def _read(self) -> Record:
        try:
            return Record.of(await self._cluster.get(LEASE, self._namespace, NAME))
        except Refused as refused:
            if refused.no is No.NOT_FOUND:
                return Record()
            raise

    async def _write(self, record: Record, asked_at: float) -> None:
        manifest = record.manifest(self._namespace)
        send = self._cluster.put if record.version else self._cluster.post
        self._notice(Record.of(await send(LEASE, manifest)))
        if asked_at >= self._contend_from:  # it may have been released meanwhile
            self._held_until = asked_at + GIVE_UP_S

    def _notice(self, record: Record) -> None:
        self._stale = False
        now = self._monotonic()
        self._seen = self._seen.now_is(record, now) if self._seen else Seen(record, now)

    async def _tell(self) -> None:
        if self.leading == self._told:
            return
        self._told = self.leading
        log.info("leading" if self._told else "not_leading", holder=self.holder)
        async with self._changed:
            self._changed.notify_all()

    # ---- ends

    async def release(self) -> None:
        """For good: stops acting, then says so, and another one need not wait."""
        self._contend_from, self._held_until = math.inf, 0.0
        await self._tell()
        with contextlib.suppress(Refused, TimeoutError):
            async with asyncio.timeout(_ATTEMPT_S), self._looking:
                if self.holder == self._identity and self._seen is not None:
                    manifest = released(self._seen.record).manifest(self._namespace)
                    self._notice(Record.of(await self._cluster.put(LEASE, manifest)))
