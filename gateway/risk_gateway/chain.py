"""The chain: the hash of a record covers the record and the hash of the one before it.

Pure, and simple enough to be computed anew by anybody: SHA-256 over the 32 bytes of the hash before
and the record's columns in their order, as one JSON array in UTF-8 without spaces.
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

_encode = msgspec.json.Encoder().encode


def genesis(journal_id: str) -> bytes:
    """What the first record of a journal follows; no two journals begin alike."""
    return sha256(f"stratops journal {journal_id}".encode()).digest()


def link(before: bytes, columns: Sequence[object]) -> bytes:
    return sha256(before + _encode(columns)).digest()
