"""What an account is, as a value: to be kept, and to go on from.

The ids of the fills it has counted are not in it: whoever goes on from here asks the journal first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trading.accounts import StrategyAccount, Terms, Watermarks
from trading.instruments import Instrument
from trading.orders import Order
from trading.positions import Position
from trading.rates import TokenBucket


@dataclass(frozen=True, slots=True)
class BucketMemory:
    level: int
    at_ns: int | None


@dataclass(frozen=True, slots=True)
class AccountMemory:
    terms: Terms
    cash: Decimal
    realized_pnl: Decimal
    fees: Decimal
    watermarks: Watermarks
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]  # open, or with announced fills still to come
    second: BucketMemory
    minute: BucketMemory


def memory_of(account: StrategyAccount) -> AccountMemory:
    ledger = account.ledger
    return AccountMemory(
        terms=account.terms,
        cash=ledger.cash,
        realized_pnl=ledger.realized_pnl,
        fees=ledger.fees,
        watermarks=account.watermarks,
        positions=tuple(ledger.positions.values()),
        orders=tuple(account.orders.values()),
        second=_of_bucket(account._second),
        minute=_of_bucket(account._minute),
    )


def remembered(
    strategy: str, memory: AccountMemory, instruments: Mapping[str, Instrument]
) -> StrategyAccount:
    account = StrategyAccount(strategy, memory.terms, instruments)
    ledger = account.ledger
    ledger.cash = memory.cash
    ledger.realized_pnl = memory.realized_pnl
    ledger.fees = memory.fees
    ledger.positions.update((position.symbol, position) for position in memory.positions)
    account.watermarks = memory.watermarks
    for order in memory.orders:
        account._keep(order)
    _put_back(account._second, memory.second)
    _put_back(account._minute, memory.minute)
    return account


def _of_bucket(bucket: TokenBucket) -> BucketMemory:
    return BucketMemory(bucket._level, bucket._at_ns)


def _put_back(bucket: TokenBucket, memory: BucketMemory) -> None:
    bucket._level, bucket._at_ns = memory.level, memory.at_ns
