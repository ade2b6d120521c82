"""Logs: one JSON object a line, on stderr."""

import logging
import sys

import msgspec
import structlog

_NUMBERS = logging.getLevelNamesMapping()


def configure(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _dumps(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
