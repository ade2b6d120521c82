"""The life cycle of an order, as a table.

Two streams tell about one order, the venue's answers and its fills, and neither waits for the
other: a fill may come before the order's acceptance and after its cancellation. A fill therefore
always counts, in every state; only the word for the state depends on what came first. A bust takes
a fill back, and changes amounts only: no order comes to life again by one.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from enum import StrEnum

from trading.fills import Fill, ForeignFill
from trading.money import EXACT
from trading.routes import DEFAULT_VENUE
from trading.signals import Cause, OrderType, Side, TimeInForce
from trading.values import value

_ZERO = Decimal(0)


class OrderState(StrEnum):
    PENDING = "pending"  # journalled, not yet sent
    SUBMITTED = "submitted"  # sent, no answer yet
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # no answer in time: counts as exposure until the venue settles it

    @property
    def has_ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset(
    {OrderState.FILLED, OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED}
)


class OrderEvent(StrEnum):
    SUBMIT = "submit"
    ACCEPT = "accept"
    REJECT = "reject"
    FILL = "fill"  # in part
    COMPLETE = "complete"  # the fill that reaches the quantity
    BUST = "bust"  # a fill is taken back
    CANCEL = "cancel"
    EXPIRE = "expire"
    LOSE = "lose"  # no answer in time


class IllegalTransition(ValueError):
    def __init__(self, state: OrderState, event: OrderEvent) -> None:
        super().__init__(f"an order that is {state} cannot {event}")
        self.state = state
        self.event = event


def _pending() -> dict[OrderEvent, OrderState]:
    return {
        OrderEvent.SUBMIT: OrderState.SUBMITTED,  # also again: a retry
        OrderEvent.ACCEPT: OrderState.ACCEPTED,
        OrderEvent.REJECT: OrderState.REJECTED,
        OrderEvent.FILL: OrderState.PARTIALLY_FILLED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.CANCEL: OrderState.CANCELLED,
        OrderEvent.EXPIRE: OrderState.EXPIRED,
        OrderEvent.LOSE: OrderState.UNKNOWN,
    }


TRANSITIONS: Mapping[OrderState, Mapping[OrderEvent, OrderState]] = {
    OrderState.PENDING: _pending(),  # a crash can hide that it was sent: any answer may come
    OrderState.SUBMITTED: _pending(),
    OrderState.ACCEPTED: {
        OrderEvent.ACCEPT: OrderState.ACCEPTED,
        OrderEvent.REJECT: OrderState.REJECTED,  # the paper venue, when no price came in time
        OrderEvent.FILL: OrderState.PARTIALLY_FILLED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.CANCEL: OrderState.CANCELLED,
        OrderEvent.EXPIRE: OrderState.EXPIRED,
        OrderEvent.LOSE: OrderState.UNKNOWN,
    },
    OrderState.PARTIALLY_FILLED: {
        OrderEvent.ACCEPT: OrderState.PARTIALLY_FILLED,  # the fill overtook the answer
        OrderEvent.FILL: OrderState.PARTIALLY_FILLED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.PARTIALLY_FILLED,  # of all of it, too: it was
        OrderEvent.CANCEL: OrderState.CANCELLED,
        OrderEvent.EXPIRE: OrderState.EXPIRED,
        OrderEvent.LOSE: OrderState.UNKNOWN,  # what became of its rest
    },
    OrderState.UNKNOWN: {
        OrderEvent.ACCEPT: OrderState.ACCEPTED,
        OrderEvent.REJECT: OrderState.REJECTED,
        OrderEvent.FILL: OrderState.UNKNOWN,  # says nothing about its rest
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.UNKNOWN,
        OrderEvent.CANCEL: OrderState.CANCELLED,
        OrderEvent.EXPIRE: OrderState.EXPIRED,
        OrderEvent.LOSE: OrderState.UNKNOWN,
    },
    OrderState.FILLED: {
        OrderEvent.ACCEPT: OrderState.FILLED,
        OrderEvent.FILL: OrderState.FILLED,  # more than was ordered
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.FILLED,  # what is taken back is not filled anew
        OrderEvent.CANCEL: OrderState.FILLED,  # the fill won the race
        OrderEvent.EXPIRE: OrderState.FILLED,
        OrderEvent.LOSE: OrderState.FILLED,
    },
    OrderState.REJECTED: {
        OrderEvent.REJECT: OrderState.REJECTED,
        OrderEvent.FILL: OrderState.REJECTED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.REJECTED,
        OrderEvent.LOSE: OrderState.REJECTED,
    },
    OrderState.CANCELLED: {
        OrderEvent.ACCEPT: OrderState.CANCELLED,  # a late answer
        OrderEvent.REJECT: OrderState.CANCELLED,  # the tombstone refused a late copy
        OrderEvent.FILL: OrderState.CANCELLED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.CANCELLED,
        OrderEvent.CANCEL: OrderState.CANCELLED,
        OrderEvent.LOSE: OrderState.CANCELLED,
    },
    OrderState.EXPIRED: {
        OrderEvent.ACCEPT: OrderState.EXPIRED,
        OrderEvent.REJECT: OrderState.EXPIRED,
        OrderEvent.FILL: OrderState.EXPIRED,
        OrderEvent.COMPLETE: OrderState.FILLED,
        OrderEvent.BUST: OrderState.EXPIRED,
        OrderEvent.CANCEL: OrderState.EXPIRED,  # by tombstone
        OrderEvent.EXPIRE: OrderState.EXPIRED,
        OrderEvent.LOSE: OrderState.EXPIRED,
    },
}

# What a venue states about an order, as the event it is to us. FILLED and PARTIALLY_FILLED are only
# an acceptance: the fills themselves come on their own stream and move the order there.
STATED: Mapping[OrderState, OrderEvent] = {
    OrderState.PENDING: OrderEvent.ACCEPT,
    OrderState.SUBMITTED: OrderEvent.ACCEPT,
    OrderState.ACCEPTED: OrderEvent.ACCEPT,
    OrderState.PARTIALLY_FILLED: OrderEvent.ACCEPT,
    OrderState.FILLED: OrderEvent.ACCEPT,
    OrderState.REJECTED: OrderEvent.REJECT,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.EXPIRED: OrderEvent.EXPIRE,
    OrderState.UNKNOWN: OrderEvent.LOSE,
}


def next_state(state: OrderState, event: OrderEvent) -> OrderState:
    """Raises IllegalTransition."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise IllegalTransition(state, event)
    return following


