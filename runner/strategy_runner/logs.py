"""Log lines of the runner: one JSON object a line on stderr, made by msgspec.

Small on purpose: a logging library would cost a third of this process' memory.
"""

import sys
import time
from typing import IO, Any

import msgspec

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """`log.info("armed", epoch=3)`. `fields` are on every line."""

    def __init__(self, level: str = "info", stream: IO[bytes] | None = None, **fields: Any) -> None:
        self._least = _LEVELS[level]
        self._stream = stream or sys.stderr.buffer
        self._fields = fields
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def debug(self, event: str, **fields: Any) -> None:
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if _LEVELS[level] < self._least:
            return
        line = {"time_ns": time.time_ns(), "level": level, "event": event}
        try:
            self._stream.write(self._encode(line | self._fields | fields) + b"\n")
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads any more; that must not end the trading
            pass
