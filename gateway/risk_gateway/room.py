"""Room for the journal: before its disk is full nothing more is opened.

Closing and cancelling go on, and are what the rest is kept for. A disk that is full all the same
ends the process, as every journal that cannot be written does.
"""

import os
from dataclasses import dataclass
from pathlib import Path

LEAST_FREE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Room:
    """Of the disk that a journal lies on."""

    journal: Path
    least_free_bytes: int = LEAST_FREE_BYTES

    def free_bytes(self) -> int:
        found = os.statvfs(self.journal.parent)
        return found.f_bavail * found.f_frsize

    def journal_bytes(self) -> int:
        """With what is committed and not yet in its place."""
        parts = (self.journal, self.journal.with_name(f"{self.journal.name}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def objection(self) -> str:
        """Why nothing may be opened; empty: there is room."""
        free, least = self.free_bytes(), self.least_free_bytes
        return "" if free >= least else f"{free} bytes free for the journal, at least {least}"
