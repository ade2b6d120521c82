"""Which of a desk's gateways is called: the one that leads.

Replicas share a journal. One leads; each of the others answers every call with `NOT_LEADER` and the
leader's address, where it knows one. Only addresses that a caller was given are ever called: no
answer can send its token anywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import grpc
import grpc.aio

# Of a refusal's trailing metadata: which of the gateway's own it is, and who leads instead.
REFUSAL_KEY, LEADER_KEY = "stratops-refusal", "stratops-leader"
NOT_LEADER = "not-leader"
NOT_WANTED = "not-wanted"  # of a runner: what it runs was replaced, or withdrawn
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Replicas:
    addresses: Sequence[str]
    called: str

    @classmethod
    def of(cls, text: str, called: str = "") -> Self:
        """`host:port`, or several with commas. `called` is kept where it is one of them."""
        addresses = tuple(part.strip() for part in text.split(","))
        return cls(addresses, called if called in addresses else addresses[0])

    def after(self, error: grpc.aio.AioRpcError) -> Self:
        """Whom to call next."""
        leader = leader_named_by(error)
        if leader is None:
            return self.next() if error.code() in _SILENT else self
        return replace(self, called=leader) if leader in self.addresses else self

    def next(self) -> Self:
        following = (self.addresses.index(self.called) + 1) % len(self.addresses)
        return replace(self, called=self.addresses[following])


def leader_named_by(error: grpc.aio.AioRpcError) -> str | None:
    """None: it was no standby that answered. Empty: the standby knows of no leader."""
    said = dict(error.trailing_metadata() or ())
    return str(said.get(LEADER_KEY, "")) if said.get(REFUSAL_KEY) == NOT_LEADER else None


def is_wanted_no_more(error: grpc.aio.AioRpcError) -> bool:
    """Of a runner; a gateway of before says it by its status only, which may mean other things."""
    return dict(error.trailing_metadata() or ()).get(REFUSAL_KEY) == NOT_WANTED


def is_address(text: str) -> bool:
    """`host:port`, or several with commas."""
    return all(_is_one(part.strip()) for part in text.split(","))


def _is_one(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and int(port) <= 65_535
