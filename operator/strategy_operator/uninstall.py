"""`python -m strategy_operator.uninstall`: before the operator goes, its strategies are let go.

Each is withdrawn at its gateway (its position stays as it is), its runner pods are deleted and our
finalizer is dropped; the Strategy itself stays. Running operators are stopped by taking the Lease.
It ends within a minute, says what it did, and may be run again.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from strategy_operator import lease, names
from strategy_operator.access import InvalidAccess, found
from strategy_operator.cluster import (
    CONFIG_MAP,
    LEASE,
    POD,
    STRATEGY,
    Cluster,
    No,
    Refused,
)
from strategy_operator.lease import Record
from strategy_operator.objects import MANAGED_BY
from strategy_operator.settings import Settings
from strategy_operator.tokens import Tokens
from stratops_process import ending
from stratops_process.environment import InvalidSettings
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable

NAME = "strategy_operator.uninstall"
WHOLE_S = 60.0
_NOTICED_S = lease.RETRY_S + 1.0  # by then a leader has usually looked at the Lease again
_GATEWAY_S = 15.0
_GONE_S = 15.0
_PAUSE_S = 0.5
_TRIES = 10
_DURATION_S = 10  # so long a new operator waits before it takes the Lease

Object = Mapping[str, Any]


def main() -> int:
    ending.at_once(lambda _: ending.leave(NAME, "asked to end before it was done", 1))
    try:
        settings = Settings.from_environment(os.environ)
        access = found(settings.kubeconfig, os.environ)
    except (InvalidSettings, InvalidAccess) as error:
        ending.say(NAME, str(error))
        return 1

    async def work() -> bool:
        async with asyncio.timeout(WHOLE_S), Cluster(access) as cluster:
            return await Farewell(cluster, settings).say()

    try:
        return 0 if asyncio.run(work()) else 1
    except (Refused, TimeoutError) as error:
        ending.say(NAME, f"not done: {error!r}")
        return 1


class Farewell:
    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._within = settings.watched_namespace
        self._tokens = Tokens(settings.gateway_token, cluster, settings.namespace)
        self._nobody_acts_from = 0.0  # whoever led has given up by then, noticed or not

    async def say(self) -> bool:
        """Whether everything is let go."""
        await self._stop_operators()
        strategies = await self._strategies()
        if not strategies:
            _tell("no Strategy: nothing to let go")
            return True
        disarmed = await self._withdraw(_ours(strategies))
        pods, left = await self._clear_pods()
        held = _ours(await self._strategies())  # nobody takes on another any more
        dropped = [await self._let_go(each) for each in held]
        _tell(
            f"{len(held)} strategies: {disarmed} withdrawn, {pods} runner pods deleted, "
            f"{dropped.count(True)} finalizers dropped; {left} pods still ending"
        )
        return all(dropped)

    async def _strategies(self) -> list[dict[str, Any]]:
        try:
            return await self._cluster.listed(STRATEGY, self._within)
        except Refused as refused:
            if refused.no is No.NOT_FOUND:  # there is no such kind any more
                return []
            raise

    async def _stop_operators(self) -> None:
        """They see who took the Lease, and act no more."""
        for _ in range(_TRIES):
            try:
                await self._take_the_lease()
            except Refused as refused:
                if refused.no is No.NOT_FOUND:
                    return  # no operator ever ran
                if refused.no is not No.CONFLICT:  # else the leader has just renewed it
                    raise
            else:
                self._nobody_acts_from = time.monotonic() + lease.GIVE_UP_S
                await asyncio.sleep(_NOTICED_S)
                return

    async def _take_the_lease(self) -> None:
        namespace = self._settings.namespace
        before = Record.of(await self._cluster.get(LEASE, namespace, lease.NAME))
        taken = lease.taken(before, lease.UNINSTALLER, datetime.now(UTC))
        await self._cluster.put(LEASE, replace(taken, duration_s=_DURATION_S).manifest(namespace))

    # ---- The gateways

    async def _withdraw(self, strategies: Iterable[Object]) -> int:
        by_namespace: dict[str, list[str]] = {}
        for each in strategies:
            metadata = each["metadata"]
            by_namespace.setdefault(metadata["namespace"], []).append(metadata["name"])
        asked = (self._withdraw_of(space, each) for space, each in by_namespace.items())
        return sum(await asyncio.gather(*asked))

    async def _withdraw_of(self, namespace: str, strategies: Iterable[str]) -> int:
        desk = await self._data(namespace, names.DESK)
        if not desk.get("gateway"):
            _tell(f"namespace {namespace}: no gateway to withdraw from")
            return 0
        ca = (await self._data(namespace, names.GATEWAY_CA)).get("ca.crt", "")
        if not ca and not self._settings.plain_gateways:
            _tell(f"namespace {namespace}: no {names.GATEWAY_CA}, its gateway is not spoken to")
            return 0
        async with AsyncExitStack() as stack:
            token = self._tokens.of(namespace)
            try:
                await token.refresh()
            except Refused as refused:
                _tell(f"namespace {namespace}: no token for its gateway: {refused}")
                return 0
            address = desk["gateway"].strip()
            client = GatewayClient(address, token.shown, ca.encode() if ca else None)
            gateway = await stack.enter_async_context(client)
            deadline = time.monotonic() + _GATEWAY_S
            if not await _tried(lambda: gateway.begin_term(lease.UNINSTALLER), deadline):
                _tell(f"namespace {namespace}: its gateway does not answer, nothing withdrawn")
                return 0
            refs = [f"{namespace}/{name}" for name in strategies]
            count = await _withdrawn(gateway, refs, deadline)
            for left in await still_to_cancel(gateway, refs, deadline):
                _tell(left)
            return count

    async def _data(self, namespace: str, name: str) -> Mapping[str, str]:
        try:
            return (await self._cluster.get(CONFIG_MAP, namespace, name)).get("data") or {}
        except Refused as refused:
            if refused.no is No.NOT_FOUND:
                return {}
            raise

    # ---- The cluster

    async def _clear_pods(self) -> tuple[int, int]:
        """Those that were deleted, and that are left after a while: until nobody acts any more, a
        leader that was held up may make another.
        """
        deleted: set[str] = set()
        deadline = max(time.monotonic(), self._nobody_acts_from) + _GONE_S
        while True:
            pods = await self._cluster.listed(POD, self._within, MANAGED_BY)
            for metadata in (pod["metadata"] for pod in pods):
                if metadata["uid"] not in deleted:
                    where = metadata["namespace"], metadata["name"]
                    await self._cluster.delete(POD, *where, metadata["uid"])
                    deleted.add(metadata["uid"])
            now = time.monotonic()
            if (not pods and now >= self._nobody_acts_from) or now > deadline:
                return len(deleted), len(pods)
            await asyncio.sleep(_PAUSE_S)

    async def _let_go(self, strategy: Object) -> bool:
        """Drops our finalizer; somebody else's stays."""
        namespace, name = strategy["metadata"]["namespace"], strategy["metadata"]["name"]
        for _ in range(_TRIES):
            try:
                there = (await self._cluster.get(STRATEGY, namespace, name))["metadata"]
                left = [each for each in there.get("finalizers", ()) if each != names.FINALIZER]
                if left != there.get("finalizers", []):
                    metadata = {key: there[key] for key in ("uid", "resourceVersion")}
                    patch = {"metadata": {**metadata, "finalizers": left}}
                    await self._cluster.merge(STRATEGY, namespace, name, patch)
            except Refused as refused:
                if refused.no is No.NOT_FOUND:
                    return True
                if not refused.no.passing:
                    _tell(f"{namespace}/{name}: {refused}")
                    return False
                await asyncio.sleep(_PAUSE_S)
            else:
                return True
        return False


