"""A venue that keeps its books right and its manners wrong.

What it tells comes late, twice, out of order or never; what it did is in `books`, and that is what
a ledger has to end with. It stands where `risk_gateway.venue.Venue` does.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from risk_gateway.venue import VenueRefused, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, SIDES
from trading.fills import Fill
from trading.orders import Modification, OrderState
from trading.signals import Side

S = OrderState
_OPEN = (S.ACCEPTED, S.PARTIALLY_FILLED)


class Mood(StrEnum):
    """How it takes the next call."""

    ANSWERS = "answers"
    LOSES_THE_CALL = "loses the call"  # it may yet arrive, late
    LOSES_THE_ANSWER = "loses the answer"
    REFUSES = "refuses"


@dataclass(slots=True)
class RudeOrder:
    request: pb.OrderRequest
    state: OrderState = S.ACCEPTED
    fills: dict[str, Fill] = field(default_factory=dict)  # those that stand
    made: int = 0
    gross: Decimal = Decimal(0)
    modification: int = 0

    @property
    def is_open(self) -> bool:
        return self.state in _OPEN

    @property
    def quantity(self) -> Decimal:
        return Decimal(self.request.quantity)

    @property
    def filled(self) -> Decimal:
        return sum((fill.quantity for fill in self.fills.values()), Decimal(0))


class RudeVenue:
    def __init__(self) -> None:
        self.name = "main"
        self.available = True
        self.books: dict[str, RudeOrder] = {}
        self.buried: set[str] = set()
        self.moods: list[Mood] = []
        self.late: list[Sequence[pb.OrderRequest]] = []  # calls that may arrive yet
        self.late_modifications: list[tuple[str, Modification]] = []
        self.untold: list[Fill] = []  # to be delivered, in any order
        self.asked: Counter[str] = Counter()  # submits that the gateway made, by id

    # ---- as the gateway calls it

    async def submit(self, requests: Sequence[pb.OrderRequest]) -> Sequence[pb.OrderResponse]:
        mood = self._mood()
        if mood is Mood.REFUSES:
            raise VenueRefused("INVALID_ARGUMENT: by mood")
        self.asked.update(request.client_order_id for request in requests)
        if mood is Mood.LOSES_THE_CALL:
            self.late.append(requests)
            raise VenueUnavailable("UNAVAILABLE: by mood")
        self.arrive(requests)
        if mood is Mood.LOSES_THE_ANSWER:
            raise VenueUnavailable("DEADLINE_EXCEEDED: by mood")
        return [self._stated(request.client_order_id) for request in requests]

    async def cancel(self, client_order_id: str, strategy: str) -> pb.OrderResponse:
        mood = self._mood()
        if mood in (Mood.LOSES_THE_CALL, Mood.REFUSES):
            raise VenueUnavailable("UNAVAILABLE: by mood")
        order = self.books.get(client_order_id)
        if order is None:
            self.buried.add(client_order_id)
        elif order.is_open:
            order.state = S.CANCELLED
        if mood is Mood.LOSES_THE_ANSWER:
            raise VenueUnavailable("DEADLINE_EXCEEDED: by mood")
        return self._stated(client_order_id)

    async def modify(
        self, client_order_id: str, strategy: str, modification: Modification
    ) -> pb.OrderResponse:
        mood = self._mood()
        if mood is Mood.REFUSES or client_order_id not in self.books:
            raise VenueRefused("NOT_FOUND")
        if mood is Mood.LOSES_THE_CALL:
            self.late_modifications.append((client_order_id, modification))
            raise VenueUnavailable("UNAVAILABLE: by mood")
        self.decide(client_order_id, modification)
        if mood is Mood.LOSES_THE_ANSWER:
            raise VenueUnavailable("DEADLINE_EXCEEDED: by mood")
        return self._stated(client_order_id)

    async def order(self, client_order_id: str) -> pb.OrderResponse | None:
        if self._mood() is not Mood.ANSWERS:
            raise VenueUnavailable("UNAVAILABLE: by mood")
        return self._stated(client_order_id) if client_order_id in self.books else None

    async def orders(self, *, open_only: bool = False) -> AsyncIterator[pb.OrderResponse]:
        for client_order_id, order in self.books.items():
            if order.is_open or not open_only:
                yield self._stated(client_order_id)

    def _mood(self) -> Mood:
        return self.moods.pop(0) if self.moods else Mood.ANSWERS

    def _stated(self, client_order_id: str) -> pb.OrderResponse:
        order = self.books.get(client_order_id)
        return pb.OrderResponse(
            client_order_id=client_order_id,
            state=ORDER_STATES.number(order.state if order else S.CANCELLED),  # type: ignore[arg-type]  # the stubs' own enum type
            filled_quantity=str(order.filled if order else 0),
            quantity=order.request.quantity if order else "",
            price=order.request.price if order else "",
            modification=order.modification if order else 0,
        )

    # ---- what it does

    def arrive(self, requests: Sequence[pb.OrderRequest]) -> None:
        for request in requests:
            key = request.client_order_id
            assert key not in self.books, f"{key} was sent twice"
            state = S.REJECTED if key in self.buried else S.ACCEPTED
            self.books[key] = RudeOrder(request, state)

    def decide(self, client_order_id: str, modification: Modification) -> None:
        order = self.books[client_order_id]
        if not order.is_open or modification.number <= order.modification:
            return
        order.modification = modification.number
        if modification.quantity > order.gross:
            order.request.quantity = str(modification.quantity)
            order.request.price = str(modification.price)

    def fill(self, order: RudeOrder, quantity: Decimal) -> None:
        order.made += 1
        request = order.request
        made = Fill(
            fill_id=f"{request.client_order_id}-{order.made}",
            client_order_id=request.client_order_id,
            strategy=request.strategy_id,
            symbol=request.symbol,
            side=SIDES.member("side", request.side),
            price=Decimal(100 + order.made),
            quantity=quantity,
            fee=Decimal("0.1"),
            at_ns=order.made,
        )
        order.gross += quantity
        order.state = S.FILLED if order.gross >= order.quantity else S.PARTIALLY_FILLED
        order.fills[made.fill_id] = made
        self.untold.append(made)

    def bust(self, order: RudeOrder, fill_id: str) -> None:
        of = order.fills.pop(fill_id)
        self.untold.append(
            Fill(
                fill_id=f"{fill_id}-bust",
                client_order_id=of.client_order_id,
                strategy=of.strategy,
                symbol=of.symbol,
                side=of.side.other,
                price=of.price,
                quantity=of.quantity,
                fee=-of.fee,
                at_ns=of.at_ns + 1,
                busts=fill_id,
            )
        )

    def position(self) -> Decimal:
        signed = (
            fill.quantity * (1 if fill.side is Side.BUY else -1)
            for order in self.books.values()
            for fill in order.fills.values()
        )
        return sum(signed, Decimal(0))
