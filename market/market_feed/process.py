"""The feed's process: settings from the environment, until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import sys
from typing import NoReturn

import structlog

from market_feed.files import InvalidFile
from market_feed.merge import open_all
from market_feed.metrics import page
from market_feed.replay import Replay
from market_feed.settings import Settings
from stratops_process import ending
from stratops_process.environment import InvalidSettings
from stratops_process.pages import serving, standard

NAME = "market_feed"


_EXPECTED = (InvalidSettings, InvalidFile, OSError)


def main() -> NoReturn:
    """Its last line says why it ended."""
    try:
        settings = Settings.from_environment(os.environ)
        _configure_log(settings.log_level)
        asyncio.run(_work(settings))
    except (*_EXPECTED, ExceptionGroup) as error:
        ending.leave(NAME, str(_cause(error)), 2)
    ending.leave(NAME, "asked to end", 0)


async def _work(settings: Settings) -> None:
    """Raises InvalidFile and OSError, also in groups."""
    replay = Replay(settings, open_all(settings.files), structlog.get_logger(NAME))
    task = asyncio.create_task(replay.run())
    ending.orderly(asyncio.get_running_loop(), task.cancel, _late)
    pages = standard(lambda: replay.missing, lambda: page(replay))
    async with serving(settings.metrics_host, settings.metrics_port, pages):
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _late(_: object) -> NoReturn:
    ending.leave(NAME, "asked to end", 0)


def _cause(error: BaseException) -> BaseException:
    """The first; raised on when it is none that one line explains."""
    first = ending.cause(error)
    if not isinstance(first, _EXPECTED):
        raise first
    return first


def _configure_log(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
