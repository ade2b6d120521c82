"""What the desk keeps of one strategy.

The account runs ahead of the journal by what is being written; `told` holds what is durable.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from handover.effects import Armed, Ended, GrantChange, Wanted
from handover.grants import Grants
from handover.messages import Batch, GatewayMessage
from risk_gateway.callers import NOBODY, Caller, CallerRefused, Runners
from risk_gateway.content import Content, Mode, capital_objection, tighter
from risk_gateway.judged import terms_digest
from risk_gateway.policies import Policies
from risk_gateway.records import Decided, OrderEnded
from risk_gateway.told import Told
from trading.accounts import StrategyAccount, Terms
from trading.breaches import Actions
from trading.fills import Fill
from trading.instruments import Instrument
from trading.ledger import Booking
from trading.orders import Order
from trading.pools import Pools
from trading.reasons import Reason
from trading.signals import Signal

RECENT = 10
SubmissionDone = Callable[[Decided], None]
BREACH = "breach"  # in a closing order's metadata: which one, and by how much
CANCELS_ONLY = 0  # as a flattening's number
_ENDED_KEPT = 4_096  # orders whose late fills are still met in memory


class Session(Protocol):
    """One runner's stream, as the desk uses it."""

    def send(self, message: GatewayMessage) -> None: ...

    def close(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Link:
    """An instance's session, and who opened it."""

    session: Session
    caller: Caller
    revision: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A revision as it was deployed."""

    revision: str
    text: str
    content: Content
    runners: Runners = NOBODY


@dataclass(slots=True)
class Submission:
    """A batch on its way through queue, checks and journal; a tool's signal is one of its own."""

    batch: Batch
    revision: str
    decisions: list[Decided | None]
    left: int
    known: frozenset[str] = frozenset()  # ids among its signals that were taken before
    judged: set[str] = field(default_factory=set)
    done: SubmissionDone | None = None  # who waits for a tool's verdict
    taken_ns: int = 0

    @property
    def is_own(self) -> bool:
        """The gateway's own: no epoch stands for it."""
        return not self.batch.epoch

    @property
    def decided(self) -> list[Decided]:
        """All of it, once nothing is left."""
        return [decision for decision in self.decisions if decision is not None]


@dataclass(frozen=True, slots=True)
class LastTrade:
    """What made a position what it is."""

    outcome: int
    at_ns: int


@dataclass(slots=True, kw_only=True)
class Closing:
    """The gateway's own closing orders of one strategy, for one purpose."""

    attempts: Counter[str] = field(default_factory=Counter)  # by symbol, as in the journal
    tries: Counter[str] = field(default_factory=Counter)  # likewise, in this life
    next_at: dict[str, float] = field(default_factory=dict)  # by symbol, monotonic
    told: dict[str, str] = field(default_factory=dict)  # by symbol: why the last one was refused
    placed_at: dict[str, float] = field(default_factory=dict)  # by order

    def begin_anew(self) -> None:
        """What was tried for another cause delays nothing."""
        self.tries.clear()
        self.next_at.clear()
        self.told.clear()


@dataclass(slots=True)
class Flattening(Closing):
    """How far a withdrawn strategy is on its way to no orders and, if it closes, no positions."""

    number: int
    left: str = "just withdrawn"  # what there is still to do; empty: nothing

    @property
    def closes(self) -> bool:
        """Or keeps what it holds."""
        return self.number != CANCELS_ONLY


@dataclass(slots=True)
class Waiting:
    """One signal of a submission."""

    strategy: "Strategy"
    submission: Submission
    place: int
    deadline: float = 0.0  # by which its cause must have arrived

    @property
    def signal(self) -> Signal:
        return self.submission.batch.signals[self.place]


@dataclass(slots=True)
class Tally:
    """Counts of one strategy, since its journal began."""

    signals: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    gains: int = 0  # fills that realised one
    losses: int = 0
    handovers: int = 0
    ticks_before: int = 0  # by earlier runs that did not hand on their place
    ticks: int = 0

    def decided(self, decided: Decided) -> None:
        self.signals += 1
        if decided.reason is None:
            self.accepted += 1
        else:
            self.rejected[decided.reason] += 1

    def refused(self, reason: Reason, signals: int = 1) -> None:
        """At the fence, unjournalled."""
        self.signals += signals
        self.rejected[reason] += signals

    def filled(self, booking: Booking) -> None:
        self.fills += 1
        self.gains += booking.realized_pnl > 0
        self.losses += booking.realized_pnl < 0

    @property
    def success_rate(self) -> float | None:
        """Of the fills that realised anything; None: there was none."""
        closed = self.gains + self.losses
        return self.gains / closed if closed else None

    def began(self, armed: Armed) -> None:
        """A fresh one counts its ticks from 0; a successor goes on from a place."""
        self.handovers += armed.after > 0
        if not armed.after:
            self.ticks_before += self.ticks
        self.ticks = armed.mark.count if armed.after else 0

    def reached(self, count: int) -> None:
        """A place that was decided."""
        self.ticks = max(self.ticks, count)


class Strategy:
    def __init__(
        self,
        name: str,
        first: Deployment,
        told: Told,
        grants: Grants,
        instruments: Mapping[str, Instrument],
        policies: Policies,
        pools: Pools,
    ) -> None:
        self.name = name
        self.told = told
        self.grants = grants
        self._policies = policies
        self._pools = pools
        self.closing_only = ""  # why it may open nothing
        self.flattening: Flattening | None = None
        self.flattenings = 0  # so far
        self.lowering = Closing()  # for breaches, ever
        self.actions: Actions = {}  # what is done when it exceeds a limit
        self.account = StrategyAccount(
            name, first.content.terms, instruments, pools, first.content.account
        )
        self.terms: dict[str, Terms] = {}  # that were in force, by digest
        self.note_terms()
        self.mode = first.content.mode
        self.deployments: dict[str, Deployment] = {}
        self.links: dict[str, Link] = {}  # by instance
        self.submissions: deque[Submission] = deque()  # taken, not yet appended, by number
        self.parked: deque[Waiting] = deque()  # until a cause arrives, and what came after it
        self.tally = Tally()
        self.recent: deque[Decided] = deque(maxlen=RECENT)
        self.ended: OrderedDict[str, Order] = OrderedDict()
        self.ending: dict[str, OrderEnded] = {}  # until the fills that were announced have come
        self.cancelling: set[str] = set()  # the venue has not answered to their cancels
        self.modifying: set[str] = set()  # likewise, modifications of these orders
        self.traded: dict[str, LastTrade] = {}  # by symbol
        self.placed: dict[str, str] = {}  # by symbol: the venue of its last order
        self.elsewhere: set[str] = set()  # symbols with fills, since flat, that no order made
        self.last_outcome = 0  # given out, durable or not
        self.armed_revision = ""
        self.wanted_revision = ""
        self.session = ""  # of the feed, by its last batch

    # ---- revisions

    def deploy(self, deployment: Deployment) -> None:
        """Wanted from now on; what it tightens is in force."""
        self.deployments[deployment.revision] = deployment
        self.wanted_revision = deployment.revision
        self.flattening = None
        self.adopt_terms()

    def shut_out(self, deployment: Deployment) -> dict[str, str]:
        """Instances that it permits no more, and why."""
        found = {}
        for instance, link in self.links.items():
            if link.revision == deployment.revision:
                try:
                    deployment.runners.check(link.caller, instance)
                except CallerRefused as refused:
                    found[instance] = str(refused)
        return found

    def stands(self, deployment: Deployment) -> bool:
        """Whether it is deployed just so already."""
        return (
            self.deployments.get(deployment.revision) == deployment
            and self.wanted_revision == deployment.revision
            and self.flattening is None
        )

    def change(self, change: GrantChange) -> None:
        """What a durable change of grants does to counts and terms. Once."""
        if isinstance(change, Wanted):
            self.wanted_revision = change.revision
        elif isinstance(change, Armed):
            self.armed_revision = change.revision
            self.tally.began(change)
        elif isinstance(change, Ended):
            self.armed_revision = ""
            self.tally.reached(change.mark.count)
        self.adopt_terms()

    def adopt_terms(self) -> None:
        """What is in force, after anything that it rests on has changed."""
        contents = self._contents()
        if not contents:
            return  # nobody trades; what was in force last stands
        content = tighter(contents[0], contents[-1]) if len(contents) > 1 else contents[0]
        for each in contents:
            content = self._policies.capped(content, each.policy)
        objections = (*map(self._policies.objection, contents), *map(self._capital, contents))
        self.closing_only = next(filter(None, objections), "")
        self.mode = content.mode
        self.account.fund(not self.observes)
        self.account.days = self._policies.days_of(contents[0])
        self.actions = self._policies.actions_of(contents)
        bypass = frozenset.intersection(*map(self._policies.bypass, contents))
        aggregations = self._policies.aggregations(contents, self.mode)
        sizings = self._policies.sizings(contents)
        terms = replace(content.terms, bypass=bypass, aggregations=aggregations, sizings=sizings)
        if terms != self.account.terms:
            self.account.adopt(terms)
        self.note_terms()

    def _capital(self, content: Content) -> str:
        return capital_objection(self._pools.currencies, content)

    def note_terms(self) -> None:
        self.terms_digest = terms_digest(self.account.terms)
        self.terms[self.terms_digest] = self.account.terms

    def _contents(self) -> list[Content]:
        """The armed revision's first; the wanted one's bounds it where it is tighter."""
        armed = self.deployments.get(self.armed_revision)
        wanted = self.deployments.get(self.wanted_revision)
        found = (armed, wanted if wanted is not armed else None)
        return [each.content for each in found if each is not None]

    def expects(self, revision: str) -> bool:
        """Whether a runner of that revision has any business here."""
        grants = self.grants
        alive = {runner.revision for runner in grants.runners}
        return revision in {grants.wanted, grants.target, grants.revision, *alive} - {""}

    # ---- its feed

    def decides_in(self, session: str, *, begins_again: bool) -> None:
        """Its next batch is of that session of the feed; empty says nothing."""
        if session and session != self.session:
            self.session = session
            if begins_again:
                self._pools.votes.decides_in(self.name, session)
                self.account.begin_anew()
                self._pools.begin_anew(session)

    # ---- orders

    def reserve(self, order: Order) -> None:
        """Counts an order that was approved, or adopted. Raises AlreadyReserved."""
        self.account.reserve(order)
        self.placed[order.symbol] = order.venue

    def filled(self, fill: Fill, *, of_order: bool) -> None:
        """A fill was booked, of an order that the journal has or of another one."""
        symbol, held = fill.symbol, self.account.ledger.position(fill.symbol).quantity
        if not of_order:
            self.elsewhere.add(symbol)
            if held == fill.quantity * fill.side.sign and not self._has_orders(symbol):
                self.placed.pop(symbol, None)  # it was flat: the last order says nothing of this
        if not held:
            self.elsewhere.discard(symbol)

    def _has_orders(self, symbol: str) -> bool:
        return any(order.symbol == symbol for order in self.account.orders.values())

    def only_reduces(self, order: Order) -> bool:
        """So that its venue can be told: it knows all of the position that the order closes."""
        return order.closing and order.symbol not in self.elsewhere

    def held_at(self, symbol: str) -> str:
        """The venue where it has a position or orders in that symbol; empty: nowhere, or nobody
        knows, for no order of ours made it."""
        return self.placed.get(symbol, "") if self.account.is_in(symbol) else ""

    def next_outcome(self) -> int:
        self.last_outcome += 1
        return self.last_outcome

    def order(self, client_order_id: str) -> Order | None:
        """As it stands, if it is at work or ended lately."""
        return self.account.orders.get(client_order_id) or self.ended.get(client_order_id)

    def keep_ended(self, order: Order) -> None:
        self.ended[order.client_order_id] = order
        if len(self.ended) > _ENDED_KEPT:
            self.ended.popitem(last=False)

    def closing_of(self, signal: Signal) -> Closing | None:
        """What an order of the gateway's own was made for."""
        return self.lowering if BREACH in signal.metadata else self.flattening

    @property
    def observes(self) -> bool:
        return self.mode is Mode.OBSERVATION
