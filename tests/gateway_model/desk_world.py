"""The real desk and its slow model side by side: the same things happen to both.

`DeskWorld` has one method for each thing that can happen to a desk; each does it to the desk, tells
the model, and `compare` raises `Differs` where the two do not say the same. What happens when is
`desk_stories`' to say.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

import desk_modifications
import desk_venues
import model_breaches
import model_busts
import model_flattening
import model_modifications
import model_pools
import world_pools
from desk_driver import HASH, TOKEN, DeskDriver, Runner
from desk_model import DeskModel, Fact, outstanding
from handover.messages import (
    Ack,
    Alive,
    Arm,
    Batch,
    Mark,
    OrderEnd,
    OrderFill,
    OrderModified,
    OrderSized,
    Outcome,
    Outcomes,
    Phase,
    Ready,
    Refused,
    Restore,
    Snapshot,
    Stop,
    Subscribed,
    WantSnapshot,
    Welcome,
)
from hostile_venue import HostileVenue, OneVenue
from market_data import catalogue
from model_samples import samples
from model_venues import EVERYTHING, Route
from risk_gateway.callers import Runners
from risk_gateway.desk import NotAllowed, deployment_of
from risk_gateway.halt_file import HaltFile
from risk_gateway.lanes import Leaving
from risk_gateway.pruning import pruned
from risk_gateway.records import Decided, Kind, Started, breach_source, record, started_key
from risk_gateway.sealing import made_of, seal_record
from risk_gateway.settings import Clock
from risk_gateway.settle import Settler
from risk_gateway.strategy import BREACH, Strategy
from risk_gateway.verification import verified
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, REASONS
from trading.fills import Fill
from trading.instruments import Instrument
from trading.orders import Modification, OrderState
from trading.positions import Position
from trading.reasons import Reason
from trading.scopes import Scope
from trading.signals import Side, Signal
from trading.votes import Box

CLOSE_ENOUGH = Decimal("1e-12")  # a share of a cost is rounded once, at 18 digits
SIDES = (Side.BUY, Side.SELL)
_MARKED_S = 5.2  # by then what looks have moved is on disk
_IDLE, _LONG_IDLE = 3, 50  # turns of the loop without anything to write
START_NS = 1_700_000_000 * 10**9


class Differs(AssertionError):
    """The desk and its model do not say the same."""


class ClockedDesk(DeskDriver):
    """One whose clocks are in the test's hand."""

    time = [START_NS, 10**9]  # the wall's, and a monotonic one
    routes = desk_venues.table(EVERYTHING)
    # What is done to the journal before the next life.
    between: Callable[[Path], None] | None = None
    is_closed = False

    def close(self) -> None:
        """Once: what `between` objects to may have ended a story."""
        if self.is_closed:
            return
        self.is_closed = True
        super().close()
        between, self.between = self.between, None
        if between is not None:
            between(self.journal.path)

    def again(self, **_: Any) -> "ClockedDesk":
        super().again(routes=self.routes)
        self.is_closed = False
        return self

    @staticmethod
    def wall_ns() -> int:
        return ClockedDesk.time[0]

    @staticmethod
    def monotonic_ns() -> int:
        return ClockedDesk.time[1]


class DeskOfSeveral(ClockedDesk):
    """One that says its currency: what it hears of ETHUSDT is quoted in BTC, whatever its name."""

    currency = "USDT"

    @staticmethod
    def catalogue() -> Mapping[str, Instrument]:
        shipped = catalogue.load()
        return {**shipped, "ETHUSDT": replace(shipped["ETHUSDT"], quote_currency="BTC")}


class DeskInCoins(DeskOfSeveral):
    currency = "BTC"


DESKS = {each.currency: each for each in (ClockedDesk, DeskOfSeveral, DeskInCoins)}


