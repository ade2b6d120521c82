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
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable

REFETCH_S = 5.0  # at most so often for ids that are not known
REFRESH_S = 300.0
# By kind of key: the one algorithm that its signatures may have. What a token says it was signed
# with is compared with it, and chooses nothing.
ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("EC", "P-384"): "ES384"}
_LEAST_RSA_BITS = 2048

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
            raise InvalidKeys(f"keys: none for {', '.join(ALGORITHMS.values())}")
        return cls(issuer, keys)


def _key(document: Any) -> tuple[str, jwt.PyJWK] | None:
    """None for what is no key to verify signatures with."""
    algorithm = _algorithm(document) if isinstance(document, dict) else None
    kid = document.get("kid") if algorithm else None
    if algorithm is None or not isinstance(kid, str):
        return None
    try:
        key = jwt.PyJWK(document, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return (kid, key) if _is_public_and_long(key) else None


def _algorithm(document: Mapping[str, Any]) -> str | None:
    """Of a key's kind; None where the key says that it is for something else."""
    kind, curve = document.get("kty"), document.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    algorithm = ALGORITHMS.get((kind, curve))
    meant = document.get("alg", algorithm), document.get("use", "sig")
    return algorithm if meant == (algorithm, "sig") else None


def _is_public_and_long(key: jwt.PyJWK) -> bool:
    if isinstance(key.key, rsa.RSAPublicKey):
        return key.key.key_size >= _LEAST_RSA_BITS
    return isinstance(key.key, ec.EllipticCurvePublicKey)


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
