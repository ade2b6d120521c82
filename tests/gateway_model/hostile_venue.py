"""A venue in the same process that keeps true books and is as awkward as a venue may be.

It decides nothing by itself: the story says what it takes, trades, forgets to answer. Orders are
kept once per client order id, a cancel of what was never seen leaves a tombstone.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from risk_gateway.venue import VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, REASONS, SIDES, text_of
from trading.fills import Fill
from trading.orders import Modification, OrderState
from trading.reasons import Reason
from trading.routes import DEFAULT_VENUE
from trading.signals import Side

ZERO = Decimal(0)
FEE = Decimal("0.25")  # of each fill


@dataclass
class AtVenue:
    request: pb.OrderRequest
    state: OrderState = OrderState.ACCEPTED
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    fee: Decimal = ZERO
    busted: Decimal = ZERO  # was filled, and is not any more
    fills: int = 0
    terms: Modification = field(init=False)  # the last one decided, as the order stands since
    reason: Reason | None = None  # why it was not taken
    venue: str = DEFAULT_VENUE
    rests: bool = False  # of one that may not take: it was seen not to

    def __post_init__(self) -> None:
        price = Decimal(self.request.price or 0)
        self.terms = Modification(0, "", Decimal(self.request.quantity), price)

    @property
    def is_open(self) -> bool:
        return not self.state.has_ended

    @property
    def left(self) -> Decimal:
        return self.terms.quantity - self.traded

    @property
    def traded(self) -> Decimal:
        """What was taken back is not filled anew."""
        return self.filled + self.busted


@dataclass
class HostileVenue:
    """What is at all venues, and what a story does to it; `OneVenue` is what the gateway calls."""

    orders_: dict[str, AtVenue] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, pb.OrderResponse | None]] = field(default_factory=list)
    busts: list[Fill] = field(default_factory=list)

    def take(
        self,
        request: pb.OrderRequest,
        state: OrderState = OrderState.ACCEPTED,
        venue: str = DEFAULT_VENUE,
    ) -> None:
        """Once an id; a late copy of what was buried is refused."""
        key = request.client_order_id
        if key not in self.orders_:
            state = OrderState.REJECTED if key in self.buried else state
            self.orders_[key] = AtVenue(request, state, venue=venue)

    def trade(
        self, key: str, quantity: Decimal, price: Decimal, at_ns: int, fee_currency: str = ""
    ) -> Fill:
        """Also more than was ordered, if the story says so."""
        order = self.orders_[key]
        order.fills += 1
        order.filled += quantity
        order.notional += quantity * price
        order.fee += FEE
        full = order.left <= 0
        order.state = OrderState.FILLED if full else OrderState.PARTIALLY_FILLED
        return Fill(
            fill_id=f"{key}/{order.fills}",
            client_order_id=key,
            strategy=order.request.strategy_id,
            symbol=order.request.symbol,
            side=SIDES.member("side", order.request.side),
            price=price,
            quantity=quantity,
            fee=FEE,
            at_ns=at_ns,
            order_id=f"v-{key}",
            fee_currency=fee_currency,
        )

    def bust(self, of: Fill, fee: Decimal, at_ns: int) -> Fill:
        """Takes a fill back, in its books once; it may say so again, and of any fill."""
        order = self.orders_.get(of.client_order_id)
        if order and not of.busts and all(each.busts != of.fill_id for each in self.busts):
            order.filled -= of.quantity
            order.busted += of.quantity
            order.notional -= of.quantity * of.price
            order.fee -= fee
        fill_id = f"{of.fill_id}/bust{len(self.busts)}"
        side = of.side.other
        self.busts.append(
            replace(of, fill_id=fill_id, side=side, fee=-fee, at_ns=at_ns, busts=of.fill_id)
        )
        return self.busts[-1]

    def end(self, key: str, state: OrderState) -> None:
        if self.orders_[key].is_open:
            self.orders_[key].state = state

    def statement(self, key: str) -> pb.OrderResponse:
        """How it stands now."""
        order = self.orders_[key]
        return pb.OrderResponse(
            client_order_id=key,
            order_id=f"v-{key}",
            state=ORDER_STATES.number(order.state),  # type: ignore[arg-type]  # the stubs' own enum type
            filled_quantity=text_of(order.filled),
            filled_notional=text_of(order.notional),
            fee=text_of(order.fee),
            strategy_id=order.request.strategy_id,
            account=order.request.account,
            symbol=order.request.symbol,
            side=order.request.side,
            order_type=order.request.order_type,
            time_in_force=order.request.time_in_force,
            stop_price=order.request.stop_price,
            quantity=text_of(order.terms.quantity),
            price=text_of(order.terms.price) if order.request.price else "",
            modification=order.terms.number,
            post_only=order.request.post_only,
            reason=REASONS.number(order.reason) if order.reason else 0,  # type: ignore[arg-type]  # as above
        )

    def modified(self, key: str, asked: Modification, *, takes: bool = True) -> pb.OrderResponse:
        """A modification reached it: each number is decided once, and the newest counts."""
        order = self.orders_[key]
        if order.is_open and asked.number > order.terms.number:
            enough = asked.quantity > order.traded
            order.reason = None if enough else Reason.INVALID_QUANTITY
            moves = takes and enough and asked.price != order.terms.price
            order.rests = order.rests and not moves
            order.terms = asked if takes and enough else replace(order.terms, number=asked.number)
        return self.statement(key)

    def cancelled(self, key: str) -> pb.OrderResponse:
        """A cancel reached it."""
        if key in self.orders_:
            self.end(key, OrderState.CANCELLED)
            return self.statement(key)
        self.buried.add(key)
        cancelled = ORDER_STATES.number(OrderState.CANCELLED)
        return pb.OrderResponse(client_order_id=key, state=cancelled)  # type: ignore[arg-type]  # as above

    def stays(self, key: str, touch: Decimal) -> bool:
        """Whether a quote leaves it there: what may only rest does not take from its first one."""
        order = self.orders_[key]
        if order.request.post_only and not order.rests:
            beyond = touch - order.terms.price
            is_buy = SIDES.member("side", order.request.side) is Side.BUY
            order.rests = beyond > 0 if is_buy else beyond < 0
            if not order.rests:
                order.reason = None if order.filled else Reason.VENUE_REJECTED
                self.end(key, OrderState.CANCELLED if order.filled else OrderState.REJECTED)
        return order.is_open

    def has_open(self, key: str) -> bool:
        return key in self.orders_ and self.orders_[key].is_open

    def position(self, strategy: str, symbol: str) -> Decimal:
        """What its fills make of the strategy's orders."""
        total = ZERO
        for order in self.orders_.values():
            if (order.request.strategy_id, order.request.symbol) == (strategy, symbol):
                side = SIDES.member("side", order.request.side)
                total += order.filled if side is Side.BUY else -order.filled
        return total

    def turns_round(self, key: str) -> bool:
        """Whether an order that only reduces has nothing left to reduce."""
        order = self.orders_[key]
        held = self.position(order.request.strategy_id, order.request.symbol)
        signed = held if SIDES.member("side", order.request.side) is Side.SELL else -held
        return order.request.reduce_only and signed < order.left


