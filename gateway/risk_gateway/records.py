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

from handover.messages import Input, Mark, OrderEnd, OrderFill, Outcome
from risk_gateway.archive import Row
from risk_gateway.journal import OrderRow, Record
from risk_gateway.policies import PolicyChange
from trading.fills import Fill
from trading.ids import signal_of
from trading.orders import Order, OrderState
from trading.reasons import Reason
from trading.scopes import Level, Scope
from trading.signals import Signal, Verdict
from trading.standings import OPERATOR, Stand, Standing
from trading.watermarks import Watermarks

T = TypeVar("T")
_LONGEST_ID = 200


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
    FILL = "fill"
    STRAY = "stray"


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
    level: Level = Level.DESK
    name: str = ""
    standing: Standing = Standing.HALTED

    @property
    def scope(self) -> Scope:
        return Scope(self.level, self.name)

    @property
    def stand(self) -> Stand:
        return Stand(self.standing, self.reason)


@dataclass(frozen=True, slots=True)
class BatchTaken:
    epoch: int
    number: int
    mark: Mark
    inputs: tuple[Input, ...] = ()
    stopped: str = ""
    watermarks: Watermarks | None = None
    together: Mapping[str, Watermarks] = field(default_factory=dict)  # by scope


@dataclass(frozen=True, slots=True)
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
    bypassed: tuple[Reason, ...] = ()  # what would have refused it, had a policy not said otherwise

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.signal.id, self.reason, self.message)


@dataclass(frozen=True, slots=True)
class OrderEnded:
    client_order_id: str
    state: OrderState
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """A fill that could be counted nowhere."""

    fill: Fill
    why: str


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
    Kind.FILL: Fill,
    Kind.STRAY: Stray,
}
_decoders: Mapping[str, Callable[[str], Any]] = {
    kind: msgspec.json.Decoder(body).decode for kind, body in _BODIES.items()
}


def body_of(row: Row) -> Any:
    """Of every kind but GRANT, whose body `handover.effects` reads."""
    return _decoders[row.kind](row.body)


def record(kind: Kind, body: object, at_ns: int, strategy: str = "", **more: Any) -> Record:
    return Record(kind, _encode(body).decode(), at_ns, strategy, **more)


def batch_key(strategy: str, epoch: int, number: int) -> str:
    """Keys of one strategy and epoch sort by number."""
    return f"{strategy}|{epoch:012d}|{number:015d}"


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
        fill.fill_id, fill.symbol, fill.side, fill.price, fill.quantity, fill.fee, fill.at_ns
    )
    return Outcome(number, signal_id, what)


def end_outcome(number: int, ended: OrderEnded) -> Outcome:
    signal_id = signal_of(ended.client_order_id)
    return Outcome(number, signal_id, OrderEnd(ended.state, ended.reason))


def verdict_outcome(number: int, decided: Decided) -> Outcome:
    """Of a verdict that ends its signal: refused, or observed and therefore never an order."""
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
    return verdict_outcome(row.outcome, body)
