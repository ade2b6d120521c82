"""A withdrawn strategy on its way: its orders cancelled and, to own nothing, its positions closed.

Level-triggered: each look does the next thing that can be done now, so a restart goes on where the
journal is.
"""

from collections.abc import Iterator
from decimal import Decimal

from risk_gateway.closing import Closer, Purpose
from risk_gateway.state import State
from risk_gateway.strategy import Flattening, Strategy


class Flattener:
    """Call nothing concurrently."""

    def __init__(self, state: State, closer: Closer) -> None:
        self._state = state
        self._closer = closer

    def tick(self, now: float) -> None:
        for strategy in tuple(self._state.strategies.values()):
            if strategy.flattening is not None:
                strategy.flattening.left = self._go_on(strategy, strategy.flattening, now)

    def _go_on(self, strategy: Strategy, flattening: Flattening, now: float) -> str:
        """Does what can be done now; answers what there is still to do."""
        if strategy.grants.wanted or strategy.grants.epoch or strategy.submissions:
            return "not yet disarmed"
        if strategy.account.orders:
            self._closer.cancel(strategy, flattening, now, lambda _: True)
            return f"orders at work: {len(strategy.account.orders)}"
        held = dict(_held(strategy)) if flattening.closes else {}
        purpose = Purpose("flatten", flattening.number)
        left = [
            self._closer.close(strategy, flattening, purpose, symbol, held[symbol], now)
            for symbol in held
        ]
        return "; ".join(left)


def _held(strategy: Strategy) -> Iterator[tuple[str, Decimal]]:
    for symbol, position in strategy.account.positions.items():
        if position.quantity:
            yield symbol, position.quantity
