"""A copy of the journal, made while a gateway goes on writing: whole, of one moment, one file."""

import os
import sqlite3
from pathlib import Path

from risk_gateway.sqlite_store import reading_one_moment


class TargetExists(Exception):
    """A backup never replaces anything."""


def back_up(journal: Path, target: Path) -> None:
    """Raises TargetExists, JournalUnusable, OSError."""
    if target.exists():
        raise TargetExists(f"{target}: exists, expected a file that is to be made")
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    original = reading_one_moment(journal)
    copy = sqlite3.connect(partial)
    try:
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
    finally:
        copy.close()
        original.close()
    _durable(partial)
    partial.rename(target)
    _durable(target.parent)


def _durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
