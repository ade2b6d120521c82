"""One risk decision with all checks, against the bare tuple of the same checks."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from benchmarks.table import Figure

from market_data import catalogue
from trading.accounts import StrategyAccount, Terms
from trading.limits import Limits
from trading.market import Touch
from trading.risk import Approved
from trading.rules import opening
from trading.signals import Cause, Signal

TIMES = 20_000
_NOW_NS = 1_723_161_254_000_000_000
_TOUCH = Touch(Decimal("61837.63"), Decimal("61837.64"), 0)
_SIGNAL = Signal(
    "a", "BTCUSDT", Cause("BTCUSDT", "tick", 1, _NOW_NS), _NOW_NS, quantity=Decimal("0.1")
)
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
    return [
        Figure(f"risk: a decision, {len(checks)} checks", decide_us, "us CPU", bare_us,
               "us, the bare tuple", aim="<= 3x, <= 15 us"),
        Figure("risk: a refusal", deny_us, "us CPU", decide_us, "us, an approval", aim="<= 1x"),
    ]  # fmt: skip


def _cpu_us(call: Callable[[], None]) -> float:
    """The best of five rounds."""
    return min(_round(call) for _ in range(5)) * 1e6


def _round(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(TIMES):
        call()
    return (time.process_time() - began) / TIMES
