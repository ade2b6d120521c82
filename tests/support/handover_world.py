"""A desk in one process: one Grants, its journal, runners with their links and feeds, all lossy.

The world checks while it runs: what must never be (`Broken` is raised), and, in `judge`, that what
was accepted is what one strategy alone would have decided on the same ticks.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from handover import messages as m
from handover.effects import (
    Armed,
    Close,
    Effect,
    Ended,
    GrantChange,
    Note,
    Persist,
    Send,
    Take,
    change_from_json,
    change_to_json,
)
from handover.grants import Grants
from handover.replica import Identity, Replica
from handover.timing import Timing
from handover.track import Host, Track
from handover_market import Mini, ticks
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Signal, Verdict

STEP = 0.02


class Broken(AssertionError):
    """Something happened that never may."""


def check(holds: bool, *facts: object) -> None:
    if not holds:
        raise Broken(*facts)


# ---- the gateway's journal, and what its books say


@dataclass
class Entry:
    """One transaction. `token` or `batch` is what Grants waits for."""

    changes: tuple[GrantChange, ...] = ()
    token: int = 0
    batch: m.Batch | None = None
    outcomes: tuple[m.Outcome, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


class Books:
    """What is durable: a LedgerView."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.batches: dict[int, list[m.Batch]] = {}
        self.orders: dict[str, Signal] = {}  # accepted, and not ended
        self.positions: Counter[str] = Counter()
        self.told: list[m.Outcome] = []

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.batch:
            self.batches.setdefault(entry.batch.epoch, []).append(entry.batch)
            refused = {verdict.signal_id for verdict in entry.verdicts if not verdict.accepted}
            self.orders |= {s.id: s for s in entry.batch.signals if s.id not in refused}
        for outcome in entry.outcomes:
            check(outcome.number == len(self.told) + 1, "outcome numbers", outcome)
            self.told.append(outcome)
            self.orders.pop(outcome.signal_id, None)
            if isinstance(outcome.what, m.OrderFill):
                fill = outcome.what
                self.positions[fill.symbol] += fill.quantity * fill.side.sign  # type: ignore[assignment]  # Decimal

    def holdings(self) -> m.Holdings:
        working = tuple(
            m.WorkingOrder(s.id, s.symbol, s.side, s.order_type, s.quantity)
            for s in self.orders.values()
        )
        return m.Holdings(dict(self.positions), working)  # type: ignore[arg-type]  # as above

    def last_outcome(self) -> int:
        return len(self.told)

    def outcomes_after(self, number: int) -> tuple[m.Outcome, ...]:
        return tuple(self.told[number:])

    def last_batch(self, epoch: int) -> m.Batch | None:
        return self.batches.get(epoch, [None])[-1]

    def batches_after(self, epoch: int, number: int) -> tuple[m.Batch, ...]:
        found = (each for each in self.batches.get(epoch, ()) if each.number > number)
        return tuple(replace(each, signals=()) for each in found)

    def verdicts(self, epoch: int, number: int) -> tuple[Verdict, ...]:
        return ()


# ---- a runner


