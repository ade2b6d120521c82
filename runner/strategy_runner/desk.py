"""Where gateway and feed are, and what to show them: fixed, or in a folder that may change.

The folder of a pod is a projected volume: kubelet writes a rotated token, a new CA, another address
there while we run. It is read at each connection, so that the next one is right.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stratops_wire.leader import is_address


class DeskUnreadable(ValueError):
    """A file of the desk's folder that cannot be used now; names it, and what was expected."""


@dataclass(frozen=True, slots=True)
class Gateway:
    address: str  # of replicas: each, with commas
    token: str = field(repr=False)
    ca: bytes | None = field(default=None, repr=False)  # PEM; None: no TLS


class Desk(Protocol):
    def gateway(self) -> Gateway: ...

    def feed(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FixedDesk:
    address: str
    token: str = field(repr=False)
    redis_url: str

    def gateway(self) -> Gateway:
        return Gateway(self.address, self.token)

    def feed(self) -> str:
        return self.redis_url


class DeskFolder:
    """Files `gateway` (host:port), `token`, `ca.crt` if it speaks TLS, and `feed` (a Redis)."""

    def __init__(self, folder: Path, redis_url: str = "") -> None:
        """`redis_url`: the strategy's own feed, in place of the desk's."""
        self._folder = folder
        self._redis_url = redis_url
        self._tls = False

    def gateway(self) -> Gateway:
        """Raises DeskUnreadable."""
        address = self._text("gateway", "host:port")
        if not is_address(address):
            raise DeskUnreadable(f"{self._folder / 'gateway'}: {address!r}, expected host:port")
        return Gateway(address, self._text("token", "a token"), self._ca())

    def feed(self) -> str:
        """Raises DeskUnreadable."""
        return self._redis_url or self._text("feed", "redis://host:port")

    def _ca(self) -> bytes | None:
        path = self._folder / "ca.crt"
        if not path.exists() and not self._tls:
            return None
        self._tls = True  # from now on never without: the token is not for everyone
        return self._text("ca.crt", "a certificate in PEM").encode()

    def _text(self, name: str, expected: str) -> str:
        path = self._folder / name
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "no text"
            raise DeskUnreadable(f"{path}: {what}, expected {expected}") from error
        if not text:
            raise DeskUnreadable(f"{path}: empty, expected {expected}")
        return text
