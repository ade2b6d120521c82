"""The desks that this operator serves, each with its gateway, while it leads.

A desk is a namespace with the ConfigMap `stratops-desk`; how its gateway proves itself is in
`stratops-gateway-ca`. Both may change at any time. Whoever writes the first names who gets our
token: without the second nobody gets it, unless plain gateways are allowed.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from strategy_operator import names
from strategy_operator.cluster import Refused
from strategy_operator.gateways import Gateway, Ties
from strategy_operator.observed import Desk, GatewayView
from strategy_operator.queue import Key
from strategy_operator.tokens import Token, Tokens
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable

_AGAIN_S = 1.0

log = structlog.get_logger()


class Shelf(Protocol):
    async def fetched(self, key: Key) -> Mapping[str, Any] | None:
        """A ConfigMap; raises Refused."""


@dataclass(frozen=True, slots=True)
class Address:
    gateway: str
    feed: str
    ca: str  # PEM; empty: it speaks plain, where that is allowed


@dataclass(frozen=True, slots=True)
class _Served:
    address: Address
    gateway: Gateway
    task: asyncio.Task[None]


class Desks:
    def __init__(
        self, shelf: Shelf, ties: Ties, tokens: Tokens, identity: str, *, plain: bool
    ) -> None:
        self._shelf = shelf
        self._ties = ties
        self._tokens = tokens
        self._identity = identity
        self._plain = plain
        self._served: dict[str, _Served] = {}
        self._unread: set[str] = set()
        self._unknown: set[str] = set()  # neither served nor read since they changed
        self._faults: list[BaseException] = []
        self._wake = asyncio.Event()

    def desk(self, namespace: str) -> Desk | None:
        served = self._served.get(namespace)
        return Desk(served.address.gateway, served.address.feed) if served else None

    def known(self, namespace: str) -> bool:
        """Whether its desk was read, or there is none to read."""
        return namespace not in self._unknown

    def view(self, key: Key) -> tuple[GatewayView | None, float | None]:
        """What the gateway says about a strategy; since when it says nothing."""
        served = self._served.get(key[0])
        return served.gateway.view(key[1]) if served else (None, None)

    def gateway(self, namespace: str) -> Gateway:
        """Raises GatewayUnavailable."""
        served = self._served.get(namespace)
        if served is None:
            raise GatewayUnavailable(f"namespace {namespace}: it has no gateway")
        return served.gateway

    @property
    def reachable(self) -> Mapping[str, bool]:
        """By namespace."""
        return {name: served.gateway.reachable for name, served in self._served.items()}

    def changed(self, namespace: str) -> None:
        """Its ConfigMaps may be others now."""
        self._unknown |= {namespace} - self._served.keys()
        self._read_again(namespace)

    def _read_again(self, namespace: str) -> None:
        self._unread.add(namespace)
        self._wake.set()

    async def run(self, namespaces: Iterable[str]) -> None:
        """Serves these and those that change. Raises what nobody expected of a gateway's task."""
        for namespace in namespaces:
            self.changed(namespace)
        try:
            while True:
                self._wake.clear()
                while self._unread:
                    await self._settle(self._unread.pop())
                for fault in self._faults:
                    raise fault
                await self._wake.wait()
        finally:
            await self._close(*self._served)

    async def _settle(self, namespace: str) -> None:
        try:
            address = await self._address(namespace)
        except Refused as refused:
            log.warning("desk_unread", namespace=namespace, why=str(refused))
            asyncio.get_running_loop().call_later(_AGAIN_S, self._read_again, namespace)
            if not refused.no.passing:  # we may not read it: for its strategies it is not there
                self._learned(namespace)
            return
        served = self._served.get(namespace)
        moved = (served.address if served else None) != address
        if moved:
            await self._close(*({namespace} & self._served.keys()))
            if address is not None:
                self._open(namespace, address)
        self._learned(namespace, moved=moved)

    def _learned(self, namespace: str, *, moved: bool = False) -> None:
        if moved or not self.known(namespace):
            self._unknown.discard(namespace)
            for key in self._ties.strategies(namespace):
                self._ties.attention.add(key)

    def _open(self, namespace: str, address: Address) -> None:
        ca = address.ca.encode() if address.ca else None
        token = self._tokens.of(namespace)
        client = GatewayClient(address.gateway, token.shown, ca)
        gateway = Gateway(namespace, client, self._identity, self._ties)
        task = asyncio.create_task(_serve(gateway, token))
        task.add_done_callback(self._ended)
        self._served[namespace] = _Served(address, gateway, task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._faults.append(error)
            self._wake.set()

    async def _address(self, namespace: str) -> Address | None:
        desk = await self._data(namespace, names.DESK)
        if not desk.get("gateway"):
            return None
        ca = (await self._data(namespace, names.GATEWAY_CA)).get("ca.crt", "").strip()
        if not ca and not self._plain:
            log.warning("desk_without_ca", namespace=namespace, expected=names.GATEWAY_CA)
            return None
        return Address(desk["gateway"].strip(), desk.get("feed", "").strip(), ca)

    async def _data(self, namespace: str, name: str) -> Mapping[str, str]:
        found = await self._shelf.fetched((namespace, name))
        return (found or {}).get("data") or {}

    async def _close(self, *namespaces: str) -> None:
        closed = [self._served.pop(namespace) for namespace in namespaces]
        for served in closed:
            served.task.cancel()
        await asyncio.gather(*(served.task for served in closed), return_exceptions=True)


async def _serve(gateway: Gateway, token: Token) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(token.keep())
        tasks.create_task(gateway.serve())
