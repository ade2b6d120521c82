"""What an operator asks of a running desk: halt, resume, cancel, status. Answers by exit code."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from stratops.folder import NoDesk, Running, running_in
from stratops.report import Seen, document
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable


def halt(state: Path, reason: str) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        await gateway.halt(reason)
        return f"halted: no order leaves {running.gateway} until `stratops resume`"

    return _asked(state, ask)


def resume(state: Path, reason: str) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        await gateway.resume(reason)
        return f"resumed: orders leave {running.gateway} again"

    return _asked(state, ask)


def cancel(state: Path, strategy: str, reason: str) -> int:
    """Of every strategy, when none is named."""

    async def ask(gateway: GatewayClient, running: Running) -> str:
        orders = await gateway.cancel_orders(strategy, reason)
        return f"cancelling {orders} orders of {strategy or 'every strategy'} at {running.gateway}"

    return _asked(state, ask)


def status(state: Path, *, as_json: bool) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        desk = await gateway.get_desk(reconcile=True)
        if as_json:
            return json.dumps(document(Seen(running.session, desk, {})), indent=2)
        from stratops.screen import View, plain

        return plain(View(running.session, None, desk))

    return _asked(state, ask)


def _asked(state: Path, ask: Callable[[GatewayClient, Running], Awaitable[str]]) -> int:
    async def call() -> str:
        running = running_in(state)
        async with GatewayClient(running.gateway, running.operator_token) as gateway:
            return await ask(gateway, running)

    try:
        sys.stdout.write(asyncio.run(call()) + "\n")
    except (NoDesk, GatewayUnavailable, GatewayRefused) as error:
        sys.stderr.write(f"stratops: {error}\n")
        return 1
    return 0
