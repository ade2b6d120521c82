"""Whether records follow one another: each as its hash says, none missing, none between."""

from collections.abc import Iterable, Iterator

from risk_gateway import chain
from risk_gateway.archive import Archive, Head, Row
from risk_gateway.journal import Seal
from risk_gateway.records import Kind, Sealed, body_of, seal_key
from risk_gateway.snapshot import digest


class NotProven(Exception):
    """The journal is not as it was written; names the first record that is wrong."""


def chained(rows: Iterable[Row], after: Seal, through: Head) -> Iterator[Row]:
    """The rows, each once it is proven to follow the one before. Raises NotProven."""
    number, hash_ = after.number, after.hash
    for row in rows:
        if row.number != number + 1:
            raise NotProven(f"record {number + 1}: missing, the next one is {row.number}")
        expected = chain.link(hash_, row.columns)
        if row.hash != expected:
            raise NotProven(
                f"record {row.number} ({row.kind}): its hash is {_short(row.hash)}, what it says "
                f"after record {number} makes {_short(expected)}"
            )
        yield row
        number, hash_ = row.number, row.hash
    if number != through.number:
        raise NotProven(f"record {number + 1}: missing, the last one is {through.number}")
    if hash_ != through.hash:
        raise NotProven(
            f"record {number}: the last one, its hash is {_short(hash_)}, the head has "
            f"{_short(through.hash)}"
        )


def check_seal(archive: Archive, seal: Seal) -> None:
    """Whether a seal is the one that the chain knows. Raises NotProven."""
    row = archive.record(Kind.SEALED, seal_key(seal.number))
    if row is None:
        raise NotProven(f"seal {seal.number}: no record of it")
    body: Sealed = body_of(row)
    for what, found, expected in (
        ("hash", seal.hash.hex(), body.hash),
        ("snapshot", digest(seal.snapshot), body.snapshot),
    ):
        if found != expected:
            raise NotProven(
                f"seal {seal.number}: its {what} is {found[:12]}, record {row.number} has "
                f"{expected[:12]}"
            )


def _short(hash_: bytes) -> str:
    return hash_.hex()[:12]
