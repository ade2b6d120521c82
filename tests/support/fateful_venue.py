"""A venue that gives each of the gateway's closing orders its fate, whatever restarts meanwhile."""

import random
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from desk_driver import DeskDriver, fill
from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.orders import Order

FATES = st.lists(
    st.sampled_from(
        ["fill", "part, then cancelled", "rejected", "never came", "filled unheard", "halt", "kill"]
    ),
    max_size=8,
)


class FatefulVenue:
    """Gives each order its fate once, as a venue would, and knows what it holds."""

    def __init__(self, desk: DeskDriver, seed: int) -> None:
        self.desk = desk
        self.seed = random.Random(seed)
        self.held = Decimal(0)
        self.met: set[str] = set()

    async def give(self, fate: str) -> None:
        if fate == "kill":
            self.desk.again()
        elif fate == "halt":
            self.desk.desk.bounds.halt("drill")
            await self.desk.settled(0.2)
            self.desk.desk.bounds.resume("")
        for order in tuple(self.desk.strategy.account.orders.values()):
            if order.client_order_id not in self.met and fate not in ("kill", "halt"):
                self.met.add(order.client_order_id)
                await self.meet(order, fate)
        await self.desk.settled(1)

    async def meet(self, order: Order, fate: str) -> None:
        name = order.client_order_id
        if fate == "fill":
            await self.fill(order, order.quantity)
        elif fate == "part, then cancelled":
            share = order.quantity * self.seed.randrange(1, 10) / 10
            answer(self.desk, name, "CANCELLED", filled_quantity=str(share))
            await self.desk.settled(0.1)
            await self.fill(order, share)
        elif fate == "rejected":
            answer(self.desk, name, "REJECTED")
        else:
            self.desk.again()  # before any answer was heard
            filled = order.quantity if fate == "filled unheard" else Decimal(0)
            state = "FILLED" if filled else "EXPIRED"
            answer(self.desk, name, state, filled_quantity=str(filled))
            await self.desk.settled(1)
            if filled:
                await self.fill(order, filled)

    async def fill(self, order: Order, quantity: Decimal) -> None:
        before, self.held = self.held, self.held + quantity * order.side.sign
        assert before == 0 or self.held * before >= 0, f"flipped from {before} to {self.held}"
        done = fill(order.signal_id, quantity=str(quantity), side=order.side)
        await self.desk.filled(done)
        await self.desk.filled(done)  # NATS may bring it again


def answer(desk: DeskDriver, client_order_id: str, state: str, **fields: Any) -> None:
    number = types.OrderState.Value(f"ORDER_STATE_{state}")
    stated = pb.OrderResponse(client_order_id=client_order_id, state=number, **fields)
    desk.desk.execution.answered(Leaving("s", client_order_id, None), stated)
