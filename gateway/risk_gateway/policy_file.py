"""Risk policies from a file, where there is no cluster to watch: JSON, name to spec.

It is looked at again and again. One that is not there says that there are none; one that cannot be
read changes nothing, and is named once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

log = structlog.get_logger()
_decode = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


class PolicyBook(Protocol):
    def list_policies(self, listed: Mapping[str, Mapping[str, Any]]) -> None: ...


class PolicyFile:
    """Asked by `look`, at the start and then each tick."""

    def __init__(self, path: Path, book: PolicyBook) -> None:
        self._path = path
        self._book = book
        self._seen: object = self  # nothing that a file could be

    def look(self) -> None:
        seen = self._stamp()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            listed = _decode(self._path.read_bytes())
        except FileNotFoundError:
            listed = {}
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("policies_unreadable", file=str(self._path), error=str(error))
            return
        self._book.list_policies(listed)

    def _stamp(self) -> object:
        try:
            found = self._path.stat()
        except OSError as error:
            return str(error)
        return found.st_mtime_ns, found.st_size, found.st_ino