@dataclass
class ObedientRunner(Runner):
    """Answers the gateway as the protocol wants it, and remembers what it was told."""

    world: "DeskWorld" = None  # type: ignore[assignment]  # always given
    grants: list[int] = field(default_factory=list)
    applied: int = 0  # the last outcome
    heard: list[Outcome] = field(default_factory=list)
    verdicts: dict[str, list[Reason | None]] = field(default_factory=dict)  # by batch
    acknowledged: Counter[int] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    sent: Batch | None = None  # the last one

    def send(self, message: Any) -> None:
        react = _REACTIONS.get(type(message))
        if react is not None:
            asyncio.get_running_loop().call_soon(react, self, message)

    @property
    def epoch(self) -> int:
        return self.grants[-1] if self.grants else 0

    def mark(self) -> Mark:
        world = self.world
        return Mark(
            self.count,
            outcome=self.applied,
            sequences=dict(world.published),
            session=world.session,
        )

    def decide(self, *signals: Signal, stopped: str = "") -> None:  # type: ignore[override]  # told by `world`
        self.number += 1
        self.count += 1
        self.sent = Batch(self.epoch, self.number, self.mark(), signals, stopped=stopped)
        self.say(self.sent)

    def key(self, number: int) -> str:
        """Of a batch."""
        return f"{self.name}|{self.epoch}|{number}"

    def back(self) -> None:
        """After a restart of the gateway."""
        self.connect(phase=Phase.ARMED, epoch=self.epoch, batch=self.number)

    # ---- reactions

    def _welcome(self, message: Welcome) -> None:
        if message == Welcome(0, 0):
            self.say(Subscribed(1))
        elif message.batch < self.number and self.sent is not None:
            self.say(self.sent)

    def _want_snapshot(self, message: WantSnapshot) -> None:
        if message.instance:
            mark = self.mark()
            self.say(Snapshot(message.instance, message.subscription, self.number, mark, b""))

    def _restore(self, _: Restore) -> None:
        self.say(Ready(True))

    def _stop(self, _: Stop) -> None:
        self.decide(stopped="asked")

    def _arm(self, message: Arm) -> None:
        assert message.mark is not None
        self.grants.append(message.epoch)
        self.number, self.count = 0, message.mark.count
        self.applied = message.mark.outcome
        self._outcomes(Outcomes(message.outcomes))

    def _outcomes(self, message: Outcomes) -> None:
        for outcome in message.outcomes:
            if outcome.number > self.applied:
                if outcome.number != self.applied + 1:
                    raise Differs(f"{self.name}: outcome {outcome.number} after {self.applied}")
                self.applied = outcome.number
                self.heard.append(outcome)

    def _ack(self, message: Ack) -> None:
        self.acknowledged[message.batch] += 1
        self.verdicts[self.key(message.batch)] = [each.reason for each in message.verdicts]

    def _refused(self, message: Refused) -> None:
        self.refused.append(message)


_REACTIONS: dict[type, Callable[[ObedientRunner, Any], None]] = {
    Welcome: ObedientRunner._welcome,
    WantSnapshot: ObedientRunner._want_snapshot,
    Restore: ObedientRunner._restore,
    Stop: ObedientRunner._stop,
    Arm: ObedientRunner._arm,
    Outcomes: ObedientRunner._outcomes,
    Ack: ObedientRunner._ack,
    Refused: ObedientRunner._refused,
}


@dataclass
class Seat:
    """A strategy's place: what was deployed for it, and who runs it."""

    name: str
    contents: dict[str, dict[str, Any]] = field(default_factory=dict)
    wanted: str = ""
    armed: str = ""
    runner: ObedientRunner | None = None
    former: ObedientRunner | None = None  # was replaced, and may still say something
    runners: int = 0
    signals: int = 0
    floor: dict[str, int] = field(default_factory=dict)  # what was decided, by stream
    compared: int = 0  # outcomes
    fenced: int = 0
    own: list[Decided] = field(default_factory=list)  # the gateway's, as far as they are compared


