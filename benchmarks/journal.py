"""Group commit against one commit a record, both FULL, on the same disk in the same run."""

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.table import Figure

from risk_gateway import chain
from risk_gateway.journal import Journal, Record

GROUPED = 20_000
SINGLE = 500
_BODY = '{"signal_id":"0b7c3f0e-6a0e-5d3e-9c11-5f3f2a1b4c5d","accepted":true,"message":""}'


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        single_s = asyncio.run(_time(Path(folder, "single"), SINGLE, together=1)) / SINGLE
        grouped_s = asyncio.run(_time(Path(folder, "grouped"), GROUPED, together=100)) / GROUPED
    link_us = min(_link_us() for _ in range(5))
    return [
        Figure("journal: durable records a second, in groups", 1 / grouped_s, "records/s",
               1 / single_s, "one by one", aim=">= 10x"),
        Figure("journal: chaining a record", link_us, "us CPU", grouped_s * 1e6,
               "us, a record in groups"),
    ]  # fmt: skip


async def _time(folder: Path, records: int, together: int) -> float:
    """Seconds until `records` are durable, `together` appended before each wait."""
    journal = Journal(folder, asyncio.get_running_loop())
    began = time.perf_counter()
    for first in range(0, records, together):
        for number in range(first, first + together):
            journal.append([Record("verdict", _BODY, number, "probe", f"s-{number}")])
        await journal.durable()
    took = time.perf_counter() - began
    journal.close()
    return took


def _link_us() -> float:
    columns = (1, "decided", "probe", "s-1", None, 7, _BODY * 8, "s-1-0", "pending")
    began = time.process_time()
    for _ in range(GROUPED):
        chain.link(b"0" * 32, columns)
    return (time.process_time() - began) / GROUPED * 1e6
