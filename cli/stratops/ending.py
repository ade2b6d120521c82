"""How a desk comes to rest: nothing is under way any more, and the books are compared."""

import asyncio
import time
from math import ceil

from handover.timing import TIMING
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient

LOOK_S = 0.05
# So many equal answers in a row mean that nothing is under way: a runner that decides nothing says
# how far it has come so often.
EQUAL_LOOKS = ceil(TIMING.alone / LOOK_S) + 4
LEAST_S = 0.5  # for the comparison, however late it is


async def at_rest(gateway: GatewayClient, deadline: float) -> pb.Desk:
    """Returns when nothing moves any more, or at the deadline (monotonic)."""
    equal, before = 0, ""
    while True:
        left_s = max(deadline - time.monotonic(), LEAST_S)
        desk = await gateway.get_desk(timeout_s=left_s, patient=True)
        now = _moving(desk)
        equal, before = (equal + 1 if now == before and not desk.queued else 0), now
        if equal >= EQUAL_LOOKS or time.monotonic() > deadline:
            return desk
        await asyncio.sleep(LOOK_S)


async def compared(gateway: GatewayClient, deadline: float) -> pb.Desk:
    """Ledger and venue compared; again while they differ, for a fill may be on its way."""
    while True:
        left_s = max(deadline - time.monotonic(), LEAST_S)
        desk = await gateway.get_desk(reconcile=True, timeout_s=left_s, patient=True)
        if desk.reconciliation.equal or time.monotonic() > deadline:
            return desk
        await asyncio.sleep(LOOK_S)


def _moving(desk: pb.Desk) -> str:
    """Everything that moves while something is under way."""
    moving = [desk.signals, desk.accepted, desk.orders, desk.fills, desk.feed.received]
    for status in desk.strategies:
        moving += [status.ticks, status.signals, status.fills]
        moving += [runner.counters.ticks for runner in status.runners]
    return repr(moving)
