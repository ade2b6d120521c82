"""NautilusTrader's RiskEngine, in an environment of its own: JSON on stdout.

python benchmarks/nautilus_engine.py ORDERS times it on that many market orders of a cash account
with a notional limit, and counts how many oversized ones pass, by the account's kind. The endpoint
behind it takes what passes and does nothing, so that only the risk engine is timed. Its engine
reserves nothing: the portfolio does, when an order is accepted. So other times are of both, for
limit orders of which so many rest already.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import nautilus_trader
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OrderSide
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import AccountId, StrategyId, TraderId
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.config import RiskEngineConfig
from nautilus_trader.risk.engine import RiskEngine
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs

_TRADER, _STRATEGY = TraderId("BENCH-000"), StrategyId("probe-000")
_MOST = 50_000  # USDT of an order
_SMALL, _OVERSIZED = "0.100000", "100.000000"  # of BTC, at 61,837
_AT_ONCE = 1_000
_RESTING = "0.001000"
_OPEN = (0, 10, 100, 1_600)
_MORE = 10
_ACCOUNT = AccountId("BINANCE-001")
_ROUNDS = 5


class Engine:
    """One risk engine, a venue's account, and a quote; what passes is counted."""

    def __init__(self, kind: AccountType) -> None:
        self.passed = self.denied = 0
        self.clock = TestClock()
        self.cache = Cache(database=None)
        bus = MessageBus(trader_id=_TRADER, clock=self.clock)
        self.portfolio = Portfolio(msgbus=bus, cache=self.cache, clock=self.clock)
        self.instrument = TestInstrumentProvider.btcusdt_binance()
        self.cache.add_instrument(self.instrument)
        self.cache.add_quote_tick(self._quote())
        bus.register("ExecEngine.execute", self._pass)
        bus.register("ExecEngine.process", self._deny)
        self.risk = RiskEngine(
            portfolio=self.portfolio,
            msgbus=bus,
            cache=self.cache,
            clock=self.clock,
            config=RiskEngineConfig(
                max_order_submit_rate="1000000/00:00:01",
                max_notional_per_order={str(self.instrument.id): _MOST},
            ),
        )
        self.portfolio.update_account(_account(kind))
        self.orders = OrderFactory(trader_id=_TRADER, strategy_id=_STRATEGY, clock=self.clock)

    def _pass(self, _: Any) -> None:
        self.passed += 1

    def _deny(self, _: Any) -> None:
        self.denied += 1

    def _quote(self) -> QuoteTick:
        bid, ask = Price.from_str("61837.63"), Price.from_str("61837.64")
        size = Quantity.from_str("5.000000")
        return QuoteTick(self.instrument.id, bid, ask, size, size, 0, 0)

    def command(self, quantity: str) -> SubmitOrder:
        """Of an order that the cache has, as a strategy would leave it."""
        return self._command(
            self.orders.market(self.instrument.id, OrderSide.BUY, Quantity.from_str(quantity))
        )

    def resting(self) -> SubmitOrder:
        quantity, price = Quantity.from_str(_RESTING), Price.from_str("50000.00")
        return self._command(self.orders.limit(self.instrument.id, OrderSide.BUY, quantity, price))

    def reserve(self, command: SubmitOrder, news: Iterable[Any]) -> None:
        """Through the risk engine, then accepted, so that the account has it locked."""
        order = command.order
        self.risk.execute(command)
        for event in news:
            order.apply(event)
            self.cache.update_order(order)
            self.portfolio.update_order(event)

    def _command(self, order: Any) -> SubmitOrder:
        self.cache.add_order(order)
        return SubmitOrder(
            trader_id=_TRADER,
            strategy_id=_STRATEGY,
            order=order,
            command_id=UUID4(),
            ts_init=0,
        )


def _account(kind: AccountType) -> AccountState:
    balance = AccountBalance(Money(100_000, USDT), Money(0, USDT), Money(100_000, USDT))
    return AccountState(
        account_id=_ACCOUNT,
        account_type=kind,
        base_currency=None,
        reported=True,
        balances=[balance],
        margins=[],
        info={},
        event_id=UUID4(),
        ts_event=0,
        ts_init=0,
    )


def _cpu_us(orders: int, engine: Engine) -> float:
    """The best round of a thousand."""
    return min(_round(engine) for _ in range(max(_ROUNDS, orders // _AT_ONCE))) * 1e6


def _round(engine: Engine) -> float:
    commands = [engine.command(_SMALL) for _ in range(_AT_ONCE)]
    before, execute = engine.passed, engine.risk.execute
    began = time.process_time()
    _each(execute, commands)
    took = time.process_time() - began
    assert engine.passed - before == _AT_ONCE, "an order that should pass did not"
    return took / _AT_ONCE


def _each(execute: Callable[[SubmitOrder], None], commands: list[SubmitOrder]) -> None:
    for command in commands:
        execute(command)


def _reserving_cpu_us(resting: int) -> float:
    """Of the next ten orders, the best of five times."""
    return min(_reserving_round(resting) for _ in range(_ROUNDS)) * 1e6


def _reserving_round(resting: int) -> float:
    engine = Engine(AccountType.CASH)
    for _ in range(resting):
        engine.reserve(*_accepted(engine.resting()))
    assert engine.passed == resting, f"{engine.passed} passed"
    made = [_accepted(engine.resting()) for _ in range(_MORE)]
    began = time.process_time()
    for command, news in made:
        engine.reserve(command, news)
    return (time.process_time() - began) / _MORE


def _accepted(command: SubmitOrder) -> tuple[SubmitOrder, tuple[Any, Any]]:
    """With what the venue will say of it."""
    order = command.order
    return command, (
        TestEventStubs.order_submitted(order, account_id=_ACCOUNT),
        TestEventStubs.order_accepted(order, account_id=_ACCOUNT),
    )


def _oversized(kind: AccountType, orders: int) -> int:
    engine = Engine(kind)
    for _ in range(orders):
        engine.risk.execute(engine.command(_OVERSIZED))
    return engine.passed


def main(orders: int) -> None:
    AccountFactory.register_calculated_account("BINANCE")
    found = {
        "version": nautilus_trader.__version__,
        "cpu_us": _cpu_us(orders, Engine(AccountType.CASH)),
        "margin_cpu_us": _cpu_us(orders, Engine(AccountType.MARGIN)),
        "reserving_cpu_us": {resting: _reserving_cpu_us(resting) for resting in _OPEN},
        "oversized": orders,
        "oversized_passed": {
            "cash": _oversized(AccountType.CASH, orders),
            "margin": _oversized(AccountType.MARGIN, orders),
        },
    }
    print("\n" + json.dumps(found), flush=True)  # its own log goes to stdout too


if __name__ == "__main__":
    main(int(sys.argv[1]))
