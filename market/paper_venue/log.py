"""The venue's log: events with fields, one JSON object a line on stderr."""

import logging
import sys
from typing import Protocol, cast

import structlog

_NUMBERS = logging.getLevelNamesMapping()


class Log(Protocol):
    def __call__(self, event: str, /, **fields: object) -> object: ...


def open_log(level: str) -> Log:
    """The process' log; what libraries say below a warning is left out."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format='{"event": "%(message)s"}')
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    return cast(Log, structlog.get_logger().bind(process="venue").info)
