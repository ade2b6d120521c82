"""A gateway that waits for the journal: one of its replicas leads, the others stand by.

It answers probes, and each call with who leads. It knows nothing of the desk: it reads the journal
when it leads.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import structlog

from risk_gateway.home import JournalLocked, Postgres
from risk_gateway.journal import Journal
from risk_gateway.listening import listen, made_server, most_connections
from risk_gateway.settings import Settings
from stratops_process import pages
from stratops_wire.leader import LEADER_KEY, NOT_LEADER, REFUSAL_KEY

log = structlog.get_logger()


async def led_journal(settings: Settings) -> Journal:
    """Once it is ours; in a folder there is nobody to wait for.

    Raises JournalLocked (a folder's), JournalUnusable, InvalidSettings, InvalidCertificate,
    OSError.
    """
    loop = asyncio.get_running_loop()
    if settings.postgres is None:
        return Journal(settings.state_dir, loop)
    try:
        return Journal(settings.postgres, loop)
    except JournalLocked as held:
        log.info("standby", why=str(held), leader=held.leader)
        async with _standing_by(settings, held.leader) as callers:
            return await _led(settings.postgres, callers, loop)


async def _led(home: Postgres, callers: "_Callers", loop: asyncio.AbstractEventLoop) -> Journal:
    while True:
        await asyncio.sleep(home.patience_s / 10)
        try:
            return Journal(home, loop)
        except JournalLocked as held:
            callers.leader = held.leader


@asynccontextmanager
async def _standing_by(settings: Settings, leader: str) -> AsyncIterator["_Callers"]:
    callers = _Callers(leader)
    server = made_server(most_connections(settings))
    server.add_generic_rpc_handlers((callers,))
    listen(server, settings)
    async with pages.serving(settings.pages_host, settings.metrics_port, _PAGES):
        await server.start()
        try:
            yield callers
        finally:
            await server.stop(None)  # at once: the port is needed


class _Callers(grpc.GenericRpcHandler):
    """Whoever they are, and whatever they ask for: they are told who leads."""

    def __init__(self, leader: str) -> None:
        self.leader = leader  # empty: nobody, as far as can be told

    def service(self, _: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    async def _refuse(self, _: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(
            grpc.StatusCode.UNAVAILABLE,
            f"not_leader: {self.leader or 'nobody'} leads",
            ((REFUSAL_KEY, NOT_LEADER), (LEADER_KEY, self.leader)),
        )


_PAGES = pages.standard(lambda: "", lambda: b"")
