"""A desk to drive: the real one on a real journal, with runners and a market in the test's hand."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from handover.messages import (
    Ack,
    Arm,
    Batch,
    GatewayMessage,
    Hello,
    Mark,
    Outcome,
    Outcomes,
    Refused,
    Subscribed,
    Welcome,
)
from handover.timing import Timing
from market_data import Intake, catalogue
from risk_gateway.archive import Archive
from risk_gateway.callers import Caller, Runners
from risk_gateway.desk import Desk, deployment_of
from risk_gateway.explanation import Explanation, explained
from risk_gateway.journal import Journal
from risk_gateway.lanes import Leaving
from risk_gateway.market_view import MarketView
from risk_gateway.policies import Policies
from risk_gateway.positions import PositionUpdate
from risk_gateway.restore import Restoration
from risk_gateway.settings import Clock
from risk_gateway.state import Outside, State
from risk_gateway.strategy import Strategy
from trading.currencies import Currencies
from trading.fills import Fill
from trading.ids import client_order_id, signal_of
from trading.instruments import Instrument
from trading.orders import Order, OrderState
from trading.routes import Route, Routes
from trading.signals import Action, Cause, OrderType, Side, Signal, Verdict

SYMBOLS = ("BTCUSDT", "ETHUSDT")
TOKEN = "the-runner's"
OPERATOR = "the-operator's"
HASH = sha256(TOKEN.encode()).hexdigest()
AMPLE = {
    "max_order_value": "1000000",
    "max_position_size": "1000",
    "max_daily_loss": "1000000",
    "max_drawdown": "1",
    "min_account_balance": "0",
    "max_orders_per_second": "100000",
    "max_orders_per_minute": "100000",
}
SECOND_NS = 1_000_000_000
M = TypeVar("M")


def caller(token: str) -> Caller:
    """Whoever shows a shared token."""
    return Caller(token_sha256=sha256(token.encode()).hexdigest())


def content(mode: str = "simulation", capital: str = "1000000", **limits: Any) -> str:
    return json.dumps(
        {
            "symbols": ["BTCUSDT"],
            "mode": mode,
            "capital": {"amount": capital, "currency": "USDT"},
            "limits": AMPLE | limits,
        }
    )


def tick(sequence: int, bid: float = 100.0, symbol: str = "BTCUSDT") -> bytes:
    """Spread 1; a second apart."""
    return json.dumps(
        {
            "type": "tick", "symbol": symbol, "sequence": sequence, "session": "run-1",
            "timestamp": sequence * SECOND_NS, "bid_price": bid, "ask_price": bid + 1,
            "bid_size": 5, "ask_size": 5,
        }
    ).encode()  # fmt: skip


def buy(name: str, cause: int = 1, quantity: str = "1", **fields: Any) -> Signal:
    """A market order of 1 BTCUSDT, unless the fields say otherwise."""
    place = Cause("BTCUSDT", "tick", cause, cause * SECOND_NS)
    usual = {"side": Side.BUY, "quantity": Decimal(quantity), "symbol": "BTCUSDT"}
    return Signal(id=name, cause=place, at_ns=place.at_ns, **{**usual, **fields})


def cancel(name: str, of: str, **fields: Any) -> Signal:
    return buy(name, action=Action.CANCEL, cancels=of, **fields)


def fill(of: str, number: int = 1, quantity: str = "1", **fields: Any) -> Fill:
    """Of the order of signal `of`, bought at 101."""
    usual = {
        "fill_id": f"{of}-0-{number}", "client_order_id": client_order_id(of), "strategy": "s",
        "symbol": "BTCUSDT", "side": Side.BUY, "price": Decimal(101),
        "quantity": Decimal(quantity), "fee": Decimal("0.1"), "at_ns": 7,
    }  # fmt: skip
    return Fill(**{**usual, **fields})


def foreign_order(name: str = "hand-0", **fields: Any) -> Order:
    """Adopted: somebody else has sent it."""
    usual: dict[str, Any] = {
        "client_order_id": name, "signal_id": signal_of(name), "strategy": "s", "revision": "",
        "epoch": 0, "symbol": "BTCUSDT", "side": Side.BUY, "order_type": OrderType.LIMIT,
        "quantity": Decimal(3), "price": Decimal(90), "cause": buy("x").cause, "at_ns": 1,
        "state": OrderState.ACCEPTED, "adopted": True,
    }  # fmt: skip
    return Order(**{**usual, **fields})


@dataclass
class Runner:
    """A runner's end of a session. What it is told lies in `told`."""

    desk: "DeskDriver"
    instance: str
    revision: str = "r1"
    name: str = "s"
    told: list[GatewayMessage] = field(default_factory=list)
    closed: str = ""
    number: int = 0
    count: int = 0
    session: str = "run-1"

    def send(self, message: GatewayMessage) -> None:
        self.told.append(message)
        if message == Welcome(0, 0):  # whoever begins anew says when it is subscribed
            asyncio.get_running_loop().call_soon(self.say, Subscribed(1))

    def close(self, reason: str) -> None:
        self.closed = reason

    def connect(self, token: str = TOKEN, **hello: Any) -> None:
        said = Hello(self.name, self.revision, self.instance, token, subscription=1, **hello)
        self.strategy = self.desk.desk.connect(self, said, caller(token))

    def say(self, message: Any) -> None:
        self.desk.desk.message(self.strategy, self.instance, message)

    def leave(self) -> None:
        self.desk.desk.disconnect(self.strategy, self.instance, self)

    def last(self, kind: type[M]) -> M:
        return [each for each in self.told if isinstance(each, kind)][-1]

    @property
    def epoch(self) -> int:
        return self.last(Arm).epoch

    @property
    def acks(self) -> list[Ack]:
        return [each for each in self.told if isinstance(each, Ack)]

    @property
    def outcomes(self) -> list[Outcome]:
        return [o for each in self.told if isinstance(each, Outcomes) for o in each.outcomes]

    @property
    def refusals(self) -> list[Refused]:
        return [each for each in self.told if isinstance(each, Refused)]

    def batch(self, *signals: Signal, epoch: int = 0, number: int = 0, **more: Any) -> None:
        """The next one, on one more tick."""
        self.number = number or self.number + 1
        self.count += 1
        mark = Mark(self.count, sequences={"BTCUSDT/tick": self.count}, session=self.session)
        self.say(Batch(epoch or self.epoch, self.number, mark, signals, **more))

    async def decide(self, *signals: Signal, **more: Any) -> tuple[Verdict, ...]:
        """The verdicts, once they are told."""
        self.batch(*signals, **more)
        await self.desk.settled()
        found = self.last(Ack)
        assert found.batch == self.number
        return found.verdicts


