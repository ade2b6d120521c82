"""One risk decision with all checks, against the bare tuple of the same checks."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

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

TIMES = 20_000
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
    few_us, many_us = (_cpu_us(_decision_of(_together(count)), 2_000) for count in (2, MANY))
    return [
        Figure(f"risk: a decision, {len(checks)} checks", decide_us, "us CPU", bare_us,
               "us, the bare tuple", aim="<= 3x, <= 15 us"),
        Figure("risk: a refusal", deny_us, "us CPU", decide_us, "us, an approval", aim="<= 1x"),
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


def _cpu_us(call: Callable[[], None], times: int = TIMES) -> float:
    """The best of five rounds."""
    return min(_round(call, times) for _ in range(5)) * 1e6


def _round(call: Callable[[], None], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times