@value(frozen=True, slots=True)
class Modification:
    """Other terms for an order, under way to the venue, which takes each number once and in order:
    what comes late is older than what was decided since."""

    number: int  # of the order's, from 1
    signal_id: str
    quantity: Decimal  # of the whole order
    price: Decimal
    opens: bool = False  # its order, which only reduced, does not any more


@value(frozen=True, slots=True)
class Order:
    client_order_id: str
    signal_id: str
    strategy: str
    revision: str
    epoch: int
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    cause: Cause
    at_ns: int  # by the desk's clock, when it was approved
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    closing: bool = False  # approved as one that only reduces
    state: OrderState = OrderState.PENDING
    filled_quantity: Decimal = _ZERO
    filled_notional: Decimal = _ZERO  # sum of price * quantity, exact
    fee: Decimal = _ZERO
    announced_quantity: Decimal = _ZERO  # filled by the venue's word, whether or not a fill came
    venue_order_id: str = ""
    busted_quantity: Decimal = _ZERO  # was filled and taken back; `filled_quantity` is without it
    post_only: bool = False
    modification: int = 0  # number of the last one that the venue decided
    asked: Modification | None = None  # the one under way: either terms may be the venue's
    venue: str = DEFAULT_VENUE  # where it was sent, for good: routes may change
    adopted: bool = False  # found at its venue: somebody else sent it

    @property
    def is_open(self) -> bool:
        return self.state not in _ENDED

    @property
    def remaining(self) -> Decimal:
        """What is not filled; never less than zero. While it is open the venue may fill again
        what it took back; while a modification is under way, the larger quantity counts."""
        return max(_ZERO, self._largest - self.filled_quantity)

    @property
    def asks_for_less(self) -> bool:
        """Whether what is under way can only make it smaller."""
        asked = self.asked
        return asked is not None and asked.price == self.price and asked.quantity <= self.quantity

    @property
    def _largest(self) -> Decimal:
        return max(self.quantity, self.asked.quantity) if self.asked else self.quantity

    @property
    def traded_quantity(self) -> Decimal:
        """All that was ever filled: what was taken back counts against the quantity as well."""
        return EXACT.add(self.filled_quantity, self.busted_quantity)

    @property
    def overfilled(self) -> Decimal:
        """What was filled beyond the quantity: a fault of the venue, counted all the same."""
        return max(_ZERO, self.filled_quantity - self.quantity)

    @property
    def outstanding(self) -> Decimal:
        """What can still change the position: the rest, or, once ended, fills that were announced
        and have not come."""
        if self.is_open:
            return self.remaining
        return max(_ZERO, self.announced_quantity - self.traded_quantity)

    @property
    def average_price(self) -> Decimal | None:
        return self.filled_notional / self.filled_quantity if self.filled_quantity else None

    def after(self, event: OrderEvent) -> "Order":
        """Raises IllegalTransition."""
        state = next_state(self.state, event)
        if state is OrderState.ACCEPTED and self.filled_quantity:  # settled from UNKNOWN
            state = OrderState.PARTIALLY_FILLED
        return self if state is self.state else replace(self, state=state)

    def after_answer(
        self, state: OrderState, filled_quantity: Decimal = _ZERO, venue_order_id: str = ""
    ) -> "Order":
        """As the venue states it. Raises IllegalTransition when that contradicts what is known."""
        order = self.after(STATED[state])
        return replace(
            order,
            announced_quantity=max(self.announced_quantity, filled_quantity),
            venue_order_id=venue_order_id or self.venue_order_id,
        )

    def after_fill(self, fill: Fill) -> "Order":
        """One more fill, in whatever state; or one less, by a bust. Raises ForeignFill."""
        self._check_own(fill)
        if fill.busts:
            return self._after_bust(fill)
        with localcontext(EXACT):
            filled = self.filled_quantity + fill.quantity
            notional = self.filled_notional + fill.price * fill.quantity
            fee = self.fee + fill.fee
        gross = filled + self.busted_quantity
        event = OrderEvent.COMPLETE if gross >= self._largest else OrderEvent.FILL
        return replace(
            self,
            state=next_state(self.state, event),
            filled_quantity=filled,
            filled_notional=notional,
            fee=fee,
            venue_order_id=self.venue_order_id or fill.order_id,
        )

    def asking(
        self, signal_id: str, quantity: Decimal, price: Decimal, *, opens: bool = False
    ) -> "Order":
        number, opens = self.modification + 1, opens and self.closing
        return self.with_asked(Modification(number, signal_id, quantity, price, opens))

    def with_asked(self, asked: Modification) -> "Order":
        return replace(self, asked=asked, closing=self.closing and not asked.opens)

    def after_modification(self, number: int, quantity: Decimal, price: Decimal | None) -> "Order":
        """As the venue's terms are after it decided on that modification, whichever way."""
        after = replace(self, quantity=quantity, price=price, modification=number, asked=None)
        traded = self.traded_quantity
        complete = traded and traded >= quantity
        return after.after(OrderEvent.COMPLETE) if complete and self.is_open else after

    def _after_bust(self, bust: Fill) -> "Order":
        with localcontext(EXACT):
            return replace(
                self,
                state=next_state(self.state, OrderEvent.BUST),
                filled_quantity=self.filled_quantity - bust.quantity,
                filled_notional=self.filled_notional - bust.price * bust.quantity,
                fee=self.fee + bust.fee,
                busted_quantity=self.busted_quantity + bust.quantity,
            )

    def _check_own(self, fill: Fill) -> None:
        side = self.side.other if fill.busts else self.side
        own = (self.client_order_id, self.symbol, side)
        theirs = (fill.client_order_id, fill.symbol, fill.side)
        if own != theirs:
            raise ForeignFill(
                f"fill {fill.fill_id} is of {fill.side} {fill.symbol} {fill.client_order_id}, "
                f"the order is {self.side} {self.symbol} {self.client_order_id}"
            )
        if fill.busts and fill.quantity > self.filled_quantity:
            raise ForeignFill(
                f"fill {fill.fill_id} takes back {fill.quantity} of {self.client_order_id}, "
                f"filled is {self.filled_quantity}"
            )
