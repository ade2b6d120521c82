"""What is journalled, and how it lies in the log: one kind, one body, JSON.

A record that a strategy is told of carries its outcome's number; `outcome_of` reads it back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from handover import messages
from handover.messages import Input, Mark, OrderEnd, OrderFill, Outcome
from risk_gateway.archive import Archive, Row
from risk_gateway.journal import OrderRow, Record
from risk_gateway.judged import Judged
from risk_gateway.policies import PolicyChange
from risk_gateway.settings import Clock
from risk_gateway.terse import Terse
from trading.accounts import Terms
from trading.breaches import BreachAction
from trading.fills import Fill
from trading.ids import signal_of
from trading.instruments import Instrument
from trading.orders import Modification, Order, OrderState
from trading.reasons import Reason
from trading.routes import DEFAULT_VENUE, Route, Routes
from trading.samples import Sample
from trading.scopes import Level, Scope
from trading.signals import Signal, Verdict
from trading.sizing import Sized
from trading.standings import OPERATOR, Stand, Standing
from trading.values import value
from trading.votes import Poll
from trading.watermarks import Watermarks

T = TypeVar("T")
_LONGEST_ID = 200
_BREACH = "breach/"
_MOST = 999_999_999  # modifications of an order


class Kind(StrEnum):
    TERM = "term"
    DEPLOYED = "deployed"
    GRANT = "grant"
    HALTED = "halted"
    RESUMED = "resumed"
    POLICY = "policy"
    WITHDRAWN = "withdrawn"
    FLATTEN = "flatten"
    BATCH = "batch"
    DECIDED = "decided"
    ENDED = "ended"
    MODIFIED = "modified"
    CANCELLED_ALL = "cancelled_all"
    FILL = "fill"
    STRAY = "stray"
    STARTED = "started"
    SEALED = "sealed"
    TERMS = "terms"
    SAMPLED = "sampled"
    BREACHED = "breached"
    MARKED = "marked"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Term:
    term: int
    holder: str


@dataclass(frozen=True, slots=True)
class Deployed:
    revision: str
    content: str
    runner_token_sha256: str = ""
    runner_pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A strategy is to have nothing at work any more, until it is deployed anew.

    A kind of its own: a gateway that knows flattening only would close what is to be kept.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Flatten:
    """A strategy that was withdrawn is to own nothing any more, until it is deployed anew."""

    number: int  # of the strategy's, from 1: part of the ids of its orders
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Latch:
    """A halt, or the end of one; of the desk, where an older gateway wrote it."""

    reason: str
    source: str = OPERATOR
    by: str = ""  # who called; empty: nobody did
    level: Level = Level.DESK
    name: str = ""
    standing: Standing = Standing.HALTED

    @property
    def scope(self) -> Scope:
        return Scope(self.level, self.name)

    @property
    def stand(self) -> Stand:
        return Stand(self.standing, self.reason)


@value(frozen=True, slots=True)
class BatchTaken:
    epoch: int
    number: int
    mark: Mark
    inputs: tuple[Input, ...] = ()
    stopped: str = ""
    watermarks: Watermarks | None = None
    together: Mapping[str, Watermarks] = field(default_factory=dict)  # by scope


@value(frozen=True, slots=True)
class Decided:
    """A verdict, and what it was made by. `order`: what leaves, once this is durable."""

    signal: Signal
    epoch: int  # 0: the gateway's own
    batch: int  # 0: of no runner
    revision: str
    now_ns: int
    reason: Reason | None = None
    message: str = ""
    scope: str = ""  # whose limit refused it; empty: the strategy's own
    bid: Decimal | None = None
    ask: Decimal | None = None
    order: Order | None = None
    modification: Modification | None = None  # likewise, of an order at work
    judged: Judged | None = None  # None: no check was made
    as_order: Signal | None = None  # of a modification: what would be left, as it was judged
    watermarks: Watermarks | None = None  # of no batch: a tool's, or the gateway's own
    together: Mapping[str, Watermarks] = field(default_factory=dict)  # likewise, by scope
    poll: Poll | None = None  # how those who vote together stood to it; None: nobody votes
    sized: tuple[Sized, ...] = ()  # what an intention's quantity was made of, by each policy
    bypassed: tuple[Reason, ...] = ()  # what would have refused it, had a policy not said otherwise
    session: str = ""  # of the feed; of no batch likewise

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.signal.id, self.reason, self.message)


@dataclass(frozen=True, slots=True)
class Adopted:
    """An order that somebody else sent, taken over as it was found, on its venue's terms."""

    order: Order


