"""Logs: one JSON object a line, on stderr; what kopf says too, where it matters."""

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
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    # It says at ERROR what it tries again, and a line for each event.
    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)


class _Forward(logging.Handler):
    """From the standard library's logging to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.warning("said", logger=record.name, what=record.getMessage(), exc_info=record.exc_info)


def _dumps(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
