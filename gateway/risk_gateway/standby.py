"""A gateway that waits for the journal: one of its replicas leads, the others stand by.

It answers probes and nothing else, and knows nothing of the desk: it reads the journal when it
leads.
"""

import asyncio

import structlog

from risk_gateway.home import JournalLocked, Postgres
from risk_gateway.journal import Journal
from risk_gateway.settings import Settings
from stratops_process import pages

log = structlog.get_logger()


async def led_journal(settings: Settings) -> Journal:
    """Once it is ours; in a folder there is nobody to wait for.

    Raises JournalLocked (a folder's), JournalUnusable, OSError.
    """
    loop = asyncio.get_running_loop()
    if settings.postgres is None:
        return Journal(settings.state_dir, loop)
    async with pages.serving(settings.pages_host, settings.metrics_port, _PAGES):
        return await _led(settings.postgres, loop)


async def _led(home: Postgres, loop: asyncio.AbstractEventLoop) -> Journal:
    waits = False
    while True:
        try:
            return Journal(home, loop)
        except JournalLocked as held:
            if not waits:
                log.info("standby", why=str(held))
            waits = True
            await asyncio.sleep(home.patience_s / 10)


_PAGES = pages.standard(lambda: "", lambda: b"")
