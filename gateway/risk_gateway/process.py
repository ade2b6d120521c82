"""The process: from the environment to a running gateway, until SIGTERM."""

import asyncio
import gc
import os
import traceback
from types import FrameType
from typing import NoReturn

from market_data import catalogue
from risk_gateway.gateway import Fault, Gateway, opened
from risk_gateway.journal import JournalLocked, JournalUnusable
from risk_gateway.logs import configure
from risk_gateway.proof import NotProven
from risk_gateway.roster import InvalidRoster
from risk_gateway.settings import Settings
from risk_gateway.tls import InvalidCertificate
from stratops_process import ending
from stratops_process.cancelling import hurries
from stratops_process.environment import InvalidSettings
from trading.instruments import InvalidCatalogue

NAME = "risk_gateway"
# Before the collector looks for cycles. What a batch brings dies with its verdicts, without one;
# at the default of 700 it is walked through several times first: a sixth of what a signal costs.
_NEW_OBJECTS = 50_000
_CANNOT_START = (
    InvalidSettings,
    InvalidCertificate,
    InvalidRoster,
    InvalidCatalogue,
    JournalLocked,
    JournalUnusable,
    NotProven,
)
_FAILED = (*_CANNOT_START, Fault, OSError)


async def _serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises what ended it before."""
    stop = asyncio.Event()
    async with opened(settings, catalogue.load(settings.catalogue)) as gateway:
        # Not before: reading the journal back keeps the loop busy, and may be left at any point.
        ending.orderly(asyncio.get_running_loop(), stop.set, lambda frame: _late(gateway, frame))
        gc.collect()
        gc.freeze()  # modules, and what the journal brought back, stay for good
        gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
        running = asyncio.create_task(gateway.run(hurries()))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not running.done():
            running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()


def _late(gateway: Gateway, frame: FrameType | None) -> NoReturn:
    """The journal has all that was told to anybody, so nothing is lost."""
    where = traceback.extract_stack(frame)[-1] if frame else "nowhere"
    ending.leave(NAME, gateway.broken or f"did not end in time, was at {where}", 1)


def main() -> NoReturn:
    """Its last line says why it ended. gRPC's threads may outlive the loop, and would meet the
    interpreter's own end: so there is none."""
    try:
        settings = Settings.from_environment(os.environ)
    except InvalidSettings as error:
        ending.leave(NAME, str(error), 1)
    configure(settings.log_level)
    try:
        asyncio.run(_serve(settings))
    except BaseExceptionGroup as group:
        ending.leave(NAME, str(_first(group)), 1)
    except _FAILED as error:
        ending.leave(NAME, str(error), 1)
    ending.leave(NAME, "asked to end", 0)


def _first(error: BaseException) -> BaseException:
    """The first cause; raised on when it is none that has one clear line."""
    first = ending.cause(error)
    if not isinstance(first, _FAILED):
        raise first
    return first
