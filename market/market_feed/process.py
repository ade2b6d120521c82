"""`python -m market_feed`: settings from the environment, until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys

import structlog

from market_feed.files import InvalidFile
from market_feed.merge import open_all
from market_feed.replay import Replay
from market_feed.settings import InvalidSettings, Settings


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        sources = open_all(settings.files)
    except (InvalidSettings, InvalidFile) as error:
        sys.stderr.write(f"market_feed: {error}\n")
        return 2
    _configure_log(settings.log_level)
    replay = Replay(settings, sources, structlog.get_logger("market_feed"))
    asyncio.run(_until_told_to_stop(replay))
    return 0


async def _until_told_to_stop(replay: Replay) -> None:
    task = asyncio.ensure_future(replay.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise


def _configure_log(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
