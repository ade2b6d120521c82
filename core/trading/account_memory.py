"""What an account is, as a value: to be kept, and to go on from.

The ids of the fills it has counted are not in it: whoever goes on from here asks the journal first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading.accounts import StrategyAccount, Terms
from trading.instruments import Instrument
from trading.ledger import Ledger
from trading.orders import Order
from trading.pools import Pools
from trading.positions import Position
from trading.rates import SLOTS, RateWindow
from trading.watermarks import Watermarks


@dataclass(frozen=True, slots=True)
class RateMemory:
    counts: dict[int, int] = field(default_factory=dict)  # as RateWindow.counts
    # Of a snapshot of layout 4, when rates were token buckets.
    level: int | None = None
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class AccountMemory:
    account: str
    is_funded: bool
    terms: Terms
    cash: Decimal
    realized_pnl: Decimal
    fees: Decimal
    watermarks: Watermarks
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]  # open, or with announced fills still to come
    second: RateMemory
    minute: RateMemory


def memory_of(account: StrategyAccount) -> AccountMemory:
    ledger = account.ledger
    return AccountMemory(
        account=account.account,
        is_funded=account.is_funded,
        terms=account.terms,
        cash=ledger.cash,
        realized_pnl=ledger.realized_pnl,
        fees=ledger.fees,
        watermarks=account.watermarks,
        positions=tuple(ledger.positions.values()),
        orders=tuple(account.orders.values()),
        second=memory_of_rate(account._second),
        minute=memory_of_rate(account._minute),
    )


def remembered(
    strategy: str, memory: AccountMemory, instruments: Mapping[str, Instrument], pools: Pools
) -> StrategyAccount:
    account = StrategyAccount(strategy, memory.terms, instruments, pools, memory.account)
    account.is_funded = memory.is_funded
    _go_on(account.ledger, memory, pools)
    account._obey(memory.terms)  # its ledger may have several currencies
    account.go_on_measuring(memory.watermarks)
    for order in memory.orders:
        account._keep(order)
    put_back_rate(account._second, memory.second)
    put_back_rate(account._minute, memory.minute)
    return account


def _go_on(ledger: Ledger, memory: AccountMemory, pools: Pools) -> None:
    positions = tuple(map(pools.currencies.named, memory.positions))
    if positions == memory.positions:
        ledger.go_on_from(memory.cash, memory.realized_pnl, memory.fees, positions)
    else:  # they were kept before the desk said its currency, and everything was one sum
        ledger.go_on_by(positions)


def memory_of_rate(rate: RateWindow) -> RateMemory:
    return RateMemory(dict(sorted(rate.counts.items())))


def put_back_rate(rate: RateWindow, memory: RateMemory) -> None:
    rate.go_on(memory.counts)
    if memory.level is not None and memory.at_ns is not None:
        rate.go_on({memory.at_ns // rate.slot_ns: _taken(rate, memory.level)})


def _taken(rate: RateWindow, level: int) -> int:
    """Tokens that were missing, begun ones whole: each was as high as its period has ns."""
    period_ns = rate.slot_ns * SLOTS
    return -((level - rate.limit * period_ns) // period_ns)