@dataclass(frozen=True, slots=True)
class CancelledAll:
    """Whatever a strategy has at work then is to be cancelled."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderModified:
    """What the venue decided about a modification: the order's terms, and whether they are those
    that were asked for."""

    client_order_id: str
    signal_id: str  # that asked
    number: int
    quantity: Decimal
    price: Decimal | None
    remaining: Decimal = Decimal(0)
    reason: Reason | None = None  # why not
    message: str = ""


@value(frozen=True, slots=True)
class OrderEnded:
    client_order_id: str
    state: OrderState
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Breached:
    """A limit was exceeded by what stands, and what is done about it until it is taken back."""

    limit: str
    action: BreachAction
    found: Decimal
    allowed: Decimal
    message: str
    now_ns: int  # by the desk's clock
    level: Level = Level.DESK
    name: str = ""
    until_next_day: bool = False
    share: Decimal | None = None
    kept: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # strategy, symbol

    @property
    def scope(self) -> Scope:
        return Scope(self.level, self.name)


@dataclass(frozen=True, slots=True)
class Marked:
    """What losses are measured from, where no order has moved it."""

    strategies: Mapping[str, Watermarks]
    together: Mapping[str, Watermarks] = field(default_factory=dict)  # by scope


@dataclass(frozen=True, slots=True)
class Stray:
    """A fill that could be counted nowhere."""

    fill: Fill
    why: str


@dataclass(frozen=True, slots=True)
class Started:
    """A gateway went on from here, with these settings; the same again is not written again.

    What cannot be had from the other records, and whoever reads the journal without the gateway has
    to know.
    """

    clock: Clock
    asks_for_policies: bool
    real_venue: bool
    instruments: Mapping[str, Instrument]
    policies_may_be_missing: bool = False
    routes: tuple[Route, ...] = ()  # none: one venue takes everything, as of an older gateway
    currency: str = ""  # the desk's; empty: everything counts as one

    @property
    def table(self) -> Routes:
        return Routes(self.routes or (Route(real=self.real_venue),))


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal was put behind record `number`: its hash, and the SHA-256 of the snapshot, in hex."""

    number: int
    hash: str
    snapshot: str


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value)} in a record")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_BODIES: Mapping[str, type] = {
    Kind.TERM: Term,
    Kind.DEPLOYED: Deployed,
    Kind.HALTED: Latch,
    Kind.RESUMED: Latch,
    Kind.POLICY: PolicyChange,
    Kind.WITHDRAWN: Withdrawn,
    Kind.FLATTEN: Flatten,
    Kind.BATCH: BatchTaken,
    Kind.DECIDED: Decided,
    Kind.ENDED: OrderEnded,
    Kind.MODIFIED: OrderModified,
    Kind.CANCELLED_ALL: CancelledAll,
    Kind.FILL: Fill,
    Kind.STRAY: Stray,
    Kind.STARTED: Started,
    Kind.SEALED: Sealed,
    Kind.TERMS: Terms,
    Kind.SAMPLED: Sample,
    Kind.BREACHED: Breached,
    Kind.MARKED: Marked,
    Kind.ADOPTED: Adopted,
}
_decoders: Mapping[str, Callable[[str], Any]] = {
    kind: msgspec.json.Decoder(body).decode for kind, body in _BODIES.items()
}


def body_of(row: Row) -> Any:
    """Of every kind but GRANT, whose body `handover.effects` reads."""
    return _decoders[row.kind](row.body)


# Of each signal there is one.
terse_decision = Terse(Decided, signal=Terse(Signal), order=Terse(Order), as_order=Terse(Signal))