def _ours(strategies: Iterable[Object]) -> list[Object]:
    """Those that have our finalizer: the others were never taken on, or are let go already."""
    return [
        each for each in strategies if names.FINALIZER in each["metadata"].get("finalizers", ())
    ]


async def _withdrawn(gateway: GatewayClient, refs: Iterable[str], deadline: float) -> int:
    count = 0
    for ref in refs:
        count += await _tried(partial(gateway.withdraw, ref, "uninstalled"), deadline)
    return count


async def still_to_cancel(
    gateway: GatewayClient, refs: Sequence[str], deadline: float
) -> list[str]:
    """Waits until the venue has nothing at work of these, or the deadline: what is left then.
    Whoever uninstalls removes the gateway next, and nobody is left to cancel.
    """
    while True:
        left = await _at_work(gateway, refs)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(_PAUSE_S)


async def _at_work(gateway: GatewayClient, refs: Sequence[str]) -> list[str]:
    try:
        desk = await gateway.get_desk()
    except (GatewayRefused, GatewayUnavailable) as error:
        return [f"not known what is at work: {error}"]
    withdrawn = (each for each in desk.strategies if each.strategy in refs)
    return [f"{each.strategy}: {each.flattening}" for each in withdrawn if each.flattening]


async def _tried(call: Callable[[], Awaitable[object]], deadline: float) -> bool:
    """Whether it was done, tried until then; what is refused is no more than said."""
    while True:
        try:
            await call()
        except GatewayRefused as refused:
            _tell(str(refused))
            return False
        except GatewayUnavailable as error:
            if time.monotonic() > deadline:
                _tell(str(error))
                return False
            await asyncio.sleep(_PAUSE_S)
        else:
            return True


def _tell(what: str) -> None:
    ending.say(NAME, what)


if __name__ == "__main__":
    sys.exit(main())
