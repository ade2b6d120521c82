"""What a person asks of a desk that runs: halt, resume, cancel, status. Answers with exit codes."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping

from stratops.asker import Asker, InvalidAsker
from stratops.folder import NoDesk
from stratops.report import Seen, document
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable


def halt(asker: Asker, reason: str, scope: Mapping[str, str], *, reducing: bool = False) -> int:
    async def ask(gateway: GatewayClient, address: str) -> str:
        await gateway.halt(reason, reducing=reducing, **scope)
        what = "only what closes leaves" if reducing else "no order leaves"
        done = "reducing" if reducing else "halted"
        again = " ".join(
            ["stratops resume", *(f"--{level} {name}" for level, name in scope.items())]
        )
        return f"{done}{_of(scope)}: {what} {address} until `{again}`"

    return _asked(asker, ask)


def resume(asker: Asker, reason: str, scope: Mapping[str, str], source: str = "") -> int:
    async def ask(gateway: GatewayClient, address: str) -> str:
        await gateway.resume(reason, source, **scope)
        return f"resumed{_of(scope)}: orders leave {address} again"

    return _asked(asker, ask)


def cancel(asker: Asker, strategy: str, reason: str) -> int:
    """Of every strategy, when none is named."""

    async def ask(gateway: GatewayClient, address: str) -> str:
        orders = await gateway.cancel_orders(strategy, reason)
        return f"cancelling {orders} orders of {strategy or 'every strategy'} at {address}"

    return _asked(asker, ask)


def status(asker: Asker, *, as_json: bool) -> int:
    async def ask(gateway: GatewayClient, _: str) -> str:
        desk = await gateway.get_desk(reconcile=True)
        session = desk.feed.session
        if as_json:
            return json.dumps(document(Seen(session, desk, {})), indent=2)
        from stratops.screen import View, plain

        return plain(View(session, None, desk))

    return _asked(asker, ask)


def _of(scope: Mapping[str, str]) -> str:
    return "".join(f" {level} {name}" for level, name in scope.items())


def _asked(asker: Asker, ask: Callable[[GatewayClient, str], Awaitable[str]]) -> int:
    async def call() -> str:
        async with asker.client() as gateway:
            return await ask(gateway, asker.address())

    try:
        sys.stdout.write(asyncio.run(call()) + "\n")
    except (NoDesk, InvalidAsker, GatewayUnavailable, GatewayRefused) as error:
        sys.stderr.write(f"stratops: {error}\n")
        return 1
    return 0