class Runner:
    """A process: its replica, its feed connection, its link to the gateway."""

    def __init__(self, world: "World", instance: str, revision: str, key: str) -> None:
        self.world = world
        self.instance = instance
        self.revision = revision
        self.host = world.make_host()
        identity = Identity("s", revision, instance, "", key)
        self.replica = Replica(self.host, self._send, self._ping, identity, held_limit=2_000)
        self.alive = True
        self.mute = False  # a stopped process: its links stay, it does nothing
        self.cursor: int | None = None  # place in the published market data; None: no feed
        self.pings: list[tuple[int, object]] = []
        self.linked = False
        self.up: deque[m.RunnerMessage] = deque()
        self.down: deque[m.GatewayMessage] = deque()
        self.whole_since = 0  # place of the first message of its subscription

    def _send(self, message: m.RunnerMessage) -> None:
        if self.linked:
            self.up.append(message)

    def _ping(self, reached: object) -> None:
        self.pings.append((len(self.world.published), reached))

    @property
    def runs(self) -> bool:
        return self.alive and not self.mute

    @property
    def decides(self) -> bool:
        return self.alive and self.replica.phase is m.Phase.ARMED

    def link(self) -> None:
        self.up.clear()
        self.down.clear()
        self.linked = True
        self.up.append(self.replica.hello())

    def unlink(self) -> None:
        self.up.clear()
        self.down.clear()
        self.linked = False

    def subscribe(self) -> None:
        self.cursor = self.whole_since = len(self.world.published)
        self.pings.clear()
        self.replica.on_subscribed()

    def lose_feed(self) -> None:
        self.world.torn.add(self.replica.epoch)
        self.cursor = None
        self.pings.clear()
        self.replica.on_feed_lost()

    @property
    def lags(self) -> bool:
        """Whether its connection to the market data has something for it."""
        if self.cursor is None:
            return False
        due = any(place <= self.cursor for place, _ in self.pings)
        return due or self.cursor < len(self.world.published)

    def read(self, count: int) -> None:
        """Up to `count` messages of its feed, with the PONGs between them."""
        if self.cursor is None:
            return
        end = min(self.cursor + count, len(self.world.published))
        self._pong()
        while self.cursor < end:
            self.cursor += 1
            self.replica.on_payload(self.world.published[self.cursor - 1])
            self._pong()
        self.replica.on_drained(self.world.now)

    def _pong(self) -> None:
        due = [each for each in self.pings if each[0] <= (self.cursor or 0)]
        self.pings = [each for each in self.pings if each not in due]
        for _, reached in due:
            reached()  # type: ignore[operator]  # a callback

    def hear(self) -> None:
        """One message of the gateway."""
        message = self.down.popleft()
        if isinstance(message, m.Arm) and message.fresh and self.replica.epoch != message.epoch:
            before = m.Mark(sequences=self.host.sequences(), session=self.host.session())
            begin = Begin(self._place, message.mark or m.Mark(), message.holdings, before)
            self.world.begins[message.epoch] = begin
        self.replica.on_message(message)
        if self.replica.released is not None:
            self.alive = False

    @property
    def _place(self) -> int:
        """Of the first message that it has not applied; -1 when something is missing behind it."""
        place = -1 if self.cursor is None else self.cursor - self.replica.held
        return place if place >= self.whole_since else -1


# ---- the world


@dataclass
class Begin:
    """Where a fresh epoch began in the published market data, and with what."""

    place: int
    floor: m.Mark
    holdings: m.Holdings
    before: m.Mark = field(default_factory=m.Mark)  # what it had applied already


_UNKNOWN = Begin(-1, m.Mark(), m.Holdings())


@dataclass
class Line:
    """Epochs of which each went on from the last."""

    begin: Begin
    batches: list[m.Batch] = field(default_factory=list)
    torn: bool = False


