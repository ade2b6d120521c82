"""Something happens on a desk: decisions, what the venue makes of them, supervisors' wishes."""

from typing import Any

from hypothesis import strategies as st

from desk_driver import HASH, DeskDriver, Runner, buy, cancel, content, fill
from risk_gateway.callers import Runners
from risk_gateway.desk import deployment_of
from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.signals import Side

_ECHOES = ["nothing", "fill", "part", "part, then the end", "refused", "late fill"]
_DECISIONS = ["buy", "sell", "too much", "repeat", "cancel", "halt", "resume"]
_SUPERVISORS = ["deploy", "withdraw", "flatten", "policy", "term"]
STEPS = st.lists(
    st.tuples(st.sampled_from(_DECISIONS), st.sampled_from(_ECHOES)),
    max_size=12,
)
ALL_STEPS = st.lists(
    st.tuples(st.sampled_from([*_DECISIONS, *_DECISIONS, *_SUPERVISORS]), st.sampled_from(_ECHOES)),
    max_size=12,
)


class Story:
    """Plays steps on a desk: decisions, then what the venue makes of them."""

    def __init__(self, desk: DeskDriver) -> None:
        self.desk = desk
        self.count = 0
        self.runner: Runner

    async def play(self, steps: list[tuple[str, str]]) -> None:
        self.runner = await self.desk.armed()
        for decision, echo in steps:
            self.count += 1
            self.desk.feed_next(bid=100 + self.count)
            await self.decide(decision)
            await self.echo(echo)
        await self.desk.settled()

    async def decide(self, decision: str) -> None:
        name, cause = f"n{self.count}", self.count + 1
        before = f"n{self.count - 1}"
        if decision in ("halt", "resume"):
            getattr(self.desk.desk.bounds, decision)("drill")
        elif decision in ("deploy", "withdraw", "flatten", "policy", "term"):
            await self.supervise(decision)
        elif not self.desk.strategy.grants.epoch:
            return  # withdrawn: nobody decides any more
        elif decision == "cancel":
            await self.runner.decide(cancel(name, of=before, cause=cause))
        else:
            side = Side.SELL if decision == "sell" else Side.BUY
            quantity = "5000" if decision == "too much" else "2"
            name = before if decision == "repeat" else name
            await self.runner.decide(buy(name, cause, quantity, side=side))

    async def supervise(self, decision: str) -> None:
        desk, term = self.desk.desk, self.desk.state.term
        if decision == "policy":
            change = {"limits": {"max_order_value": str(1000 * self.count)}}
            desk.bounds.policy_changed("cap", change if self.count % 3 else None)
        elif decision == "term":
            desk.begin_term(f"t{self.count}")
        elif decision == "deploy":
            text = content(capital=str(10**6 + self.count), max_orders_per_minute=self.count)
            desk.deploy(term, "s", deployment_of(f"r{self.count}", text, Runners(HASH)))
        else:
            desk.withdraw(term, "s", "over", flatten=decision == "flatten")
        await self.desk.settled()

    async def echo(self, echo: str) -> None:
        name = f"n{self.count}"
        order = self.desk.strategy.order(f"{name}-0")
        if order is None or echo == "nothing":
            return
        if echo in ("refused", "late fill"):
            self.answer(name, "REJECTED" if echo == "refused" else "CANCELLED")
        if echo.startswith("part, then"):
            self.answer(name, "CANCELLED", filled_quantity="0.5")
        if echo != "refused":
            quantity = "2" if echo == "fill" else "0.5"
            await self.desk.filled(fill(name, quantity=quantity, side=order.side))

    def answer(self, name: str, state: str, **fields: Any) -> None:
        number = types.OrderState.Value(f"ORDER_STATE_{state}")
        stated = pb.OrderResponse(client_order_id=f"{name}-0", state=number, **fields)
        leaving = Leaving("s", f"{name}-0", pb.OrderRequest())
        self.desk.desk.execution.answered(leaving, stated)
