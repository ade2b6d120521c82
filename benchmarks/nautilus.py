"""Our decision beside NautilusTrader's RiskEngine, each by its CPU time, in one run.

Theirs runs in an environment of its own, kept in the cache: it needs other versions of what we
need, and 700 MB. Ours is timed with more checks than theirs has, and with what it reserves.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.decision import _NOW_NS, _TOUCH, _WIDE
from benchmarks.table import Figure

from dev_cluster import cache
from dev_cluster.notices import say
from market_data import catalogue
from trading.accounts import StrategyAccount, Terms
from trading.limits import UNBOUNDED, Limits
from trading.orders import OrderEvent
from trading.pools import Pools
from trading.risk import Approved
from trading.rules import TOGETHER, bounding, opening
from trading.scopes import DEFAULT_ACCOUNT, Level, covering
from trading.signals import Cause, OrderType, Signal

VERSION = "1.221.0"  # the last one for Python 3.11
ORDERS = 2_000
_AT_ONCE = 1_000
_ROUNDS = 5
_SCRIPT = Path(__file__).parent / "nautilus_engine.py"
_NAMES = count()
_ALONE: tuple[Limits, ...] = ()


def figures() -> list[Figure]:
    theirs = _theirs()
    alone_us, few_us = _Desk(_ALONE).cpu_us(), _Desk(_bounds()).cpu_us()
    reserving = {int(resting): us for resting, us in theirs["reserving_cpu_us"].items()}
    size = f"of {theirs['oversized']}"
    engine = f"us, RiskEngine {theirs['version']}"
    passed = theirs["oversized_passed"]
    return [
        Figure(f"risk: decide and reserve, {_checks(_ALONE)} checks", alone_us, "us CPU",
               theirs["cpu_us"], f"{engine}, cash account, nothing reserved", aim="<= 0.5x"),
        Figure(f"risk: decide and reserve, {_checks(_bounds())} checks", few_us, "us CPU",
               theirs["cpu_us"], f"{engine}, cash account, nothing reserved", aim="<= 0.5x"),
        Figure(f"risk: the same, {_checks(_bounds())} checks", few_us, "us CPU",
               theirs["margin_cpu_us"], f"{engine}, margin account, no notional check"),
        *(Figure(f"risk: the same, {_checks(bounds)} checks, {resting} open",
                 _Desk(bounds, resting).cpu_us(), "us CPU", theirs_us,
                 f"{engine} and Portfolio, as many open", aim="<= 0.5x")
          for bounds in (_ALONE, _bounds()) for resting, theirs_us in reserving.items()),
        Figure("risk: oversized orders that passed", _oversized(theirs["oversized"]), size,
               aim="0"),
        Figure("nautilus: the same, cash account", passed["cash"], size),
        Figure("nautilus: the same, margin account", passed["margin"], size),
    ]  # fmt: skip


class _Desk:
    """One strategy of three, whose symbol, account and desk are bound so; so many orders rest."""

    def __init__(self, bounds: Sequence[Limits], resting: int = 0) -> None:
        instruments = catalogue.load()
        pools = Pools(instruments)
        pools.obey(dict(zip(covering("BTCUSDT", DEFAULT_ACCOUNT), bounds, strict=False)))
        terms = Terms(Decimal(10**9), frozenset({"BTCUSDT"}), _WIDE)
        names = ("probe", "other", "third")
        self.account, *_ = (StrategyAccount(name, terms, instruments, pools) for name in names)
        self._ids = count()
        for _ in range(resting):
            self._decide(_signal(order_type=OrderType.LIMIT, price=Decimal(50_000)))

    def cpu_us(self) -> float:
        return min(self._round() for _ in range(_ROUNDS)) * 1e6

    def _round(self) -> float:
        signals = [_signal() for _ in range(_AT_ONCE)]
        took = 0.0
        for first in range(0, _AT_ONCE, 50):  # so few at once: what is open stays what was said
            began = time.process_time()
            orders = [self._decide(signal) for signal in signals[first : first + 50]]
            took += time.process_time() - began
            for each in orders:
                self.account.on_event(each, OrderEvent.EXPIRE)
        return took / _AT_ONCE

    def _decide(self, signal: Signal) -> str:
        approved = self.account.review(signal, lambda _: _TOUCH, _NOW_NS)
        assert isinstance(approved, Approved), approved
        self.account.reserve(approved.order)
        return approved.order.client_order_id


def _checks(bounds: Sequence[Limits]) -> int:
    """Of a strategy, of what bounds it, and that it trades with nobody of its own account."""
    return len(opening(_WIDE)) + sum(len(bounding(each)) for each in bounds) + 1


def _bounds() -> tuple[Limits, Limits, Limits]:
    """Of the symbol, the account and the desk: all that each may have."""
    a_symbol = {name: getattr(_WIDE, name) for name in TOGETHER[Level.SYMBOL]}
    several = replace(_WIDE, min_account_balance=Decimal(1))
    return replace(UNBOUNDED, **a_symbol), several, several


def _oversized(orders: int) -> int:
    """Of a hundred BTC each, against the default limit of an order's value."""
    terms = Terms(Decimal(100_000), frozenset({"BTCUSDT"}))
    account = StrategyAccount("probe", terms, catalogue.load())
    reviewed = (
        account.review(_signal(quantity=Decimal(100)), lambda _: _TOUCH, _NOW_NS)
        for _ in range(orders)
    )
    return sum(isinstance(each, Approved) for each in reviewed)


def _signal(**fields: Any) -> Signal:
    usual = {"quantity": Decimal("0.001")}
    cause = Cause("BTCUSDT", "tick", 1, _NOW_NS)
    return Signal(f"n{next(_NAMES)}", "BTCUSDT", cause, _NOW_NS, **{**usual, **fields})


def _theirs() -> dict[str, Any]:
    environment = cache.provide(cache.root() / f"nautilus-{VERSION}", _install)
    done = subprocess.run(
        # -P: this folder has an `operator`; -S: nothing of our own environment
        [sys.executable, "-P", "-S", _SCRIPT, str(ORDERS)],
        env={**os.environ, "PYTHONPATH": str(environment)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _install(folder: Path) -> None:
    say(f"installing nautilus_trader {VERSION} for a benchmark, once: 700 MB")
    what = ["--target", str(folder), "--only-binary=:all:", f"nautilus_trader=={VERSION}"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", *what], check=True
    )
