"""What the desk's parts share. All of it belongs to one event loop; nobody else touches it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from handover.effects import Effect
from handover.messages import Outcome
from risk_gateway.archive import Archive
from risk_gateway.journal import Journal
from risk_gateway.judge import Situation
from risk_gateway.lanes import Leaving
from risk_gateway.market_view import MarketView
from risk_gateway.metrics import Counts
from risk_gateway.policies import Policies, PolicyChange
from risk_gateway.positions import PositionUpdate
from risk_gateway.records import (
    Breached,
    Kind,
    Started,
    breach_source,
    breached_limit,
    record,
)
from risk_gateway.strategy import Strategy
from trading.breaches import BreachAction
from trading.currencies import ONE_CURRENCY, Currencies
from trading.fills import Fill
from trading.instruments import Instrument
from trading.pools import Pools
from trading.routes import Destination
from trading.samples import Sample, Sampler
from trading.scopes import DESK, Scope
from trading.standings import Source, Stand, Standing, Standings, told

FILE = "file"


@dataclass(slots=True)
class Outside:
    """The ways out, wired at the start. Each is called only with what is durable."""

    leave: Callable[[Leaving], None] = lambda _: None
    publish: Callable[[PositionUpdate], None] = lambda _: None
    effects: Callable[[Strategy, list[Effect]], None] = lambda _, __: None
    outcomes: Callable[[Strategy, Sequence[Outcome]], None] = lambda _, __: None
    venue_available: Callable[[str], bool] = lambda _: True


@dataclass(slots=True)
class State:
    journal: Journal
    archive: Archive
    market: MarketView
    instruments: Mapping[str, Instrument]
    outside: Outside = field(default_factory=Outside)
    counts: Counts = field(default_factory=Counts)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    busted: dict[str, str] = field(default_factory=dict)  # fills taken back, and by which bust
    early_busts: dict[str, Fill] = field(default_factory=dict)  # by the fill that has not come
    policies: Policies = field(default_factory=Policies)
    currencies: Currencies = ONE_CURRENCY
    pools: Pools = field(init=False)
    sampler: Sampler = field(init=False)
    latches: dict[Source, Stand] = field(default_factory=dict)  # stay until they are taken back
    standings: Standings = field(default_factory=Standings)  # these, and the policies'
    breaches: dict[tuple[Scope, str], Breached] = field(default_factory=dict)  # by limit, in force
    no_room: str = ""  # why the journal takes no orders that open
    has_adopted: bool = False  # ever: their ids are taken
    term: int = 0
    started: Started | None = None  # what the last gateway began with; None: nobody noted it
    wall_ns: Callable[[], int] = time.time_ns

    def __post_init__(self) -> None:
        self.pools = Pools(self.instruments, self.currencies)
        self.pools.allow_self_trade(self.policies.allow_self_trade)
        self.sampler = Sampler(self._take_sample)
        self.pools.prospects.sample_each = self._sample_each

    @property
    def halted(self) -> str:
        """Why; empty: it is not."""
        return told(self.halts)

    @property
    def halts(self) -> Mapping[str, str]:
        """By source: why the whole desk is halted."""
        return self.standings.sources(DESK, Standing.HALTED)

    def halted_for(self, strategy: Strategy, symbol: str) -> str:
        """Why no order of that strategy in that symbol leaves; empty: it may."""
        account = strategy.account.account
        stand = self.standings.covering(strategy.name, symbol, account)
        return stand.why if stand.standing is Standing.HALTED else ""

    def situation(self, strategy: Strategy, symbol: str) -> Situation:
        to = self.destination(strategy, symbol)
        available = not to.venue or self.outside.venue_available(to.venue)
        return Situation(self.standings, available, self.no_room, to)

    def destination(self, strategy: Strategy, symbol: str) -> Destination:
        """Where an order of that strategy in that symbol goes."""
        account, held_at = strategy.account.account, strategy.held_at(symbol)
        return self.policies.routes.destination(account, symbol, held_at)

    def latch(self, scope: Scope, source: str, stand: Stand) -> None:
        """ACTIVE takes it back."""
        self.latches.pop((scope, source), None)
        if stand.standing is not Standing.ACTIVE:
            self.latches[scope, source] = stand
        else:
            self.breaches.pop((scope, breached_limit(source)), None)
        self.standings.put((scope, source), stand)

    def take_breach(self, breach: Breached) -> None:
        """In force at once: it acts until it is taken back."""
        self.breaches[breach.scope, breach.limit] = breach
        if breach.action is not BreachAction.ALERT:
            stand = Stand(Standing.REDUCING, breach.message)
            self.latch(breach.scope, breach_source(breach.limit), stand)

    def label(self, symbol: str) -> str:
        """Of a metric: callers may name any symbol, and each would be a series of its own."""
        return symbol if symbol in self.instruments else "other"

    def take_policy(self, change: PolicyChange) -> None:
        """In force at once."""
        self.policies.take(change)
        self.standings = Standings.of({**self.latches, **self.policies.stands})
        self.pools.days = self.policies.days
        self.pools.obey(self.policies.bounds, self.policies.unread)
        self.pools.prospects.obey(self.policies.sampling)
        for strategy in self.strategies.values():
            strategy.adopt_terms()

    def _sample_each(self, interval_s: int) -> None:
        """0: nobody asks for samples."""
        self.sampler.obey(interval_s)
        self.market.sampler = self.sampler if interval_s else None

    def _take_sample(self, sample: Sample) -> None:
        """A verdict that rests on it is written after it."""
        self.pools.prospects.samples.take(sample)
        self.journal.append([record(Kind.SAMPLED, sample, self.wall_ns())])
