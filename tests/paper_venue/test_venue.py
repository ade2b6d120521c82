"""The venue's decisions: where an order meets the market, however early or late it comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data import catalogue
from paper_venue.book import Book
from paper_venue.holdings import Holdings
from paper_venue.orders import Fill, Order, Request
from paper_venue.venue import Clock, FillModel, PaperVenue, Rules
from trading.fills import Liquidity
from trading.market import Quote, Tape
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Cause, OrderType, Side, TimeInForce

D = Decimal
TOUCH, NEXT_TICK = FillModel.TOUCH, FillModel.NEXT_TICK
BTC, ETH = "BTCUSDT", "ETHUSDT"
INSTRUMENTS = catalogue.load()


@dataclass
class Desk:
    """A venue, and what it has recorded."""

    rules: Rules = Rules()  # noqa: RUF009  # frozen
    tape: Tape = field(default_factory=Tape)
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[tuple[str, Fill]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.venue = PaperVenue(INSTRUMENTS, self.rules, self.record, Book(), self.tape, Holdings())

    def record(self, order: Order, fills: tuple[Fill, ...]) -> None:
        self.orders[order.request.client_order_id] = order
        self.fills += [(order.request.client_order_id, fill) for fill in fills]

    def quote(self, sequence: int, ask: float, symbol: str = BTC, size: float = 10) -> None:
        quote = Quote(symbol, sequence, sequence * 100, ask - 2, size, ask, size)
        self.venue.meet(f"{symbol}/tick", sequence, quote)

    def submit(self, request: Request, now_s: float = 0) -> Order:
        self.venue.submit(request, None, now_s)
        return self.orders[request.client_order_id]

    def prices(self) -> list[Decimal]:
        return [fill.price for _, fill in self.fills]


def cause(sequence: int, symbol: str = BTC, kind: str = "tick") -> Cause:
    return Cause(symbol, kind, sequence, sequence * 100)


def buy(quantity: str = "1", **more: Any) -> Request:
    fields: dict[str, Any] = {
        "client_order_id": "c",
        "strategy": "s",
        "symbol": BTC,
        "side": Side.BUY,
    }
    fields |= {"order_type": OrderType.MARKET, "quantity": D(quantity)}
    return Request(**{**fields, **more})


def desk_with_asks(*asks: float, model: FillModel = TOUCH, **more: Any) -> Desk:
    desk = Desk(Rules(model, **more))
    for sequence, ask in enumerate(asks, 1):
        desk.quote(sequence, ask)
    return desk


@pytest.mark.parametrize(("model", "price"), [(TOUCH, 102), (NEXT_TICK, 103)])
def test_a_late_order_is_filled_from_its_causes_place(model: FillModel, price: int) -> None:
    desk = desk_with_asks(101, 102, 103, 104, model=model)
    desk.submit(buy(cause=cause(2)))
    assert desk.prices() == [price]


@pytest.mark.parametrize(("model", "price"), [(TOUCH, 102), (NEXT_TICK, 103)])
def test_an_early_order_waits_for_its_cause(model: FillModel, price: int) -> None:
    desk = desk_with_asks(101, model=model)
    assert desk.submit(buy(cause=cause(2))).state is OrderState.ACCEPTED
    for sequence, ask in ((2, 102), (3, 103)):
        desk.quote(sequence, ask)
    assert desk.prices() == [price]


def test_a_cause_that_never_comes_ends_the_order_after_the_patience() -> None:
    desk = desk_with_asks(101, patience_s=5)
    desk.submit(buy(cause=cause(2)), now_s=10)
    desk.venue.give_up(now_s=14.9)
    assert desk.orders["c"].is_open
    desk.venue.give_up(now_s=15)
    assert desk.orders["c"].reason is Reason.NO_PRICE


def test_a_cause_older_than_the_tape_is_refused_as_stale() -> None:
    desk = Desk(tape=Tape(depth=2))
    for sequence in range(1, 10):
        desk.quote(sequence, 101)
    assert desk.submit(buy(cause=cause(1))).reason is Reason.STALE_PRICE


def test_a_cause_whose_quote_has_left_the_tape_is_refused_as_stale() -> None:
    desk = Desk(tape=Tape(depth=2))
    desk.venue.meet("BTCUSDT/trade", 1, None)
    for sequence in range(1, 10):
        desk.quote(sequence, 101)
    assert desk.submit(buy(cause=cause(1, kind="trade"))).reason is Reason.STALE_PRICE


def test_an_order_on_a_symbol_without_quotes_has_no_price() -> None:
    desk = Desk()
    desk.venue.meet("BTCUSDT/trade", 1, None)
    assert desk.submit(buy(cause=cause(1, kind="trade"))).reason is Reason.NO_PRICE


def test_another_symbols_message_can_be_the_cause() -> None:
    desk = desk_with_asks(101, 102)
    desk.quote(7, 3000, symbol=ETH)
    desk.quote(3, 103)
    desk.submit(buy(cause=cause(7, ETH)))
    assert desk.prices() == [102]


@pytest.mark.parametrize(("model", "price"), [(TOUCH, 102), (NEXT_TICK, 103)])
def test_an_order_without_a_cause_meets_the_latest_market(model: FillModel, price: int) -> None:
    desk = desk_with_asks(101, 102, model=model)
    desk.submit(buy())
    desk.quote(3, 103)
    assert desk.prices() == [price]


def test_by_the_wall_clock_an_order_meets_the_latest_market() -> None:
    desk = desk_with_asks(101, 102, 103, clock=Clock.WALL)
    desk.submit(buy(cause=cause(1)))
    assert desk.prices() == [103]


def test_what_a_quote_left_over_is_filled_by_the_next_ones() -> None:
    desk = Desk(Rules(TOUCH))
    for sequence, ask in enumerate((101, 102, 103), 1):
        desk.quote(sequence, ask, size=0.4)
    desk.submit(buy(cause=cause(1)))
    assert [str(fill.quantity) for _, fill in desk.fills] == ["0.40000", "0.40000", "0.20000"]
    assert desk.prices() == [101, 102, 103]


def test_a_repeat_changes_nothing() -> None:
    desk = desk_with_asks(101)
    first = desk.submit(buy())
    assert desk.submit(buy("2")) is first
    assert len(desk.fills) == 1


def test_an_order_cancelled_before_it_came_is_refused() -> None:
    desk = desk_with_asks(101)
    assert not desk.venue.cancel("c")
    order = desk.submit(buy())
    assert (order.reason, order.message) == (Reason.VENUE_REJECTED, "cancelled before it came")


def test_a_cancelled_order_is_filled_no_more() -> None:
    desk = desk_with_asks(101, model=NEXT_TICK)
    desk.submit(buy())
    assert desk.venue.cancel("c")
    desk.quote(2, 102)
    assert (desk.orders["c"].state, desk.fills) == (OrderState.CANCELLED, [])


def test_a_waiting_order_can_be_cancelled() -> None:
    desk = desk_with_asks(101)
    desk.submit(buy(cause=cause(2)))
    desk.venue.cancel("c")
    desk.quote(2, 102)
    desk.venue.give_up(now_s=100)
    assert (desk.orders["c"].state, desk.fills) == (OrderState.CANCELLED, [])


def test_cancelling_an_ended_order_leaves_it_as_it_is() -> None:
    desk = desk_with_asks(101)
    filled = desk.submit(buy())
    assert desk.venue.cancel("c")
    assert desk.orders["c"] is filled


def test_more_open_orders_than_the_book_takes_are_refused() -> None:
    desk = desk_with_asks(101, model=NEXT_TICK, most_open=1)
    desk.submit(buy())
    assert desk.submit(buy(client_order_id="d")).reason is Reason.QUEUE_FULL


def test_a_working_order_goes_on_in_a_new_life() -> None:
    old, new = desk_with_asks(101, model=NEXT_TICK), Desk()
    new.venue.resume([old.submit(buy())], now_s=0)
    new.quote(8, 108)
    assert new.prices() == [108]


def test_an_order_that_waited_in_an_earlier_life_is_stale_when_its_cause_has_passed() -> None:
    old, new = desk_with_asks(101), Desk()
    new.venue.resume([old.submit(buy(cause=cause(2)))], now_s=0)
    new.quote(8, 108)
    assert new.orders["c"].reason is Reason.STALE_PRICE


def test_an_order_on_an_instrument_that_left_the_catalogue_is_refused_in_a_new_life() -> None:
    old, new = desk_with_asks(101, model=NEXT_TICK), Desk()
    order = old.submit(buy())
    new.venue.resume([replace(order, request=buy(symbol="GONE"))], now_s=0)
    assert new.orders["c"].reason is Reason.UNKNOWN_INSTRUMENT


# ---- lateness changes nothing

Message = tuple[str, float, float]  # symbol, ask, size


@st.composite
def _days(draw: st.DrawFn) -> tuple[list[Message], list[tuple[int, int, Request]]]:
    """Messages, and orders with the message that caused them and the one before which they come."""
    symbols, asks = st.sampled_from([BTC, ETH]), st.integers(98, 104).map(float)
    sizes = st.sampled_from([0.0, 0.3, 1.0, 5.0])
    messages = draw(st.lists(st.tuples(symbols, asks, sizes), min_size=2, max_size=15))
    last = len(messages) - 1
    places = st.tuples(st.integers(1, last), st.integers(0, last + 1))
    drawn = draw(st.lists(st.tuples(places, _requests()), min_size=1, max_size=5))
    return messages, [
        (caused, came, replace(request, client_order_id=f"c{nth}", cause=_cause(messages, caused)))
        for nth, ((caused, came), request) in enumerate(drawn)
    ]


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    kind = draw(st.sampled_from(OrderType))
    price = st.integers(97, 105).map(D)
    return buy(
        str(draw(st.sampled_from(["0.1", "1", "3"]))),
        symbol=draw(st.sampled_from([BTC, ETH])),
        side=draw(st.sampled_from(Side)),
        order_type=kind,
        price=draw(price) if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
        stop_price=draw(price) if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )


def _cause(messages: Sequence[Message], place: int) -> Cause:
    return cause(place + 1, messages[place][0])


def _played(
    messages: Sequence[Message], orders: Sequence[tuple[int, Request]], model: FillModel
) -> dict[str, tuple[Order, list[Fill]]]:
    """Every order as it ended, each handed in before the message of its number."""
    desk = Desk(Rules(model))
    for place in range(len(messages) + 1):
        for came, request in orders:
            if came == place:
                desk.submit(request)
        if place < len(messages):
            symbol, ask, size = messages[place]
            desk.quote(place + 1, ask, symbol, size)
    return {
        key: (replace(order, number=0), [fill for owner, fill in desk.fills if owner == key])
        for key, order in desk.orders.items()
    }


@given(_days(), st.sampled_from(FillModel))
def test_when_an_order_comes_changes_nothing_about_its_fills(day: Any, model: FillModel) -> None:
    messages, orders = day
    punctual = _played(messages, [(caused + 1, order) for caused, _, order in orders], model)
    whenever = _played(messages, [(came, order) for _, came, order in orders], model)
    assert whenever == punctual


@given(_days(), st.sampled_from(FillModel), st.data())
def test_a_killed_venue_fills_what_it_would_have_filled_when_the_replay_goes_back_for_it(
    day: Any, model: FillModel, data: st.DataObject
) -> None:
    messages, orders = day
    killed = data.draw(st.integers(0, len(messages)), label="killed before message")
    back_to = data.draw(st.integers(0, killed), label="sent again from")
    old, new, whole = (Desk(Rules(model)) for _ in range(3))
    _fed([old, whole], messages, 0, killed)
    for _, _, request in orders:
        old.submit(request)
        whole.submit(request)
    began = {key: order for key, order in old.orders.items() if order.began and order.is_open}
    new.venue.resume(began.values(), now_s=0)
    _fed([new], messages, back_to, len(messages))
    _fed([whole], messages, killed, len(messages))
    for key, before in began.items():
        assert new.orders.get(key, before) == whole.orders[key]


def _fed(desks: Sequence[Desk], messages: Sequence[Message], first: int, end: int) -> None:
    for place in range(first, end):
        symbol, ask, size = messages[place]
        for desk in desks:
            desk.quote(place + 1, ask, symbol, size)


LIMIT_AT_90: dict[str, Any] = {"order_type": OrderType.LIMIT, "price": D(90)}


def test_a_modification_is_decided_once_and_an_older_one_never() -> None:
    desk = desk_with_asks(101)
    desk.submit(buy(**LIMIT_AT_90))
    desk.venue.modify("c", 2, D(3), D(91))
    desk.venue.modify("c", 1, D(5), D(80))
    desk.venue.modify("c", 2, D(7), D(70))
    stands = desk.orders["c"]
    assert (stands.request.quantity, stands.request.price, stands.modification) == (D(3), D(91), 2)


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("1", "90", Reason.INVALID_QUANTITY),
        ("3", "0", Reason.INVALID_PRICE),
        ("3", "90.001", Reason.PRICE_OFF_INCREMENT),
    ],
    ids=["no more than is filled", "no price", "off the increment"],
)
def test_a_modification_that_cannot_be_is_decided_with_its_reason(
    quantity: str, price: str, reason: Reason
) -> None:
    desk = desk_with_asks(101)
    desk.submit(buy("2", **LIMIT_AT_90))
    desk.quote(2, 89, size=1)
    desk.venue.modify("c", 1, D(quantity), D(price))
    stands = desk.orders["c"]
    assert (stands.reason, stands.modification, stands.is_open) == (reason, 1, True)
    assert (stands.request.quantity, stands.request.price) == (D(2), D(90))


def test_at_another_price_an_order_takes_the_touch() -> None:
    desk = desk_with_asks(101)
    desk.submit(buy(**LIMIT_AT_90))
    desk.venue.modify("c", 1, D(1), D(105))
    desk.quote(2, 102)
    ((_, fill),) = desk.fills
    assert (fill.price, fill.liquidity) == (D(102), Liquidity.TAKER)


def test_an_order_that_ended_is_not_modified() -> None:
    desk = desk_with_asks(101)
    desk.submit(buy(**LIMIT_AT_90))
    desk.venue.cancel("c")
    desk.venue.modify("c", 1, D(3), D(91))
    assert desk.orders["c"].modification == 0


def test_a_post_only_order_that_would_take_is_rejected() -> None:
    desk = desk_with_asks(101)
    order = desk.submit(buy(order_type=OrderType.LIMIT, price=D(105), post_only=True))
    assert (order.state, order.reason) == (OrderState.REJECTED, Reason.VENUE_REJECTED)
    assert order.message == "post_only: price '105', the touch is 101"
    assert desk.fills == []


def test_a_post_only_order_rests_and_is_filled_as_maker() -> None:
    desk = desk_with_asks(101)
    desk.submit(buy(**LIMIT_AT_90, post_only=True))
    desk.quote(2, 89)
    ((_, fill),) = desk.fills
    assert (fill.price, fill.liquidity) == (D(90), Liquidity.MAKER)


def test_a_post_only_market_order_is_refused() -> None:
    order = desk_with_asks(101).submit(buy(post_only=True))
    assert order.message == "post_only: of a GTC market order, expected GTC limit"
