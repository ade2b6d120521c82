"""One risk decision with all checks, against the bare tuple of the same checks.

Alone, and as the gateway makes it: with its place in the queue, its counts and its record, until
that is on disk. Signals come in batches, so what a batch costs is shared by its signals: by the CPU
of the loop's thread, and of the whole process, which has the writer's thread in it.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from benchmarks.own_desk import OwnDesk
from benchmarks.table import Figure

from market_data import catalogue
from trading.accounts import StrategyAccount, Terms
from trading.limits import UNBOUNDED, Limits
from trading.market import Touch
from trading.pools import Pools
from trading.risk import Approved
from trading.rules import TOGETHER, opening
from trading.scopes import DEFAULT_ACCOUNT, Level, covering
from trading.signals import Cause, Signal

TIMES = 300
ROUNDS = 60
A_BATCH = 100
MANY = 1_000
_NOW_NS = 1_723_161_254_000_000_000
_TOUCH = Touch(Decimal("61837.63"), Decimal("61837.64"), 0)
_SIGNAL = Signal(
    "a", "BTCUSDT", Cause("BTCUSDT", "tick", 1, _NOW_NS), _NOW_NS, quantity=Decimal("0.1")
)
_MUCH = Decimal(10) ** 12
_WIDE = Limits(
    max_order_value=_MUCH, max_position_size=_MUCH, max_daily_loss=_MUCH, max_drawdown=Decimal(1),
    max_orders_per_second=10**9, max_orders_per_minute=10**9, min_confidence=Decimal(0),
    max_gross_exposure=_MUCH, max_net_exposure=_MUCH, max_concentration=_MUCH,
    max_open_orders=_MUCH,
)  # fmt: skip
_TOO_LARGE = replace(_SIGNAL, quantity=Decimal(100))


def figures() -> list[Figure]:
    limits = Limits(max_orders_per_second=10**9, max_orders_per_minute=10**9)
    terms = Terms(Decimal(100_000), frozenset({"BTCUSDT"}), limits)
    account = StrategyAccount("probe", terms, catalogue.load())
    request = account.request(_SIGNAL, lambda _: _TOUCH, _NOW_NS)
    checks = opening(limits)

    def bare() -> None:
        for check in checks:
            if check(request) is not None:
                raise AssertionError(check)

    def decide() -> None:
        assert isinstance(account.review(_SIGNAL, lambda _: _TOUCH, _NOW_NS), Approved)

    def deny() -> None:
        assert not isinstance(account.review(_TOO_LARGE, lambda _: _TOUCH, _NOW_NS), Approved)

    bare_us, decide_us, deny_us = _cpu_us(bare), _cpu_us(decide), _cpu_us(deny)
    few_us, many_us = (_cpu_us(_decision_of(_together(count))) for count in (2, MANY))
    recorded, refused = asyncio.run(_recorded())
    together = f"by {A_BATCH}, queued, counted, recorded"
    return [
        Figure(f"risk: a decision, {len(checks)} checks", decide_us, "us CPU", bare_us,
               "us, the bare tuple", aim="<= 3x, <= 10 us"),
        Figure("risk: a decision, p99 in process", _p99_us(decide), "us", decide_us, "us CPU",
               aim="<= 15 us"),
        Figure("risk: a refusal", deny_us, "us CPU", decide_us, "us, an approval",
               aim="<= 0.33x"),
        Figure(f"risk: decisions {together}: the loop", recorded.loop_us, "us CPU each", bare_us,
               "us, the bare tuple", aim="<= 3x, <= 10 us"),
        Figure(f"risk: decisions {together}: loop and writer", recorded.process_us, "us CPU each",
               recorded.loop_us, "us, the loop"),
        Figure(f"risk: refusals {together}: the loop", refused.loop_us, "us CPU each",
               recorded.loop_us, "us, an approval", aim="<= 0.33x"),
        Figure("risk: a decision, three scopes bound", few_us, "us CPU", decide_us, "us, none"),
        Figure(f"risk: the same, {MANY} strategies", many_us, "us CPU", few_us, "us, two",
               aim="<= 1.1x"),
    ]  # fmt: skip


def _together(count: int) -> StrategyAccount:
    """One of so many strategies whose symbol, account and desk are bound in every way."""
    instruments = catalogue.load()
    pools = Pools(instruments)
    several = replace(_WIDE, min_account_balance=Decimal(1))
    a_symbol = {name: getattr(_WIDE, name) for name in TOGETHER[Level.SYMBOL]}
    scopes = covering("BTCUSDT", DEFAULT_ACCOUNT)
    bounds = dict.fromkeys(scopes, several)
    pools.obey({**bounds, scopes[0]: replace(UNBOUNDED, **a_symbol)})
    limits = Limits(max_orders_per_second=10**9, max_orders_per_minute=10**9)
    terms = Terms(Decimal(100_000), frozenset({"BTCUSDT"}), limits)
    accounts = [StrategyAccount(f"probe-{nth}", terms, instruments, pools) for nth in range(count)]
    for account in accounts:
        approved = account.review(_SIGNAL, lambda _: _TOUCH, _NOW_NS)
        assert isinstance(approved, Approved), approved
        account.reserve(approved.order)
    return accounts[0]


def _decision_of(account: StrategyAccount) -> Callable[[], None]:
    def decide() -> None:
        assert isinstance(account.review(_SIGNAL, lambda _: _TOUCH, _NOW_NS), Approved)

    return decide


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of a signal, the least of ROUNDS batches."""

    loop_us: float
    process_us: float


async def _recorded() -> tuple[_Cost, _Cost]:
    """Of a signal that is approved, and of one that is refused."""
    with tempfile.TemporaryDirectory() as name:
        desk = OwnDesk(Path(name))
        await desk.deploy()
        try:
            gc.collect()
            gc.disable()
            return await _least(desk, Decimal("0.1")), await _least(desk, Decimal(10**9))
        finally:
            gc.enable()
            desk.close()


async def _least(desk: OwnDesk, quantity: Decimal) -> _Cost:
    loops, processes = [], []
    for _ in range(ROUNDS):
        batch = desk.batch(A_BATCH, quantity)
        loop_began, process_began = time.thread_time(), time.process_time()
        await desk.decide(batch)
        loops.append(time.thread_time() - loop_began)
        processes.append(time.process_time() - process_began)
    return _Cost(min(loops) / A_BATCH * 1e6, min(processes) / A_BATCH * 1e6)


def _p99_us(call: Callable[[], None]) -> float:
    """By the clock on the wall."""
    took = sorted(_timed(call) for _ in range(20_000))
    return took[int(0.99 * len(took))] * 1e6


def _timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _cpu_us(call: Callable[[], None]) -> float:
    """The least of many short rounds: the machine is not ours alone."""
    return min(_round(call) for _ in range(ROUNDS)) * 1e6


def _round(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(TIMES):
        call()
    return (time.process_time() - began) / TIMES
