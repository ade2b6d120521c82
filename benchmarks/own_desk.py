"""A real desk on a real journal in a benchmark's own process; the venue is the benchmark."""

import asyncio
import itertools
import time
from decimal import Decimal
from pathlib import Path

import structlog
from benchmarks.load import content

from handover.messages import Batch, Mark
from market_data import Intake, catalogue
from risk_gateway.archive import Archive
from risk_gateway.callers import NOBODY
from risk_gateway.desk import Desk, deployment_of
from risk_gateway.journal import Journal
from risk_gateway.lanes import Leaving
from risk_gateway.market_view import MarketView
from risk_gateway.settings import Clock
from risk_gateway.state import Outside, State
from trading.ids import signal_id
from trading.market import Quote
from trading.signals import Cause, Side, Signal

PRICE = 100
_SIDES = (Side.BUY, Side.SELL)
_CAUSE = Cause("BTCUSDT", "tick", 1, 1)
_FRESH_NS = 10**15  # so late it arrived that it never is stale


class OwnDesk:
    """Of one strategy. `left`: what was to go to the venue."""

    def __init__(self, folder: Path) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        loop = asyncio.get_running_loop()
        self.left: list[Leaving] = []
        self._journal = Journal(folder, loop)
        self._archive = Archive(self._journal.home)
        market = MarketView(Intake(("BTCUSDT",)), Clock.WALL)
        arrived_ns = time.monotonic_ns() + _FRESH_NS
        market.tape.append(
            "BTCUSDT/tick", 1, Quote("BTCUSDT", 1, 1, PRICE, 9, PRICE, 9, arrived_ns)
        )
        outside = Outside(leave=self.left.append)
        self.state = State(self._journal, self._archive, market, catalogue.load(), outside)
        self.desk = Desk(self.state, loop)
        self._number, self._names = 0, itertools.count()

    async def deploy(self) -> None:
        term = self.desk.begin_term("benchmark")
        self.desk.deploy(term, "s", deployment_of("r1", content("simulation"), NOBODY))
        await self.settled()

    def batch(self, signals: int, quantity: Decimal) -> Batch:
        """Buys and sells in turn."""
        self._number += 1
        made = tuple(
            Signal(signal_id("s", "own", _CAUSE.stream, self._number, number), "BTCUSDT", _CAUSE,
                   1, side=_SIDES[number % 2], quantity=quantity)
            for number in itertools.islice(self._names, signals)
        )  # fmt: skip
        return Batch(1, self._number, Mark(self._number), made)

    async def decide(self, batch: Batch) -> None:
        """Until its verdicts are durable."""
        self.desk.admission.take(self.state.strategies["s"], batch, "r1")
        await self.settled()

    async def settled(self) -> None:
        await asyncio.sleep(0)
        while self.desk.admission.queued or self._journal.waiting:
            await self._journal.durable()

    def close(self) -> None:
        self._archive.close()
        self._journal.close()
