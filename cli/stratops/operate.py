"""What an operator asks of a desk that runs: halt, resume, status. Answers with exit codes."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from stratops.folder import NoDesk, Running, running_in
from stratops.report import Seen, document
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable


def halt(state: Path, reason: str, scope: Mapping[str, str], *, reducing: bool = False) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        await gateway.halt(reason, reducing=reducing, **scope)
        what = "only what closes leaves" if reducing else "no order leaves"
        done = "reducing" if reducing else "halted"
        again = " ".join(
            ["stratops resume", *(f"--{level} {name}" for level, name in scope.items())]
        )
        return f"{done}{_of(scope)}: {what} {running.gateway} until `{again}`"

    return _asked(state, ask)


def resume(state: Path, reason: str, scope: Mapping[str, str]) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        await gateway.resume(reason, **scope)
        return f"resumed{_of(scope)}: orders leave {running.gateway} again"

    return _asked(state, ask)


def status(state: Path, *, as_json: bool) -> int:
    async def ask(gateway: GatewayClient, running: Running) -> str:
        desk = await gateway.get_desk(reconcile=True)
        if as_json:
            return json.dumps(document(Seen(running.session, desk, {})), indent=2)
        from stratops.screen import View, plain

        return plain(View(running.session, None, desk))

    return _asked(state, ask)


def _of(scope: Mapping[str, str]) -> str:
    return "".join(f" {level} {name}" for level, name in scope.items())


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