class World:
    def __init__(
        self,
        timing: Timing | None = None,
        make_host: Callable[[], Host] = Mini,
        market: Iterator[bytes] | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self.make_host = make_host
        self.market = market or ticks()
        self.published: list[bytes] = []
        self.now = 100.0
        self.books = Books()
        self.journal: deque[Entry] = deque()  # appended, not yet durable
        self.gateway: Grants | None = Grants("s", self.books, self.timing)
        self.runners: dict[str, Runner] = {}  # all that ever were
        self.live: list[Runner] = []  # and those that may be
        self.keys: dict[str, str] = {}  # revision -> state key
        self.intended = ""
        self.notes: list[Note] = []
        self.known: set[str] = set()  # whose stream the gateway holds
        self.made = 0
        self.outcomes = 0  # numbered, durable or not
        self.epoch: Armed | None = None  # as the journal has it
        self.decided: dict[str, int] = {}
        self.ids: set[str] = set()
        self.begins: dict[int, Begin] = {}
        self.torn: set[int] = set()  # epochs that lost their feed
        self.noted: dict[int, int] = {}  # epoch -> last batch acknowledged without the journal
        self.sent: list[tuple[str, m.GatewayMessage]] = []

    @classmethod
    def beginning(cls, revision: str = "old", key: str = "key", **more: Any) -> "World":
        """A desk whose first runner decides, from the first tick on."""
        world = cls(**more)
        world.deploy(revision, key)
        world.settle()
        world.start(revision)
        world.settle()
        return world

    @classmethod
    def trading(cls, revision: str = "old", key: str = "key") -> "World":
        """The same some ticks and a second later."""
        world = cls.beginning(revision, key)
        world.go_on()
        world.sit(world.timing.probation)
        return world

    @property
    def grants(self) -> Grants:
        """Of a gateway that runs."""
        assert self.gateway is not None
        return self.gateway

    @property
    def armed(self) -> Runner:
        """As the journal has it."""
        assert self.epoch is not None
        return self.runners[self.epoch.instance]

    def said(self, event: str) -> list[str]:
        """The reasons of that event, in their order."""
        notes = [note.fields for note in self.notes if note.event == event]
        return [str(fields.get("why") or fields.get("reason") or "") for fields in notes]

    # -- the supervisor

    def deploy(self, revision: str, key: str) -> None:
        self.keys[revision] = key
        self.intended = revision
        if self.gateway:
            self.carry_out(self.grants.deploy(revision))

    def start(self, revision: str) -> Runner:
        self.made += 1
        runner = Runner(self, f"i{self.made}", revision, self.keys[revision])
        self.runners[runner.instance] = runner
        self.live = [*(each for each in self.live if each.alive), runner]
        runner.subscribe()
        self.connect(runner)
        return runner

    def connect(self, runner: Runner) -> None:
        if self.gateway is not None:
            runner.link()

    # -- faults

    def crash(self, runner: Runner) -> None:
        runner.alive = False
        self.cut(runner)

    def cut(self, runner: Runner) -> None:
        """What is in flight is lost; both sides see it at once, or the gateway later."""
        runner.unlink()
        self.gateway_sees(runner)

    def gateway_sees(self, runner: Runner) -> None:
        if runner.instance in self.known and self.gateway:
            self.known.discard(runner.instance)
            self.carry_out(self.grants.disconnected(runner.instance))

    def crash_gateway(self) -> None:
        """What was not durable is lost, and every link."""
        self.journal.clear()
        self.outcomes = len(self.books.told)
        self.known.clear()
        self.gateway = None
        for runner in self.runners.values():
            runner.unlink()

    def restart_gateway(self) -> None:
        changes = [change for entry in self.books.entries for change in entry.changes]
        texts = [change_to_json(change) for change in changes]
        self.gateway = Grants.restore(
            "s", self.books, [change_from_json(text) for text in texts], self.timing
        )

    # -- what goes on

    def publish(self, count: int) -> None:
        self.published += [next(self.market) for _ in range(count)]

    def hear(self, runner: Runner) -> None:
        """The gateway takes one message of that runner."""
        grants = self.gateway
        if grants is None or not runner.up:
            return
        message = runner.up.popleft()
        if isinstance(message, m.Hello):
            self.known.add(runner.instance)
            self.carry_out(grants.connected(runner.instance, message))
        elif runner.instance in self.known:
            if isinstance(message, m.Batch):
                self._note_noted(message)
            self.carry_out(grants.message(runner.instance, message))

    def _note_noted(self, batch: m.Batch) -> None:
        if not (batch.signals or batch.inputs or batch.stopped):
            self.noted[batch.epoch] = batch.number

    def fill(self) -> None:
        """The venue fills the oldest order, or ends it."""
        waiting = {outcome.signal_id for entry in self.journal for outcome in entry.outcomes}
        for signal in self.books.orders.values():
            if signal.id not in waiting:
                self.append(Entry(outcomes=(self._outcome_of(signal),)))
                return

    def _outcome_of(self, signal: Signal) -> m.Outcome:
        self.outcomes += 1
        what: m.OrderFill | m.OrderEnd = m.OrderEnd(OrderState.EXPIRED)
        if signal.quantity != 4:
            price = Decimal(1)
            what = m.OrderFill(
                signal.id, signal.symbol, signal.side, price, signal.quantity, Decimal(0), 0
            )
        return m.Outcome(self.outcomes, signal.id, what)

    def append(self, entry: Entry) -> None:
        self.journal.append(entry)

    def commit(self) -> None:
        """One transaction becomes durable."""
        if not self.journal or self.gateway is None:
            return
        entry = self.journal.popleft()
        self._check_changes(entry.changes)
        self.books.add(entry)
        if entry.token:
            self.carry_out(self.grants.durable(entry.token))
        if entry.batch:
            batch = entry.batch
            self.carry_out(self.grants.batch_durable(batch.epoch, batch.number, entry.verdicts))
        if entry.outcomes:
            self.carry_out(self.grants.outcomes(entry.outcomes))

    def tick(self, seconds: float = STEP) -> None:
        self.now += seconds
        for runner in self.live:
            if runner.runs:
                runner.replica.tick(self.now)
                runner._send(m.Alive())
        if self.gateway:
            self.carry_out(self.grants.tick(self.now))

    # -- effects

    def carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(instance, message):
                    self._check_durable(message)
                    self.sent.append((instance, message))
                    runner = self.runners[instance]
                    if runner.instance in self.known and runner.linked:
                        runner.down.append(message)
                case Persist(token, changes):
                    self.append(Entry(changes, token))
                case Take(instance, batch):
                    self._take(instance, batch)
                case Close(instance):
                    self.known.discard(instance)
                    self.runners[instance].unlink()
                case Note():
                    self.notes.append(effect)

    def _take(self, instance: str, batch: m.Batch) -> None:
        armed = self.epoch
        check(armed is not None and armed.instance == instance, "taken from", instance, armed)
        check(armed is not None and armed.epoch == batch.epoch, "taken of epoch", batch, armed)
        verdicts, outcomes = [], []
        for signal in batch.signals:
            refused = signal.quantity == 7
            verdicts.append(Verdict(signal.id, Reason.MAX_ORDER_VALUE if refused else None))
            if refused:
                self.outcomes += 1
                end = m.OrderEnd(OrderState.REJECTED, Reason.MAX_ORDER_VALUE)
                outcomes.append(m.Outcome(self.outcomes, signal.id, end))
        self.append(Entry(batch=batch, verdicts=tuple(verdicts), outcomes=tuple(outcomes)))

    # -- what must never be

    def _check_changes(self, changes: tuple[GrantChange, ...]) -> None:
        for change in changes:
            if isinstance(change, Ended):
                check(self.epoch is not None and self.epoch.epoch == change.epoch, "ended", change)
                self.epoch = None
            elif isinstance(change, Armed):
                check(self.epoch is None, "two armed", self.epoch, change)
                self.epoch = change

    def _check_durable(self, message: m.GatewayMessage) -> None:
        armed = self.epoch.epoch if self.epoch else 0
        match message:
            case m.Arm():
                check(message.epoch == armed, "told to arm", message, armed)
                check(len(self.books.told) >= len(message.outcomes), "untold", message)
            case m.Ack(batch):
                durable = self.books.last_batch(armed)
                last = max(durable.number if durable else 0, self.noted.get(armed, 0))
                check(batch <= last, "acknowledged", message, last)
            case m.Progress(following, batch):
                numbers = [each.number for each in self.books.batches.get(following, ())]
                check(batch in numbers, "progress", following, batch)
            case m.Outcomes(outcomes):
                check(outcomes[-1].number <= len(self.books.told), "outcome", outcomes)
            case m.Follow(_, following):
                check(following == armed, "told to follow", message)
            case m.Go() | m.Stop():
                check(armed > 0, "told to stop or go", message)

    # -- judgement

    def calm(self, most_rounds: int = 600) -> None:
        """No more faults: the supervisor starts what is missing, everything is delivered."""
        settled = 0
        for _ in range(most_rounds):
            if self.gateway is None:
                self.restart_gateway()
            self._heal()
            self.publish(1)
            self.settle()
            self.tick()
            settled = settled + 1 if self.is_calm else 0
            if settled == 60:
                break
        for _ in range(10):
            self.settle()
            self.tick()

    @property
    def is_calm(self) -> bool:
        """The wanted revision is armed, and knows it; nobody else thinks so of itself."""
        grants = self.gateway
        if grants is None or not grants.instance or grants.revision != grants.target:
            return False
        deciding = [runner for runner in self.runners.values() if runner.decides]
        return [runner.instance for runner in deciding] == [grants.instance]

    def _heal(self) -> None:
        grants = self.grants
        self.carry_out(grants.deploy(self.intended))  # again, if that was not durable
        for runner in self.runners.values():
            runner.mute = False
            if not runner.alive:
                self.gateway_sees(runner)
            elif not runner.linked:
                self.gateway_sees(runner)
                self.connect(runner)
            if runner.alive and runner.cursor is None:
                runner.subscribe()
        revisions = {runner.revision for runner in self.runners.values() if runner.alive}
        if grants.target and grants.target not in revisions:
            self.start(grants.target)

    def settle(self) -> None:
        """Delivers everything until nothing is left, time standing still."""
        self.run_until(lambda: False)

    def run_until(self, reached: Callable[[], bool]) -> bool:
        """Delivers one thing after the other until that is so; False when nothing is left."""
        for _ in range(100_000):
            if reached():
                return True
            if not self._deliver():
                return False
        raise Broken("never settles")

    def _deliver(self) -> bool:
        if self.gateway and self.journal:
            self.commit()
            return True
        for runner in self.live:
            if self.gateway and runner.up:
                self.hear(runner)
                return True
            if runner.runs and runner.down:
                runner.hear()
                return True
            if runner.runs and runner.lags:
                runner.read(10**9)
                return True
        return False

    def sit(self, seconds: float) -> None:
        """That much time passes, everything being delivered."""
        for _ in range(round(seconds / STEP)):
            self.settle()
            self.tick()
        self.settle()

    def go_on(self, ticks: int = 20) -> None:
        """The market moves, and everybody takes part."""
        self.publish(ticks)
        self.settle()

    def alone(self) -> list[Signal]:
        """What one strategy decides on all that was published, with the outcomes at the places
        where the armed ones took them."""
        host = self.make_host()
        host.begin(m.Holdings())
        made: list[Signal] = []
        places = [place for batch in self.accepted() for place in batch.inputs]
        for count, payload in enumerate(self.published):
            while places and places[0].after <= count:
                host.take(self.books.told[places.pop(0).outcome - 1])
            for signal in host.apply(payload) or ():
                host.expect(signal)
                made.append(signal)
        return made

    def judge(self) -> int:
        """Compares all that was accepted with what one strategy would have decided alone.

        Answers how many signals were compared; lines that lost their feed are left out of that.
        """
        self.judge_order()
        compared = 0
        for line in self._lines():
            if not line.torn and line.begin.place >= 0:
                compared += self._judge_line(line)
        return compared

    def judge_order(self) -> None:
        decided: dict[str, int] = {}
        ids: set[str] = set()
        for batch in self.accepted():
            for signal in batch.signals:
                check(signal.id not in ids, "decided twice", signal)
                ids.add(signal.id)
                stream, sequence = signal.cause.stream, signal.cause.sequence
                check(sequence > decided.get(stream, 0), "went back", signal, decided)
                decided[stream] = sequence

    def accepted(self) -> Iterable[m.Batch]:
        """All that the fence let through, durable, in its order."""
        return (entry.batch for entry in self.books.entries if entry.batch)

    def _lines(self) -> list[Line]:
        lines: list[Line] = []
        of: dict[int, Line] = {}
        for entry in self.books.entries:
            for change in entry.changes:
                if isinstance(change, Armed) and change.after:
                    of[change.epoch] = of[change.after]
                elif isinstance(change, Armed):
                    lines.append(Line(self.begins.get(change.epoch, _UNKNOWN)))
                    of[change.epoch] = lines[-1]
            if batch := entry.batch:
                of[batch.epoch].batches.append(batch)
                of[batch.epoch].torn |= batch.epoch in self.torn
        return lines

    def _judge_line(self, line: Line) -> int:
        """The ticks of the line are a piece of the market, whole and in order."""
        begin, alone = line.begin, self.make_host()
        alone.restore(begin.before, b"", begin.holdings)
        track, position = Track(alone), begin.place
        expected: list[Signal] = []
        given: list[Signal] = []
        for batch in line.batches:
            for place in (*batch.inputs, m.Input(batch.mark.count, 0)):
                while track.count < place.after:
                    signals = track.decide(self.published[position]) or ()
                    position += 1
                    for signal in signals:
                        if not _below(begin.floor, signal):
                            alone.expect(signal)
                            expected.append(signal)
                if place.outcome:
                    alone.take(self.books.told[place.outcome - 1])
            given += batch.signals
            check(track.count == batch.mark.count, "messages", batch, position)
            seen = alone.sequences().items()  # the real one may have seen other streams before
            check(seen <= batch.mark.sequences.items(), "stream", batch, position)
            check(given == expected, "signals", _first_difference(given, expected), batch)
        return len(given)


def _below(floor: m.Mark, signal: Signal) -> bool:
    return signal.cause.sequence <= floor.sequences.get(signal.cause.stream, -1)


def _first_difference(given: list[Signal], expected: list[Signal]) -> object:
    for place, (one, other) in enumerate(zip(given, expected, strict=False)):
        if one != other:
            return place, one, other
    return len(given), len(expected)
