"""Work on the journal in a process of its own: the loop has other things to do."""

import asyncio
import sys

from risk_gateway.home import Home, environment

_MOST_SAID = 300


class Complained(Exception):
    """The process failed; in its own words."""


async def answer_of(journal: Home, module: str, *arguments: str, within_s: float) -> bytes:
    """What `python -m module` prints; it finds the journal by `home.of("-")`.

    Raises Complained, TimeoutError, OSError.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments,
        env=environment(journal),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(within_s):
            answer, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise Complained(complaint.decode(errors="replace").strip()[-_MOST_SAID:])
    return answer
