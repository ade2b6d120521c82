"""The tokens that the operator shows: to each desk's gateway one that no other gateway takes.

In the namespace of its one desk the kubelet writes it. An operator of many desks asks the API
server for one each, of its own account.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from strategy_operator import names
from strategy_operator.cluster import Cluster, No, Refused
from stratops_wire.audience import audience_of

LIFE_S = 600  # the least that an API server gives
_AGAIN_S = 2.0
_Now = Callable[[], float]

log = structlog.get_logger()


class NoToken(OSError):
    """None was given yet; waiting helps."""


class Token(Protocol):
    """For one gateway."""

    def shown(self) -> str:
        """Raises OSError."""
        ...

    async def refresh(self) -> None:
        """Raises Refused."""
        ...

    async def keep(self) -> None:
        """A fresh one at any time, as long as it runs."""
        ...


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The kubelet's, for every desk that is asked for: there is one."""

    path: Path

    def shown(self) -> str:
        return self.path.read_text().strip()

    async def refresh(self) -> None: ...

    async def keep(self) -> None: ...


class AskedToken:
    def __init__(
        self, cluster: Cluster, own_namespace: str, desk: str, now: _Now = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._own_namespace = own_namespace
        self._desk = desk
        self._now = now
        self._token, self._until = "", 0.0

    def shown(self) -> str:
        if not self._token or self._now() >= self._until:
            raise NoToken(f"the API server gave none for {audience_of(self._desk)} yet")
        return self._token

    async def refresh(self) -> None:
        asked_at = self._now()
        answer = await self._cluster.asked_token(
            self._own_namespace, names.OPERATOR_ACCOUNT, audience_of(self._desk), LIFE_S
        )
        self._token, self._until = _token(answer), asked_at + LIFE_S

    async def keep(self) -> None:
        while True:
            wait_s = LIFE_S / 2 if await self._refreshed() else _AGAIN_S
            await asyncio.sleep(wait_s)

    async def _refreshed(self) -> bool:
        try:
            await self.refresh()
        except Refused as refused:
            log.warning("token_not_given", desk=self._desk, why=str(refused))
            return False
        return True


class Tokens:
    """By desk."""

    def __init__(self, file: Path | None, cluster: Cluster | None, own_namespace: str) -> None:
        """Without a file they are asked for."""
        self._file, self._cluster, self._own_namespace = file, cluster, own_namespace

    def of(self, desk: str) -> Token:
        if self._file is not None:
            return TokenFile(self._file)
        assert self._cluster is not None
        return AskedToken(self._cluster, self._own_namespace, desk)


def _token(answer: dict[str, Any]) -> str:
    """Raises Refused."""
    match answer:
        case {"status": {"token": str(token)}} if token:
            return token
    raise Refused(No.UNREACHABLE, "API server: an answer without a token")
