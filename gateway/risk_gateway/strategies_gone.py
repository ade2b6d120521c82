"""`python -m risk_gateway.strategies_gone`: nobody would be left armed without this desk.

The hook before the uninstall of a desk whose operator is elsewhere. It cannot disarm anybody, and
the operator cannot any more when the desk is gone; so the Strategies that it holds go first.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable
from risk_gateway.settings import api_access
from stratops_process import ending
from stratops_process.environment import InvalidSettings

NAME = "risk_gateway.strategies_gone"
FINALIZER = "stratops.dev/disarm"
_ATTEMPTS = 30  # those that were just deleted take their time
_WAIT_S = 1.0
_MISSING = 404


class StrategiesLeft(Exception):
    """What somebody has to delete before the desk goes."""


async def gone(environ: Mapping[str, str]) -> None:
    """Raises InvalidSettings, StrategiesLeft, ApiUnavailable, ApiRefused."""
    namespace = environ.get("STRATOPS_NAMESPACE", "").strip()
    if not namespace:
        raise InvalidSettings("STRATOPS_NAMESPACE: not set, expected a value")
    async with ApiServer(api_access(environ)) as api:
        for _ in range(_ATTEMPTS):
            left = await _held(api, namespace)
            if not left:
                return
            await asyncio.sleep(_WAIT_S)
    raise StrategiesLeft(
        f"{len(left)} strategies would stay armed without this desk: {', '.join(left[:10])}; first "
        f"kubectl delete strategies --all -n {namespace}, then uninstall again"
    )


async def _held(api: ApiServer, namespace: str) -> list[str]:
    """Strategies that an operator holds."""
    try:
        found = await api.get(f"/apis/stratops.dev/v1alpha1/namespaces/{namespace}/strategies")
    except ApiRefused as refused:
        if refused.status == _MISSING:  # there is no such kind any more
            return []
        raise
    each = [item["metadata"] for item in found["items"]]
    return sorted(meta["name"] for meta in each if FINALIZER in meta.get("finalizers", ()))


def main() -> int:
    ending.at_once(lambda _: ending.leave(NAME, "asked to end", 143))
    try:
        asyncio.run(gone(os.environ))
    except (InvalidSettings, StrategiesLeft, ApiUnavailable, ApiRefused) as error:
        ending.say(NAME, str(error))
        return 1
    ending.say(NAME, "no Strategy is held: nothing would stay armed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