class DeskDriver:
    """One life of a desk; `again()` is the next one on the same journal."""

    symbols: tuple[str, ...] = SYMBOLS
    catalogue: Callable[[], Mapping[str, Instrument]] = staticmethod(catalogue.load)
    currency = ""
    wall_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    def __init__(
        self,
        folder: Path,
        clock: Clock = Clock.MARKET,
        *,
        asks_for_policies: bool = False,
        real_venue: bool = False,
        routes: Routes | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.folder, self.clock, self.asks_for_policies = folder, clock, asks_for_policies
        self.journal = Journal(folder, loop)
        self.archive = Archive(self.journal.path)
        self.market = MarketView(Intake(self.symbols), clock, self.wall_ns, self.monotonic_ns)
        self.left: list[Leaving] = []
        self.published: list[PositionUpdate] = []
        self.venue_available = True
        outside = Outside(
            leave=self.left.append,
            publish=self.published.append,
            venue_available=lambda _: self.venue_available,
        )
        routes = routes or Routes((Route(real=real_venue),))
        policies = Policies(asked_for=asks_for_policies, routes=routes)
        instruments = self.catalogue()
        self.state = State(
            self.journal,
            self.archive,
            self.market,
            instruments,
            outside,
            policies=policies,
            currencies=Currencies.of(self.currency, instruments, self.symbols),
        )
        timing = Timing(soak=0.05)
        Restoration(self.state, timing).run()
        self.desk = Desk(self.state, loop, timing=timing)
        self.now = 0.0

    def close(self) -> None:
        self.archive.close()
        self.journal.close()

    def again(self, *, real_venue: bool = False, routes: Routes | None = None) -> "DeskDriver":
        self.close()
        asks = self.asks_for_policies
        self.__init__(  # type: ignore[misc]  # the same object, a new life
            self.folder, self.clock, asks_for_policies=asks, real_venue=real_venue, routes=routes
        )
        return self

    @property
    def strategy(self) -> Strategy:
        return self.state.strategies["s"]

    def feed(self, *ticks: bytes) -> None:
        for payload in ticks:
            self.market.on_payload(payload)
        self.desk.admission.on_market()

    def feed_next(self, bid: float = 100.0) -> None:
        latest = self.market.tape.latest("BTCUSDT")
        self.feed(tick(latest.sequence + 1 if latest else 1, bid))

    def explain(self, name: str) -> Explanation:
        """Read as a tool would: from the journal alone."""
        archive = Archive(self.journal.path, one_moment=True)
        try:
            return explained(archive, name)
        finally:
            archive.close()

    def tick(self, seconds: float = 0.02, step_s: float = 0.02) -> None:
        for _ in range(max(1, round(seconds / step_s))):
            self.now += step_s
            self.desk.tick(self.now)

    async def settled(self, seconds: float = 0.06, step_s: float = 0.02) -> None:
        """Until nothing is on its way, with the clock moving on."""
        for _ in range(4):
            self.tick(seconds / 4, step_s)
            await asyncio.sleep(0)
            while self.in_line:
                await asyncio.sleep(0)
            await self.journal.durable()
            while self.journal.waiting:
                await self.journal.durable()

    @property
    def in_line(self) -> int:
        """Signals in the queue that wait for nothing but their turn."""
        parked = sum(len(each.parked) for each in self.state.strategies.values())
        return self.desk.admission.queued - parked

    async def deploy(self, revision: str = "r1", text: str = "", strategy: str = "s") -> None:
        term = self.desk.begin_term("test")
        made = deployment_of(revision, text or content(), Runners(HASH))
        self.desk.deploy(term, strategy, made)
        await self.settled()

    def runner(self, instance: str = "a", revision: str = "r1", name: str = "s") -> Runner:
        return Runner(self, instance, revision, name)

    async def armed(self, text: str = "", instance: str = "a", name: str = "s") -> Runner:
        """A runner that may decide, and one tick of the market."""
        if name not in self.state.strategies:
            await self.deploy(text=text, strategy=name)
        if not self.market.tape.arrived:
            self.feed_next()
        runner = self.runner(instance, name=name)
        runner.connect()
        await self.settled()
        assert runner.last(Arm)
        return runner

    async def filled(self, *fills: Fill) -> list[str]:
        """The ids of the fills that were acknowledged."""
        done: list[str] = []
        for each in fills:
            self.desk.fill_book.take(each, lambda each=each: done.append(each.fill_id))  # type: ignore[misc]  # bound at once
        await self.settled()
        return done

    @property
    def orders(self) -> list[str]:
        """Client order ids that left."""
        return [leaving.client_order_id for leaving in self.left if leaving.request]