@dataclass
class OneVenue:
    """The calls of `risk_gateway.venue.Venue`."""

    all: HostileVenue
    name: str
    away: set[str]

    async def order(self, client_order_id: str) -> pb.OrderResponse | None:
        self._answer()
        answer = self.all.statement(client_order_id) if self._has(client_order_id) else None
        self.all.asked.append(("order", client_order_id, answer))
        return answer

    async def cancel(self, client_order_id: str, strategy: str) -> pb.OrderResponse:
        self._answer()
        answer = self.all.cancelled(client_order_id)
        self.all.asked.append(("cancel", client_order_id, answer))
        return answer

    async def modify(
        self, client_order_id: str, strategy: str, asked: Modification
    ) -> pb.OrderResponse:
        self._answer()
        answer = self.all.modified(client_order_id, asked)
        self.all.asked.append(("modify", client_order_id, answer))
        return answer

    async def orders(
        self, strategy: str = "", *, open_only: bool = False
    ) -> AsyncIterator[pb.OrderResponse]:
        self._answer()
        for key, order in self.all.orders_.items():
            if self._has(key) and (order.is_open or not open_only):
                yield self.all.statement(key)

    def _has(self, key: str) -> bool:
        return key in self.all.orders_ and self.all.orders_[key].venue == self.name

    def _answer(self) -> None:
        if self.name in self.away:
            raise VenueUnavailable("it is away")
