"""The public keys a cluster signs ServiceAccount tokens with, and the name it signs under.

Kept on disk, so that tokens can be judged while the API server is down. Fetched anew now and then,
because a key that was withdrawn must not be trusted for ever, and for an id that is not known.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import msgspec
import structlog

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable

REFETCH_S = 5.0  # at most so often for ids that are not known
REFRESH_S = 300.0
ALGORITHM = "RS256"

log = structlog.get_logger()


class InvalidKeys(ValueError):
    """A document that holds no keys to judge by."""


@dataclass(frozen=True, slots=True)
class KeySet:
    issuer: str
    keys: Mapping[str, jwt.PyJWK]  # by id

    @classmethod
    def read(cls, document: Any) -> "KeySet":
        """Of `{"issuer": ..., "keys": [...]}`. Raises InvalidKeys."""
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise InvalidKeys("expected an object with keys")
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or not issuer:
            raise InvalidKeys(f"issuer: {issuer!r}, expected a name")
        keys = dict(filter(None, map(_key, document["keys"])))
        if not keys:
            raise InvalidKeys(f"keys: none for {ALGORITHM}")
        return cls(issuer, keys)


def _key(document: Any) -> tuple[str, jwt.PyJWK] | None:
    """None for what is no RSA key to verify signatures with."""
    if not isinstance(document, dict) or document.get("kty") != "RSA":
        return None
    kid = document.get("kid")
    if not isinstance(kid, str) or document.get("alg", ALGORITHM) != ALGORITHM:
        return None
    try:
        return kid, jwt.PyJWK(document, ALGORITHM)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


class Keys:
    """`run()` it as a task; without, keys are fetched only when they are missed."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Any]],
        path: Path,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` answers the document; raises ApiUnavailable, ApiRefused."""
        self._fetch = fetch
        self._path = path
        self._now = now
        self._fetched_at = -REFETCH_S
        self._fetching = asyncio.Lock()
        self.current = _kept(path)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        if not self._knows(kid):
            async with self._fetching:
                # Whoever waited here may find it fetched; too many must not fetch at all.
                if not self._knows(kid) and self._now() - self._fetched_at >= REFETCH_S:
                    await self._refresh()
        return self.current.keys.get(kid) if self.current else None

    async def run(self) -> None:
        while True:
            async with self._fetching:
                fresh = await self._refresh()
            await asyncio.sleep(REFRESH_S if fresh else REFETCH_S)

    def _knows(self, kid: str) -> bool:
        return self.current is not None and kid in self.current.keys

    async def _refresh(self) -> bool:
        self._fetched_at = self._now()
        try:
            document = await self._fetch()
            self.current = KeySet.read(document)
        except (ApiUnavailable, ApiRefused, InvalidKeys) as error:
            log.warning("keys_not_fetched", error=str(error), kept=self.current is not None)
            return False
        await asyncio.to_thread(_keep, self._path, msgspec.json.encode(document))
        return True


async def fetch_keys(api: ApiServer) -> Any:
    """The document. The issuer is discovery's word; its address of the keys may be for outsiders.

    Raises ApiUnavailable, ApiRefused.
    """
    found = await api.get("/.well-known/openid-configuration")
    keys = await api.get("/openid/v1/jwks")
    return {"issuer": _entry(found, "issuer"), "keys": _entry(keys, "keys")}


def _entry(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _kept(path: Path) -> KeySet | None:
    try:
        return KeySet.read(msgspec.json.decode(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, RecursionError, InvalidKeys) as error:
        log.warning("keys_unreadable", path=str(path), error=str(error))
        return None


def _keep(path: Path, document: bytes) -> None:
    fresh = path.with_suffix(".new")
    try:
        if path.exists() and path.read_bytes() == document:
            return
        with fresh.open("wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:  # they are judged by all the same, until the next start
        log.warning("keys_not_kept", path=str(path), error=str(error))
