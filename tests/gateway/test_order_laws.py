"""Laws of orders: whatever a venue does and however it tells, the ledger ends with its books."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from desk_driver import DeskDriver, buy, cancel
from handover.messages import Batch, Mark
from risk_gateway.lanes import Lanes
from risk_gateway.records import Decided
from risk_gateway.settle import Settler
from risk_gateway.venue import VenueRefused, VenueUnavailable
from rude_venue import Mood, RudeVenue
from trading.fills import Fill
from trading.orders import OrderState
from trading.signals import Action, OrderType, Side, Signal

MOODS = st.lists(st.sampled_from(Mood), max_size=4)
PICK = st.integers(0, 99)
QUIET = 40  # looks after which a venue in a good mood has been asked for everything


class Desk(RuleBasedStateMachine):
    """The desk on its journal, its lanes, its settler; only the wire to the venue is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.venue = RudeVenue()
        self.signals = 0
        self.modifying: list[str] = []  # signals that were accepted
        self.run(self.begin())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    async def begin(self) -> None:
        self.desk = DeskDriver(Path(self.folder.name))
        await self.desk.deploy()
        self.desk.feed_next()

    # ---- the strategy

    @rule(side=st.sampled_from(Side), quantity=st.integers(1, 20), moods=MOODS)
    def orders(self, side: Side, quantity: int, moods: list[Mood]) -> None:
        self.signals += 1
        signal = buy(
            f"n{self.signals}",
            quantity=str(quantity),
            side=side,
            order_type=OrderType.LIMIT,
            price=Decimal(100),
        )
        self.run(self.sends(signal, moods))

    @precondition(lambda self: self.signals)
    @rule(which=PICK, moods=MOODS)
    def cancels(self, which: int, moods: list[Mood]) -> None:
        of = which % self.signals + 1
        self.signals += 1
        self.run(self.sends(cancel(f"n{self.signals}", of=f"n{of}"), moods))

    @precondition(lambda self: self.signals)
    @rule(which=PICK, quantity=st.integers(0, 30), price=st.integers(90, 110), moods=MOODS)
    def modifies(self, which: int, quantity: int, price: int, moods: list[Mood]) -> None:
        of = which % self.signals + 1
        self.signals += 1
        signal = buy(
            f"n{self.signals}",
            quantity=str(quantity),
            action=Action.MODIFY,
            modifies=f"n{of}",
            price=Decimal(price),
        )
        self.run(self.sends(signal, moods))

    async def sends(self, signal: Signal, moods: list[Mood]) -> None:
        batch = Batch(1, 0, Mark(), (signal,))
        self.desk.desk.admission.take(self.desk.strategy, batch, "r1", self.note)
        await self.desk.settled()
        if moods != [Mood.REFUSES]:  # else it stays behind, and leaves with the next one
            await self.leaves(moods)

    def note(self, decision: Decided) -> None:
        if decision.modification is not None:
            self.modifying.append(decision.signal.id)

    async def leaves(self, moods: list[Mood]) -> None:
        self.venue.moods = list(moods)
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(self.venue, tasks, self.desk.desk.execution)  # type: ignore[arg-type]  # a rude one
            for leaving in self.desk.left:
                lanes.put(leaving)
        self.desk.left.clear()
        await self.desk.settled()

    # ---- the venue

    @precondition(lambda self: self.open_orders())
    @rule(which=PICK, share=st.sampled_from(["0.1", "0.5", "1"]))
    def fills(self, which: int, share: str) -> None:
        order = self.open_orders()[which % len(self.open_orders())]
        left = order.quantity - order.gross
        self.venue.fill(order, max(Decimal("0.1"), left * Decimal(share)))

    @precondition(lambda self: self.open_orders())
    @rule(which=PICK, state=st.sampled_from([OrderState.CANCELLED, OrderState.EXPIRED]))
    def ends(self, which: int, state: OrderState) -> None:
        self.open_orders()[which % len(self.open_orders())].state = state

    @precondition(lambda self: any(order.fills for order in self.venue.books.values()))
    @rule(which=PICK)
    def busts(self, which: int) -> None:
        made = [(each, key) for each in self.venue.books.values() for key in each.fills]
        self.venue.bust(*made[which % len(made)])

    @precondition(lambda self: self.venue.late)
    @rule()
    def a_lost_call_arrives(self) -> None:
        self.venue.arrive(self.venue.late.pop(0))

    @precondition(lambda self: self.venue.late_modifications)
    @rule()
    def a_lost_modification_arrives(self) -> None:
        self.venue.decide(*self.venue.late_modifications.pop(0))

    @precondition(lambda self: self.venue.untold)
    @rule(which=PICK, again=st.booleans())
    def tells(self, which: int, again: bool) -> None:
        fills = self.venue.untold
        told = fills[which % len(fills)]
        if not again:
            fills.remove(told)
        self.run(self.hears(told))

    async def hears(self, *fills: Fill) -> None:
        assert Counter(await self.desk.filled(*fills)) == Counter(fill.fill_id for fill in fills)

    # ---- the gateway

    @rule(moods=MOODS)
    def looks(self, moods: list[Mood]) -> None:
        self.venue.moods = list(moods)
        self.run(self.settles())

    async def settles(self) -> None:
        settler = Settler(self.desk.state, self.venue, self.desk.desk.execution)  # type: ignore[arg-type]  # a rude one
        with contextlib.suppress(VenueUnavailable, VenueRefused):  # the next look goes on
            await settler.look(sweep=True)
        await self.desk.settled()

    @rule()
    def restarts(self) -> None:
        self.run(self.lives_again())

    async def lives_again(self) -> None:
        self.desk.again().feed_next()
        self.desk.desk.fill_book.resume()
        await self.desk.settled()

    # ---- what holds

    def open_orders(self) -> list[Any]:
        return [order for order in self.venue.books.values() if order.is_open]

    @invariant()
    def no_order_is_sent_twice(self) -> None:
        assert all(count == 1 for count in self.venue.asked.values())

    @invariant()
    def what_may_still_be_filled_is_reserved(self) -> None:
        """But for what the venue has done and not told, and late copies of what is given up."""
        held = self.desk.strategy.account.orders
        known = [key for key in held if key in self.venue.books]
        for key in known:
            order, at_venue = held[key], self.venue.books[key]
            if order.is_open and at_venue.is_open:
                assert order.outstanding >= at_venue.quantity - at_venue.gross

    def teardown(self) -> None:
        try:
            self.run(self.ends_in_agreement())
        finally:
            self.desk.close()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.folder.cleanup()

    async def ends_in_agreement(self) -> None:
        await self.leaves([])
        while self.venue.late:
            self.venue.arrive(self.venue.late.pop())
        self.venue.moods = []
        await self.settles()
        await self.settles()
        self.agrees_on_terms()
        for order in self.open_orders():
            order.state = OrderState.CANCELLED
        await self.hears(*self.venue.untold)
        for _ in range(QUIET):
            await self.settles()
            if not self.desk.strategy.account.orders:
                break
        self.agrees()
        self.desk.again()
        self.agrees()

    def agrees_on_terms(self) -> None:
        for order in self.desk.strategy.account.orders.values():
            at_venue = self.venue.books[order.client_order_id]
            if at_venue.is_open:
                assert order.asked is None
                assert order.quantity == at_venue.quantity
                assert order.price == Decimal(at_venue.request.price)

    def agrees(self) -> None:
        account = self.desk.strategy.account
        assert account.orders == {}
        assert account.working("BTCUSDT").buys == account.working("BTCUSDT").sells == 0
        held = account.positions.get("BTCUSDT")
        assert (held.quantity if held else 0) == self.venue.position()
        for key, order in self.venue.books.items():
            row = self.desk.archive.order(key)
            assert row is not None
            assert row.filled_quantity == order.filled
            assert row.fee == sum(fill.fee for fill in order.fills.values())
        told = self.desk.strategy.told.outcomes_after(0)
        assert [outcome.number for outcome in told] == list(range(1, len(told) + 1))
        ends = Counter(outcome.signal_id for outcome in told)
        assert all(ends[signal_id] == 1 for signal_id in self.modifying)


class DeskAtLength(Desk):
    """The same laws, for longer."""


TestOrderLaws = Desk.TestCase
TestOrderLaws.settings = settings(max_examples=12, stateful_step_count=30)
TestOrderLawsAtLength = DeskAtLength.TestCase
TestOrderLawsAtLength.settings = settings(max_examples=400, stateful_step_count=50)
TestOrderLawsAtLength.pytestmark = [pytest.mark.long]  # type: ignore[attr-defined]  # pytest's way