class _Sent(msgspec.Struct):
    venue: str = DEFAULT_VENUE


class _Made(msgspec.Struct):
    order: _Sent | None = None


_sent = msgspec.json.Decoder(_Made).decode


def venue_of(made: Row) -> str:
    """Where the order went that this record made; most of what it says is skipped."""
    sent = _sent(made.body).order
    return sent.venue if sent else DEFAULT_VENUE


def record(kind: Kind, body: object, at_ns: int, strategy: str = "", **more: Any) -> Record:
    return Record(kind, _encode(body).decode(), at_ns, strategy, **more)


def breach_source(limit: str) -> str:
    """Who set what a breach of that limit has set."""
    return f"{_BREACH}{limit}"


def breached_limit(source: str) -> str:
    """Empty: it was no breach."""
    return source.removeprefix(_BREACH) if source.startswith(_BREACH) else ""


def batch_key(strategy: str, epoch: int, number: int) -> str:
    """Keys of one strategy and epoch sort by number."""
    return f"{strategy}|{epoch:012d}|{number:015d}"


def seal_key(number: int) -> str:
    """Keys of seals sort by number."""
    return f"{number:015d}"


def started_key(at_ns: int) -> str:
    return f"{at_ns:020d}"


def modification_key(client_order_id: str, number: int) -> str:
    """Keys of one order sort by number."""
    return f"{client_order_id}|{number:09d}"


def last_modification(archive: Archive, client_order_id: str) -> OrderModified | None:
    """What the venue decided last about the terms of an order."""
    first, last = (modification_key(client_order_id, number) for number in (0, _MOST))
    row = archive.last_between(Kind.MODIFIED, first, last)
    return body_of(row) if row else None


def order_row(order: Order) -> OrderRow:
    return OrderRow(
        order.client_order_id,
        order.strategy,
        order.state,
        order.filled_quantity,
        order.filled_notional,
        order.fee,
    )


def fill_outcome(number: int, fill: Fill) -> Outcome:
    # A fill of nobody's signal still needs a name on the wire.
    signal_id = signal_of(fill.client_order_id) or f"foreign-{fill.fill_id}"[:_LONGEST_ID]
    what = OrderFill(
        fill.fill_id, fill.symbol, fill.side, fill.price, fill.quantity, fill.fee, fill.at_ns,
        fill.busts,
    )  # fmt: skip
    return Outcome(number, signal_id, what)


def end_outcome(number: int, ended: OrderEnded) -> Outcome:
    signal_id = signal_of(ended.client_order_id)
    return Outcome(number, signal_id, OrderEnd(ended.state, ended.reason))


def modified_outcome(number: int, modified: OrderModified) -> Outcome:
    """A refused one ends the signal that asked."""
    if modified.reason is not None or modified.price is None:
        return Outcome(number, modified.signal_id, OrderEnd(OrderState.REJECTED, modified.reason))
    order = signal_of(modified.client_order_id)
    what = messages.OrderModified(order, modified.remaining, modified.price)
    return Outcome(number, modified.signal_id, what)


def verdict_outcome(number: int, decided: Decided) -> Outcome:
    """Of a verdict that ends its signal: refused, or observed and therefore never an order. Or of
    one that made an intention an order.
    """
    order = decided.order
    if order is not None:
        sized = messages.OrderSized(order.symbol, order.side, order.quantity)
        return Outcome(number, decided.signal.id, sized)
    state = OrderState.CANCELLED if decided.reason is None else OrderState.REJECTED
    return Outcome(number, decided.signal.id, OrderEnd(state, decided.reason))


def outcome_of(row: Row) -> Outcome:
    """Of a row that has a number."""
    assert row.outcome is not None
    body = body_of(row)
    if isinstance(body, Fill):
        return fill_outcome(row.outcome, body)
    if isinstance(body, OrderEnded):
        return end_outcome(row.outcome, body)
    if isinstance(body, OrderModified):
        return modified_outcome(row.outcome, body)
    return verdict_outcome(row.outcome, body)
