"""Seals, so that a start reads little of the journal: the desk as it was after a record.

A process of its own makes the snapshot, from the journal alone, and so exactly as a start would:
`python -m risk_gateway.sealing` writes it to its output. The gateway's loop pays nothing.
"""

import asyncio
import os
import sys

import msgspec
import structlog

from risk_gateway.apart import Complained, answer_of
from risk_gateway.archive import Archive
from risk_gateway.home import Home, of
from risk_gateway.journal import Journal, Record, Seal
from risk_gateway.recollection import recollected
from risk_gateway.records import Kind, Sealed, record, seal_key
from risk_gateway.snapshot import digest, taken, to_json
from risk_gateway.state import State

log = structlog.get_logger()

EVERY = 100_000  # records: about 3 s of a start
_LOOK_S = 5.0
_AGAIN_S = 60.0  # after one that failed
_MOST_S = 300.0


class Sealer:
    """`run()` it as a task."""

    def __init__(self, state: State, every: int = EVERY) -> None:
        self._journal = state.journal
        self._state = state
        self._every = every
        self._sealed = max(state.archive.seals(), default=0)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._journal.last - self._sealed >= self._every:
                try:
                    await self.seal()
                except (Complained, TimeoutError, OSError) as error:
                    log.warning("not_sealed", error=str(error))
                    await asyncio.sleep(_AGAIN_S)

    async def seal(self) -> Seal:
        """Raises Complained, TimeoutError, OSError."""
        made = await _made(self._journal)
        self._journal.append([seal_record(made, self._state.wall_ns())])
        self._sealed = made.number
        await self._journal.durable()
        log.info("sealed", number=made.number, size=len(made.snapshot))
        return made


def seal_record(seal: Seal, at_ns: int) -> Record:
    body = Sealed(seal.number, seal.hash.hex(), digest(seal.snapshot))
    return record(Kind.SEALED, body, at_ns, key=seal_key(seal.number), seal=seal)


def made_of(archive: Archive) -> Seal:
    """As of the last record that is there now. Raises NotProven."""
    restoration = recollected(archive)
    head = restoration.read_all()
    snapshot = to_json(taken(restoration.state, restoration.grants))
    return Seal(head.number, head.hash, snapshot)


async def _made(journal: Journal) -> Seal:
    answer = await answer_of(journal.home, "risk_gateway.sealing", within_s=_MOST_S)
    return msgspec.json.decode(answer, type=Seal)


def main(home: Home) -> None:
    os.nice(10)
    archive = Archive(home)
    sys.stdout.buffer.write(msgspec.json.encode(made_of(archive)))


if __name__ == "__main__":
    main(of("-"))
