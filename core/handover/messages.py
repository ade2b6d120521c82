"""What runner and gateway say to each other, as values. The proto twins are in stratops_api."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side, Signal, Verdict
from trading.values import value


class Phase(StrEnum):
    """What a runner does with its market data."""

    SYNC = "sync"  # keeps all, waits for a snapshot
    FOLLOW = "follow"  # applies only what the armed one is known to have decided
    ARMED = "armed"  # decides
    STOPPED = "stopped"  # keeps all, holds still


@value(frozen=True, slots=True)
class Mark:
    """A place in the market data, as one runner met it."""

    count: int = 0  # messages since the origin that snapshots hand on
    crc: int = 0  # CRC-32 over their bytes, in their order
    outcome: int = 0  # number of the last outcome applied
    digest: int = 0  # of the strategy's state; 0: not taken
    sequences: Mapping[str, int] = field(default_factory=dict)  # "BTCUSDT/tick" -> last one
    session: str = ""  # of the feed, without what a restart appended: sequences count within it


@value(frozen=True, slots=True)
class Input:
    """Where among the ticks an outcome was applied: after `after` messages."""

    after: int
    outcome: int


@value(frozen=True, slots=True)
class OrderFill:
    fill_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    at_ns: int
    busts: str = ""  # the fill that this one takes back: the other side, the same price


@value(frozen=True, slots=True)
class OrderEnd:
    """The order will be filled no further: refused, rejected, cancelled, expired, or filled."""

    state: OrderState
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class OrderModified:
    """An order has the terms that the signal asked for."""

    order: str  # id of the signal that made it
    remaining: Decimal
    price: Decimal


@value(frozen=True, slots=True)
class OrderSized:
    """An intention is an order of that side and quantity."""

    symbol: str
    side: Side
    quantity: Decimal


What = OrderFill | OrderEnd | OrderModified | OrderSized


@value(frozen=True, slots=True)
class Outcome:
    """What came of a signal; numbered gap-free per strategy from 1."""

    number: int
    signal_id: str
    what: What


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    signal_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal  # what is not yet filled
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a strategy owns and what it has working, as the ledger has it."""

    positions: Mapping[str, Decimal] = field(default_factory=dict)
    working: tuple[WorkingOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class Counters:
    ticks: int = 0
    errors: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    rss_bytes: int = 0
    feed_age_ns: int = 0
    held: int = 0


# ---- runner -> gateway


@dataclass(frozen=True, slots=True)
class Hello:
    strategy: str
    revision: str
    instance: str
    token: str = ""
    phase: Phase = Phase.SYNC
    epoch: int = 0
    batch: int = 0  # armed, stopped: last batch made; follow: last batch applied
    following: int = 0  # epoch it follows
    ready: bool = False
    stopped: str = ""
    subscription: int = 0
    state_key: str = ""  # equal keys: snapshots can move between the two


@dataclass(frozen=True, slots=True)
class Subscribed:
    subscription: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    instance: str
    subscription: int
    batch: int
    mark: Mark
    state: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    ok: bool


@value(frozen=True, slots=True)
class Batch:
    """Decisions, the places of outcomes, and the stop: one ordered stream per epoch."""

    epoch: int
    number: int
    mark: Mark
    signals: tuple[Signal, ...] = ()
    inputs: tuple[Input, ...] = ()
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Alive:
    counters: Counters = Counters()


@dataclass(frozen=True, slots=True)
class Trouble:
    reason: str


RunnerMessage = Hello | Subscribed | Snapshot | Ready | Batch | Alive | Trouble


# ---- gateway -> runner


@dataclass(frozen=True, slots=True)
class Welcome:
    epoch: int
    batch: int


@dataclass(frozen=True, slots=True)
class WantSnapshot:
    """For that runner's subscription. No instance: nobody follows any more."""

    instance: str
    subscription: int


@dataclass(frozen=True, slots=True)
class Restore:
    subscription: int
    following: int
    batch: int
    mark: Mark
    state: bytes  # empty: warm up instead
    holdings: Holdings = Holdings()


@dataclass(frozen=True, slots=True)
class Progress:
    following: int
    batch: int
    mark: Mark
    inputs: tuple[Input, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    holdings: Holdings = Holdings()


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Go:
    """To a stopped one that is still armed: decide again, from where you stopped."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Decide, from `mark` on. Fresh: begin where you are, with a new strategy and these holdings;
    the mark then says what was decided before (its sequences), which is not decided again."""

    epoch: int
    mark: Mark | None = None
    outcomes: tuple[Outcome, ...] = ()  # after the mark
    holdings: Holdings = Holdings()
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    epoch: int
    following: int
    alike: bool = False  # same state key: its signals can be made again, its digests compared


@value(frozen=True, slots=True)
class Ack:
    batch: int
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    batch: int
    signals: int
    reason: Reason
    epoch: int = 0


@value(frozen=True, slots=True)
class Outcomes:
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Release:
    reason: str


GatewayMessage = (
    Welcome
    | WantSnapshot
    | Restore
    | Progress
    | Stop
    | Go
    | Arm
    | Follow
    | Ack
    | Refused
    | Outcomes
    | Release
)
