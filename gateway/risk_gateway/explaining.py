"""An explanation for a caller, by a process of its own: the loop has other things to do."""

import asyncio
import sys

from risk_gateway.explanation import UnknownSignal
from risk_gateway.home import Home, environment

_MOST_S = 60.0


async def explained_json(journal: Home, order: str) -> str:
    """Raises UnknownSignal, with whatever the process complained of; TimeoutError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "risk_gateway.audit", "explain", "--json", "--",
        "-", order,
        env=environment(journal),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_MOST_S):
            answer, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise UnknownSignal(complaint.decode(errors="replace").strip()[-300:])
    return answer.decode()
