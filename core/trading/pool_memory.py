"""What pools remember, as a value: what cannot be had from their strategies' accounts.

What bounds them is not in it: policies say that.
"""

from dataclasses import dataclass

from trading.account_memory import RateMemory, memory_of_rate, put_back_rate
from trading.pools import Pools
from trading.scopes import Scope
from trading.watermarks import Watermarks


@dataclass(frozen=True, slots=True)
class BoundMemory:
    watermarks: Watermarks | None
    second: RateMemory
    minute: RateMemory


@dataclass(frozen=True, slots=True)
class PoolMemory:
    bounds: dict[str, BoundMemory]  # by the scope's text
    sessions: tuple[str, ...]


def memory_of_pools(pools: Pools) -> PoolMemory:
    return PoolMemory(
        {
            str(scope): BoundMemory(
                bound.watermarks, memory_of_rate(bound.second), memory_of_rate(bound.minute)
            )
            for scope, bound in pools._bounds.items()
        },
        tuple(pools._sessions),
    )


def put_back_pools(pools: Pools, memory: PoolMemory) -> None:
    """Once its strategies are there, and what bounds it."""
    if pools.are_bound:
        pools._recount()
    pools._sessions = dict.fromkeys(memory.sessions)
    for text, kept in memory.bounds.items():
        bound = pools._bounds.get(Scope.parse(text))
        if bound is not None:
            pools.go_on_measuring(bound, kept.watermarks)
            put_back_rate(bound.second, kept.second)
            put_back_rate(bound.minute, kept.minute)