class DeskWorld:
    def __init__(
        self,
        folder: Path,
        *,
        market_clock: bool = True,
        asks_for_policies: bool = False,
        routes: tuple[Route, ...] = EVERYTHING,
        currency: str = "",
    ) -> None:
        self.currency = currency
        ClockedDesk.time[:] = [START_NS, 10**9]
        clock = Clock.MARKET if market_clock else Clock.WALL
        self.next_routes, there = routes, desk_venues.table(routes)
        desk = DESKS[currency]
        self.driver = desk(folder, clock, asks_for_policies=asks_for_policies, routes=there)
        self.driver.routes = there
        self.folder = folder
        self.model = DeskModel(
            self.driver.state.instruments,
            market_clock=market_clock,
            asks_for_policies=asks_for_policies,
            currency=currency,
            feed=self.driver.symbols,
        )
        self.venue = HostileVenue()
        self.seats: dict[str, Seat] = {}
        self.accounts: dict[str, str] = {}  # of strategies that are not in the usual one
        self.session = "run-1"
        self.published: dict[str, int] = {}  # the last sequence of each stream
        self.under_way: deque[tuple[dict[str, Any], Any]] = deque()  # messages not yet here
        self.leaving: deque[Leaving] = deque()
        self.answers: list[tuple[Leaving, pb.OrderResponse]] = []
        self.late_copies: list[tuple[str, Modification]] = []  # of calls that nobody waits for
        self.fills: list[Fill] = []  # traded, not yet delivered
        self.delivered: list[Fill] = []
        self.tools: dict[str, Reason | None] = {}
        self.expected_tools: set[str] = set()
        self.compared = 0  # facts of the model
        self.reasons: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.term = 0
        self._begin_life()

    def _begin_life(self) -> None:
        self._note_settings()
        self.halt_file = HaltFile(self.folder, self.driver.state, self.driver.desk.bounds)
        self.halt_file.look()
        state, away = self.driver.state, self.model.away
        self.driver.desk.allow_live = True
        self.settlers = {
            name: Settler(state, OneVenue(self.venue, name, away), self.driver.desk.execution)  # type: ignore[arg-type]  # its calls
            for name in state.policies.routes.venues
        }
        state.outside.venue_available = lambda name: name not in away
        self.model.routes = self.next_routes
        self.model.now_s = self.driver.now

    def _note_settings(self) -> None:
        """As a gateway does: what is made of the journal alone goes by them."""
        driver = self.driver
        asks, instruments = driver.asks_for_policies, driver.state.instruments
        routes = driver.state.policies.routes.all
        body = Started(driver.clock, asks, False, instruments, False, routes, self.currency)
        written = record(Kind.STARTED, body, self.now_ns, key=started_key(driver.journal.last))
        driver.journal.append([written])

    def close(self) -> None:
        self.driver.close()

    async def quiet(self) -> None:
        """Until nothing is on its way any more; time stands still."""
        journal, admission = self.driver.journal, self.driver.desk.admission
        idle = 0
        while idle < (_LONG_IDLE if admission.queued > len(self.model.waiting) else _IDLE):
            await asyncio.sleep(0)
            idle += 1
            while journal.waiting:
                await journal.durable()
                idle = 0

    # ---- time and market

    @property
    def now_ns(self) -> int:
        return ClockedDesk.time[0]

    def step_clock(self, nanoseconds: int) -> None:
        """The wall's, and with it the market's: also back."""
        ClockedDesk.time[0] += nanoseconds
        self.model.wall_ns = ClockedDesk.time[0]

    def go_on(self, nanoseconds: int) -> None:
        self.step_clock(nanoseconds)
        ClockedDesk.time[1] += nanoseconds
        self.model.monotonic_ns = ClockedDesk.time[1]

    def publish(self, symbol: str, kind: str, price: tuple[float, float] | None) -> int:
        """One more message of the feed; it is on its way."""
        stream = f"{symbol}/{kind}"
        sequence = self.published[stream] = self.published.get(stream, 0) + 1
        message: dict[str, Any] = {
            "type": kind,
            "symbol": symbol,
            "sequence": sequence,
            "session": self.session,
            "timestamp": self.now_ns,
        }
        if price is None:
            message |= {"last_price": 100, "volume": 1}
        else:
            message |= {"bid_price": price[0], "ask_price": price[1]}
        self.under_way.append((message, price))
        return sequence

    def deliver_message(self, *, lost: bool = False) -> None:
        message, price = self.under_way.popleft()
        if lost:
            return
        self.driver.feed(json.dumps(message).encode())
        exact = tuple(Decimal(str(each)) for each in price) if price else None
        where = (message["symbol"], message["type"], message["sequence"])
        self.model.message(*where, message["timestamp"], exact)

    def deliver_messages(self) -> None:
        while self.under_way:
            self.deliver_message()

    def feed_what_is_dropped(self, message: dict[str, Any]) -> None:
        self.driver.feed(json.dumps(message).encode())

    async def pass_time(self, seconds: float) -> None:
        """The gateway is awake, and its runners say that they live."""
        breaches, ticks = self.driver.desk.breaches, []
        breaches._next_look = 0.0  # however long the last look took
        for _ in range(round(seconds / 0.02)):
            for seat in self.seats.values():
                if seat.runner is not None:
                    seat.runner.say(Alive())
            self.driver.tick()
            breaches._next_look = inf
            ticks.append(self.driver.now)
        self.model.pass_time(ticks)
        await self.quiet()

    # ---- supervisors

    def deploy(self, name: str, revision: str, content: dict[str, Any]) -> None:
        seat = self.seats.setdefault(name, Seat(name))
        desk = self.driver.desk
        self.term = self.term or desk.begin_term("story")
        if name in self.accounts:
            content = {**content, "account": self.accounts[name]}
        desk.deploy(self.term, name, deployment_of(revision, json.dumps(content), Runners(HASH)))
        seat.contents[revision], seat.wanted = content, revision
        self.model.note("deployed", strategy=name, revision=revision, content=content)
        self.model.note("wanted", strategy=name, revision=revision)
        self.model.renew_terms(name)

    def does_not_deploy(self, name: str, revision: str, content: dict[str, Any]) -> None:
        made = deployment_of(revision, json.dumps(content), Runners(HASH))
        try:
            self.driver.desk.deploy(self.term, name, made)
        except NotAllowed:
            return
        raise Differs(f"{name}: a capital of {content['capital']} was deployed")

    def newcomer(self, seat: Seat) -> ObedientRunner:
        seat.runners += 1
        instance = f"{seat.name}.{seat.runners}"
        return ObedientRunner(self.driver, instance, seat.wanted, seat.name, world=self)

    async def arm(self, seat: Seat) -> None:
        """A runner of the wanted revision is armed: fresh, or from where the old one stood."""
        runner, old = self.newcomer(seat), seat.runner
        if old is not None and not old.number:
            old.decide()  # nobody hands over who has not shown himself
        runner.connect(TOKEN)
        for _ in range(8):
            await self.quiet()
            if runner.epoch:
                break
        if not runner.epoch:
            raise Differs(f"{runner.instance} of {runner.revision} was not armed")
        seat.runner, seat.former = runner, old
        if old is not None:  # its last batch says that it stopped
            self.model.decides_in(seat.name, self.session, "")
            old.leave()
        self.armed(seat, runner.revision)
        runner.decide()  # shows that it began
        self.model.decides_in(seat.name, self.session, "")
        await self.quiet()

    def armed(self, seat: Seat, revision: str) -> None:
        seat.armed = revision
        self.model.note("armed", strategy=seat.name, revision=revision)
        self.model.renew_terms(seat.name)

    async def lose_runner(self, seat: Seat) -> None:
        """Its link ends, and nobody comes within a second."""
        assert seat.runner is not None
        runner, seat.runner = seat.runner, None
        runner.leave()
        await self.pass_time(1.4)
        seat.armed, seat.former = "", runner
        self.model.note("armed", strategy=seat.name, revision="")
        self.model.renew_terms(seat.name)

    async def withdraw(self, seat: Seat, *, flatten: bool) -> None:
        """Its runner ends and leaves; nobody comes until it is deployed again."""
        runner, number = seat.runner, seat.runner.number if seat.runner else 0
        self.driver.desk.withdraw(self.term, seat.name, "story", flatten=flatten)
        model_flattening.withdraw(self.model, seat.name, flatten=flatten)
        seat.wanted = ""
        for _ in range(8):
            await self.quiet()
        if runner is not None:
            self.same(f"epoch of {seat.name}", 0, self.strategy(seat).grants.epoch)
            if runner.number > number:  # its last batch says that it stopped
                self.model.decides_in(seat.name, self.session, "")
            runner.leave()
            seat.runner, seat.former = None, runner
        self.armed(seat, "")

    async def prove(self, seat: Seat) -> None:
        """A run that has lasted a second is no crash loop."""
        assert seat.runner is not None
        if not seat.runner.number:
            seat.runner.decide()
            await self.quiet()
        await self.pass_time(1.2)

    # ---- bounds

    def halt(self, source: str) -> None:
        if source == "file":
            (self.folder / "halt").write_text("drill")
            self.halt_file.look()
        else:
            self.driver.desk.bounds.halt("drill", source=source)
        self.model.note("halted", source=source)

    def resume(self, source: str) -> None:
        if source == "file":
            (self.folder / "halt").unlink(missing_ok=True)
            self.halt_file.look()
        else:
            self.driver.desk.bounds.resume("over", source=source)
        self.model.note("resumed", source=source)

    def list_policies(self, specs: dict[str, dict[str, Any]]) -> None:
        self.driver.desk.bounds.list_policies(specs)
        self.model.note("policies_listed", specs=specs)
        self._renew()

    def change_policy(self, name: str, spec: dict[str, Any] | None) -> None:
        self.driver.desk.bounds.policy_changed(name, spec)
        self.model.note("policy", name=name, spec=spec)
        self._renew()

    def _renew(self) -> None:
        for name in self.seats:
            self.model.renew_terms(name)

    def venue_goes(self, name: str, *, away: bool) -> None:
        self.model.away.add(name) if away else self.model.away.discard(name)

    # ---- signals

    def next_id(self, seat: Seat) -> str:
        seat.signals += 1
        return f"{seat.name}.{seat.signals}"

    def decide(self, seat: Seat, signals: Sequence[Signal]) -> None:
        """What `drain` then judges, with all else that came in the same moment."""
        runner = seat.runner
        assert runner is not None
        runner.decide(*signals)
        seat.floor = dict(self.published)
        self._take(seat, runner, signals)

    def _take(self, seat: Seat, runner: ObedientRunner, signals: Sequence[Signal]) -> None:
        key = runner.key(runner.number)
        self.model.decides_in(seat.name, self.session, key)
        self.model.take(seat.name, key, signals)

    def drain(self) -> None:
        self.model.drain()

    def submit(self, seat: Seat, signal: Signal, epoch: int) -> str | None:
        """A tool's signal; the reason when it is refused at the fence."""
        key = f"tool|{signal.id}"
        done: Callable[[Any], None] = lambda decided: self.tools.__setitem__(key, decided.reason)  # noqa: E731
        refused = self.driver.desk.submit(self.strategy(seat), epoch, signal, done)
        if refused is not None:
            self.reasons[str(refused.reason)] += 1
            return refused.reason
        if session := self.strategy(seat).grants.mark.session:  # of the armed one's last batch
            self.model.decides_in(seat.name, session, key)
        self.model.take(seat.name, key, [signal])
        return None

    def strategy(self, seat: Seat) -> Strategy:
        return self.driver.state.strategies[seat.name]

    async def fenced(self, seat: Seat, runner: ObedientRunner, batch: Batch) -> None:
        """A batch that may not count."""
        before = len(runner.refused)
        runner.say(batch)
        await self.quiet()
        seat.fenced += len(batch.signals)
        self.reasons["fenced"] += len(batch.signals)
        refused = runner.refused[before:]
        found = [(each.batch, each.signals, each.reason) for each in refused]
        self.same("fenced", [(batch.number, len(batch.signals), "fenced")], found)

    async def repeat(self, seat: Seat) -> None:
        """The last batch again: acknowledged again, and nothing more."""
        runner = seat.runner
        assert runner is not None
        assert runner.sent is not None
        before = runner.acknowledged[runner.number]
        runner.say(runner.sent)
        await self.quiet()
        again = runner.acknowledged[runner.number] - before
        waits = any(each.key == runner.key(runner.number) for each in self.model.submissions)
        self.same("acknowledged again", 0 if waits else 1, again)

    # ---- the venue

    def leave(self) -> Leaving | None:
        """The next one on the way out; None when it may not go any more."""
        leaving = self.leaving.popleft()
        may = self.driver.desk.execution.may_leave(leaving)
        said = self.model.sends if leaving.request else self.model.cancels
        if leaving.modification is not None:
            wanted = desk_modifications.may_leave(self, leaving)
        else:
            wanted = said(leaving.strategy, leaving.client_order_id)
        self.same(f"{leaving.client_order_id} may leave", wanted, may)
        return leaving if may else None

    def unanswered(self, leaving: Leaving) -> None:
        self.driver.desk.execution.unanswered(leaving, "DEADLINE_EXCEEDED")
        desk_modifications.unanswered(self, leaving)
        if leaving.modification is None:
            kind = "cancel_lost" if leaving.request is None else "lost"
            self.model.note(kind, id=leaving.client_order_id)

    def refused(self, leaving: Leaving) -> None:
        """The venue says that the call itself was wrong: nothing happened."""
        self.driver.desk.execution.refused(leaving, "INVALID_ARGUMENT")
        desk_modifications.refused(self, leaving)
        if leaving.request is not None:
            self.model.ends(leaving.strategy, leaving.client_order_id, "rejected", "venue_rejected")

    def answered(self, leaving: Leaving, answer: pb.OrderResponse) -> None:
        self.driver.desk.execution.answered(leaving, answer)
        self._says(leaving.strategy, answer)
        desk_modifications.unanswered(self, leaving)  # unless it said

    def _says(self, strategy: str, answer: pb.OrderResponse) -> None:
        state = ORDER_STATES.maybe(answer.state)
        if state is None:  # garbled: it is asked for again
            self.model.note("lost", id=answer.client_order_id)
            return
        desk_modifications.says(self, answer)
        filled = Decimal(answer.filled_quantity or "0")
        reason = REASONS.maybe(answer.reason)
        self.model.says(strategy, answer.client_order_id, state, filled, reason or "")

    async def settle(self) -> None:
        """The gateway asks for what it does not know."""
        for name in sorted(self.settlers.keys() - self.model.away):
            await self._settle_at(name, self.settlers[name])
        await self.quiet()

    async def _settle_at(self, name: str, settler: Settler) -> None:
        unknown = self._in_state("unknown")
        await self._settling(settler._settle_unknown, self.at(name, unknown))
        cancels = self.at(name, self.model.cancels_unanswered())
        await self._settling(settler._cancel_again, cancels)
        await desk_modifications.settle(self, name)
        there = self.at(name, self._in_state("accepted", "partially_filled"))
        over = {key for key in there if not self.venue.has_open(key)}
        await self._settling(settler._sweep, over)

    def at(self, venue: str, orders: set[str]) -> set[str]:
        """Of these, those that went there."""
        all_of_them = self.model.orders()
        return {key for key in orders if all_of_them[key]["venue"] == venue}

    def _in_state(self, *states: str) -> set[str]:
        return {key for key, each in self.model.orders().items() if each["state"] in states}

    async def _settling(self, look: Callable[[], Any], expected: set[str]) -> None:
        self.venue.asked.clear()
        await look()
        self.same(f"{look.__name__} asks for", expected, {key for _, key, _ in self.venue.asked})
        never_seen = ""
        for call, key, answer in self.venue.asked:
            strategy = self.model.orders()[key]["strategy"]
            if answer is None and look.__name__ == "_sweep":
                self.model.note("lost", id=key)
            elif answer is None:
                never_seen = key
            elif call == "cancel" and key == never_seen:
                self._bury(strategy, key, answer)
            else:
                self._says(strategy, answer)
                if call == "cancel":
                    self.model.note("cancel_answered", id=key)

    def _bury(self, strategy: str, key: str, answer: pb.OrderResponse) -> None:
        """The venue never had it, and will refuse a late copy."""
        if ORDER_STATES.maybe(answer.state) is OrderState.CANCELLED:
            self.model.ends(strategy, key, "expired", "")

    async def fill(self, *fills: Fill, dies: bool = False) -> None:
        """`dies`: as soon as they are on disk, which is what a bust of them waits for."""
        done: list[str] = []
        unwritten: set[str] = set()
        for each in fills:
            if dies:
                self.driver.state.early_busts.pop(each.fill_id, None)
            self.driver.desk.fill_book.take(each, lambda each=each: done.append(each.fill_id))  # type: ignore[misc]  # bound at once
            if each.busts not in unwritten:
                self._filled(each)
            unwritten.add(each.fill_id)
        self.drain()
        for place, each in enumerate(fills):
            if each.busts in {before.fill_id for before in fills[:place]}:
                self._filled(each)
            elif not dies and model_busts.take_early(self.model, each.fill_id):
                self.happened["fill: taken back at once"] += 1
        await self.quiet()
        self.same("acknowledged fills", [each.fill_id for each in fills], done)

    def _filled(self, fill: Fill) -> None:
        self.happened[f"fill: {self.model.fill(_fact(fill))}"] += 1

    # ---- another life

    async def prune(self) -> None:
        """All that is older than now is deleted, and the desk goes on from what was kept."""
        await self.quiet()
        if self.has_looked:
            await self._marked()
        self.compare()
        driver = self.driver
        driver.journal.append([seal_record(made_of(driver.archive), self.now_ns)])
        await self.quiet()
        driver.between = _prune
        applied = {name: self._applied(seat) for name, seat in self.seats.items()}
        await self.restart(of_prune=applied)

    @property
    def has_looked(self) -> bool:
        """Ever, or may at any moment: a look writes also what a signal has moved whose batch waits,
        where a day began by it."""
        entries = [
            each
            for policy in self.model.policies().values()
            for each in (policy, *(entry for _, entry in model_pools.of_several(policy)))
        ]
        acts = any("actions" in each or "day" in each for each in entries)
        return acts or any(each["by"] == "look" for each in self.model.by_kind["valued"])

    async def _marked(self) -> None:
        """The next look after so long writes down what looks have moved."""
        await self.pass_time(_MARKED_S)
        await self.pass_time(0.02)

    def _applied(self, seat: Seat) -> int:
        """The last outcome that its last batch knew of."""
        runners = [each for each in (seat.runner, seat.former) if each is not None and each.sent]
        sent = runners[0].sent if runners else None
        return sent.mark.outcome if sent else 0

    async def cancel_all(self, seat: Seat) -> None:
        """A person cancels what it has at work now."""
        orders = self.model.orders_at_work(seat.name)
        for key in (key for key, each in orders.items() if self.model.is_open(each)):
            self.model.note("leaves", strategy=seat.name, id=key, cancel=True)
        self.driver.desk.execution.cancel_all(self.strategy(seat), "story")
        await self.quiet()

    def lift(self, scope: Scope) -> bool:
        """A person takes back what its breaches have done; whether there were any."""
        limits = [limit for of, limit in model_breaches.in_force(self.model) if of == scope]
        if limits:
            self.driver.desk.resume("looked at", scope, BREACH, "ana")
            self.model.note("lifted", scope=scope, limits=limits, because="a person")
        return bool(limits)

    async def restart(self, of_prune: Mapping[str, int] | None = None) -> None:
        await self.quiet()
        if of_prune is None and self.has_looked:
            await self._marked()
        self.compare()
        told = self._holdings()
        self.driver.again()
        self.same("what a newcomer is told of what there is", told, self._holdings())
        self.model.restart()
        if of_prune is not None:
            self.model.prune(of_prune)
        self.compared = len(self.model.facts)
        self.leaving.clear()
        self.answers.clear()
        self.expected_tools.clear()
        self._begin_life()
        self.driver.desk.fill_book.resume()
        for seat in self.seats.values():
            seat.fenced = 0
            if seat.runner is not None:
                self._come_back(seat, seat.runner)
        self.drain()
        await self.quiet()

    def _holdings(self) -> dict[str, Any]:
        """Positions and orders at work, as a runner that comes now would learn of them."""
        found = {}
        for name, strategy in self.driver.state.strategies.items():
            holdings = strategy.told.holdings()
            working = {(e.signal_id, e.quantity, e.price) for e in holdings.working}
            found[name] = (dict(holdings.positions), working)
        return found

    def _come_back(self, seat: Seat, runner: ObedientRunner) -> None:
        told = self.strategy(seat).grants.epoch
        self.same(f"epoch of {seat.name}", runner.epoch, told)
        key = runner.key(runner.number)
        if runner.sent is not None and runner.sent.signals:
            durable = any(f["is"] == "decided" and f["key"] == key for f in self.model.facts)
            if not durable:
                self._take(seat, runner, runner.sent.signals)
        runner.back()

    # ---- comparing

    def compare(self) -> None:
        """Raises Differs."""
        self.leaving.extend(self.driver.left)
        left = [
            (each.strategy, each.client_order_id, desk_modifications.left(each), each.venue)
            for each in self.driver.left
        ]
        self.driver.left.clear()
        news, self.compared = self.model.facts[self.compared :], len(self.model.facts)
        leaves = [each for each in news if each["is"] == "leaves"]
        orders = self.model.orders()
        wanted = [
            (f["strategy"], f["id"], model_modifications.left(f), orders[f["id"]]["venue"])
            for f in leaves
        ]
        self._compare_verdicts([each for each in news if each["is"] == "decided"])
        self.same("leaves for the venue", sorted(wanted), sorted(left))
        self.same("halts", self.model.halts(), set(self.driver.state.halts))
        kept = self.driver.state.pools.prospects.samples.kept
        found = [(each.at_ns, each.interval_s, dict(each.mids)) for each in kept]
        self.same("samples", [tuple(each) for each in samples(self.model)], found)
        self.same("breaches", self._breaches_modelled(), self._breaches_seen())
        world_pools.compare(self, news)
        for seat in self.seats.values():
            self._compare_outcomes(seat)
            self.same(seat.name, self._modelled(seat.name), self._seen(self.strategy(seat)))

    def _compare_verdicts(self, decided: Sequence[Fact]) -> None:
        wanted: dict[str, list[str | None]] = {}
        for fact in decided:
            wanted.setdefault(fact["key"], []).append(fact["reason"])
            self.reasons[fact["reason"] or "accepted"] += 1
        tools = {key: [reason] for key, reason in self.tools.items()}
        self.tools.clear()
        found: dict[str, Any] = dict(tools)
        for seat in self.seats.values():
            found |= self._own_verdicts(seat)
            for runner in (seat.runner, seat.former):
                if runner is not None:
                    found |= {key: v for key, v in runner.verdicts.items() if v}
                    runner.verdicts.clear()
        again = {key: v for key, v in found.items() if key not in wanted}
        for key, reasons in again.items():  # a repeat's acknowledgement: as it was told before
            before = [f["reason"] for f in self.model.facts if f.get("key") == key]
            self.same(f"verdicts of {key}, again", before, reasons)
            del found[key]
        self.same("verdicts", wanted, found)

    def _own_verdicts(self, seat: Seat) -> dict[str, Any]:
        """Of the gateway's own closing orders, those since the last time."""
        recent = self.strategy(seat).recent
        new = [e for e in recent if not e.epoch and id(e) not in map(id, seat.own)]
        seat.own = [each for each in recent if not each.epoch]
        return {f"own|{each.signal.id}": [each.reason] for each in new}

    def _breaches_modelled(self) -> dict[str, Any]:
        return {
            f"{limit} of {scope}": (each["action"], each["standing"], each["kept"])
            for (scope, limit), each in model_breaches.in_force(self.model).items()
        }

    def _breaches_seen(self) -> dict[str, Any]:
        state = self.driver.state
        stands = {key: state.latches.get((key[0], breach_source(key[1]))) for key in state.breaches}
        return {
            f"{limit} of {scope}": (
                breach.action,
                stand.standing if (stand := stands[scope, limit]) else "active",
                breach.kept,
            )
            for (scope, limit), breach in state.breaches.items()
        }

    def _compare_outcomes(self, seat: Seat) -> None:
        strategy, told = self.strategy(seat), self.model.told(seat.name)
        found = [_told(each) for each in strategy.told.outcomes_after(seat.compared)]
        self.same(f"outcomes of {seat.name}", told[seat.compared :], found)
        runner = seat.runner
        if runner is not None:
            heard = [(each.number, _told(each)) for each in runner.heard]
            runner.heard.clear()
            self.same(f"heard by {runner.instance}", [(n, told[n - 1]) for n, _ in heard], heard)
            self.same(f"last outcome of {runner.instance}", len(told), runner.applied)
        seat.compared = len(told)

    def _modelled(self, name: str) -> dict[str, Any]:
        model = self.model
        symbols = {*model.symbols(name)}
        day, terms = model.day(name), model.terms(name)
        orders = model.orders_at_work(name)
        at_work = {
            key: (each["state"], each["filled"], outstanding(each)) for key, each in orders.items()
        }
        reserved: dict[tuple[str, Side], Decimal] = {}
        for each in orders.values():
            where = each["symbol"], each["side"]
            reserved[where] = reserved.get(where, Decimal(0)) + outstanding(each)
        return {
            "positions": {each: model.position(name, each) for each in symbols},
            "costs": {each: model.bought(name, each) for each in symbols},
            "balance": _without_nothing(model.balances(name)),
            "fees": _without_nothing(model.fees(name)),
            "day": tuple(day),
            "orders": at_work,
            "terms": {key: model_modifications.terms_of(each) for key, each in orders.items()},
            "reserved": reserved,
            "capital": terms["capital"],
            "mode": terms["mode"],
            "flattening": model_flattening.under_way(model, name),
            "closing only": terms["closing_only"],
            "votes": model.votes_of(name),
            **terms["limits"],
        }

    def _seen(self, strategy: Strategy) -> dict[str, Any]:
        """The same of the desk."""
        account = strategy.account
        ledger, marks, limits = account.ledger, account.watermarks, account.terms.limits
        stakes = {each.symbol for each in account.orders.values()}
        names = self.model.terms(strategy.name)["limits"]
        reserved = {
            (symbol, side): account.working(symbol).on(side) for symbol in stakes for side in SIDES
        }
        return {
            "positions": {key: each.quantity for key, each in ledger.positions.items()},
            "costs": {
                key: (each.cost, each.realized_pnl) for key, each in ledger.positions.items()
            },
            "balance": self._by_currency(ledger.balances().items()),
            "fees": self._by_currency(_fees(ledger.positions.values())),
            "day": (marks.day_start, marks.peak),
            "orders": {
                key: (each.state, each.filled_quantity, each.outstanding)
                for key, each in account.orders.items()
            },
            "terms": desk_modifications.seen(account.orders),
            "reserved": {key: each for key, each in reserved.items() if each},
            "capital": account.terms.capital,
            "mode": strategy.mode,
            "flattening": strategy.flattening.number if strategy.flattening else None,
            "closing only": bool(strategy.closing_only),
            "votes": _votes_in(self.driver.state.pools.votes.boxes, strategy.name),
            **{name: Decimal(getattr(limits, name)) for name in names},
        }

    def _by_currency(self, amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for currency, amount in amounts:
            name = currency or self.currency
            found[name] = found.get(name, Decimal(0)) + amount
        return _without_nothing(found)

    def same(self, what: str, wanted: Any, found: Any) -> None:
        if wanted == found or _alike(wanted, found):
            return
        if isinstance(wanted, dict) and isinstance(found, dict):
            keys = sorted(str(k) for k in wanted.keys() | found.keys())
            parts = {str(k): v for k, v in wanted.items()}, {str(k): v for k, v in found.items()}
            for key in keys:
                self.same(f"{what}: {key}", parts[0].get(key), parts[1].get(key))
        if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
            for place, pair in enumerate(zip(wanted, found, strict=True)):
                self.same(f"{what}: {place}", *pair)
        raise Differs(f"{what}: the model says {wanted!r}, the desk {found!r}")


def _alike(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Decimal) and isinstance(found, Decimal):
        return (
            abs(wanted - found) <= CLOSE_ENOUGH
            if wanted.is_finite() and found.is_finite()
            else False
        )
    if isinstance(wanted, tuple | list) and isinstance(found, tuple | list):
        return len(wanted) == len(found) and all(
            a == b or _alike(a, b) for a, b in zip(wanted, found, strict=True)
        )
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(
            v == found[k] or _alike(v, found[k]) for k, v in wanted.items()
        )
    return False


def proven(path: Path) -> None:
    """Chain, orders and positions follow from the records."""
    verified(path)


def _prune(path: Path) -> None:
    """It has to be a proven one afterwards as well."""
    pruned(path, 0, 2**62)
    verified(path)


def _fees(positions: Iterable[Position]) -> Iterator[tuple[str, Decimal]]:
    for each in positions:
        yield each.currency, each.fees
        yield from each.other_fees


def _without_nothing(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in amounts.items() if amount}


def _votes_in(boxes: Mapping[str, Mapping[str, Box]], strategy: str) -> dict[str, Any]:
    return {
        symbol: [(v.direction, v.confidence, v.at_ns, v.since_ns) for v in by[strategy].votes]
        for symbol, by in boxes.items()
        if strategy in by
    }


def _told(outcome: Outcome) -> tuple[str, str, str]:
    what = outcome.what
    if isinstance(what, OrderFill):
        takes_back = f" takes back {what.busts}" if what.busts else ""
        return outcome.signal_id, "fill", what.fill_id + takes_back
    if isinstance(what, OrderSized):
        return outcome.signal_id, "sized", str(what.quantity)
    if isinstance(what, OrderModified):
        numbers = model_modifications.numbers(what.remaining, what.price)
        return outcome.signal_id, "modified", numbers
    assert isinstance(what, OrderEnd)
    return outcome.signal_id, str(what.state), str(what.reason or "")


def _fact(fill: Fill) -> Fact:
    return {
        "fill": fill.fill_id,
        "id": fill.client_order_id,
        "strategy": fill.strategy,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "busts": fill.busts,
        "fee_currency": fill.fee_currency,
    }
