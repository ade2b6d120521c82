"""The life cycle of an order: the table, and fills that come at any moment."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.fills import Fill, ForeignFill
from trading.orders import (
    STATED,
    TRANSITIONS,
    IllegalTransition,
    Order,
    OrderEvent,
    OrderState,
    next_state,
)
from trading.signals import Cause, OrderType, Side

E = OrderEvent
S = OrderState
ORDER = Order(
    client_order_id="a-0",
    signal_id="a",
    strategy="momentum",
    revision="r1",
    epoch=1,
    symbol="BTCUSDT",
    side=Side.BUY,
    order_type=OrderType.MARKET,
    quantity=Decimal(10),
    cause=Cause("BTCUSDT", "tick", 7, 1),
    at_ns=1,
)


def fill_of(quantity: str, price: str = "100", fee: str = "0.1", nth: int = 1) -> Fill:
    return Fill(
        fill_id=f"a-0-{nth}",
        client_order_id="a-0",
        strategy="momentum",
        symbol="BTCUSDT",
        side=Side.BUY,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=Decimal(fee),
        at_ns=2,
        order_id="v1",
    )


def in_state(state: OrderState) -> Order:
    return replace(ORDER, state=state)


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        pytest.param([E.SUBMIT, E.ACCEPT, E.FILL, E.COMPLETE], S.FILLED, id="a whole life"),
        pytest.param([E.SUBMIT, E.SUBMIT, E.REJECT], S.REJECTED, id="a retry that is rejected"),
        pytest.param([E.SUBMIT, E.COMPLETE, E.ACCEPT], S.FILLED, id="filled before the answer"),
        pytest.param([E.SUBMIT, E.FILL, E.ACCEPT], S.PARTIALLY_FILLED, id="fill before answer"),
        pytest.param([E.SUBMIT, E.LOSE, E.ACCEPT], S.ACCEPTED, id="lost and settled"),
        pytest.param([E.SUBMIT, E.LOSE, E.FILL], S.UNKNOWN, id="a fill does not settle"),
        pytest.param([E.SUBMIT, E.LOSE, E.COMPLETE], S.FILLED, id="the last fill settles"),
        pytest.param([E.SUBMIT, E.ACCEPT, E.CANCEL, E.FILL], S.CANCELLED, id="a late fill"),
        pytest.param([E.ACCEPT, E.CANCEL, E.COMPLETE, E.CANCEL], S.FILLED, id="fill wins the race"),
        pytest.param([E.EXPIRE, E.CANCEL], S.EXPIRED, id="expired, then a tombstone"),
        pytest.param([E.CANCEL, E.REJECT], S.CANCELLED, id="tombstone refuses a late copy"),
        pytest.param([E.ACCEPT, E.REJECT], S.REJECTED, id="accepted, then no price came"),
    ],
)
def test_events_lead_to_their_state(events: list[OrderEvent], ends: OrderState) -> None:
    state = S.PENDING
    for event in events:
        state = next_state(state, event)
    assert state is ends


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.FILLED, E.SUBMIT),
        (S.FILLED, E.REJECT),
        (S.REJECTED, E.ACCEPT),
        (S.REJECTED, E.CANCEL),
        (S.CANCELLED, E.EXPIRE),
        (S.UNKNOWN, E.SUBMIT),
        (S.PARTIALLY_FILLED, E.REJECT),
    ],
)
def test_an_illegal_transition_names_both(state: OrderState, event: OrderEvent) -> None:
    with pytest.raises(IllegalTransition, match=f"is {state} cannot {event}") as raised:
        in_state(state).after(event)
    assert (raised.value.state, raised.value.event) == (state, event)


def test_every_state_has_a_row_and_takes_every_fill() -> None:
    assert set(TRANSITIONS) == set(S)
    assert all({E.FILL, E.COMPLETE} <= set(row) for row in TRANSITIONS.values())


def test_an_end_is_left_only_by_being_filled() -> None:
    ended = [(state, event) for state, event in product(S, E) if state.has_ended]
    legal = [(s, TRANSITIONS[s][e]) for s, e in ended if e in TRANSITIONS[s]]
    assert all(after in (before, S.FILLED) for before, after in legal)


def test_every_state_that_a_venue_may_state_is_understood() -> None:
    assert set(STATED) == set(S)
    assert all(STATED[state] in TRANSITIONS[S.SUBMITTED] for state in S)


def test_a_venue_that_states_filled_does_not_replace_the_fills() -> None:
    order = in_state(S.SUBMITTED).after_answer(S.FILLED, Decimal(10), "v1")
    assert order.state is S.ACCEPTED
    assert order.outstanding == 10
    assert order.venue_order_id == "v1"
    assert order.after_fill(fill_of("10")).state is S.FILLED


def test_an_answer_without_an_id_keeps_the_one_that_is_known() -> None:
    order = in_state(S.SUBMITTED).after_answer(S.ACCEPTED, venue_order_id="v1")
    assert order.after_answer(S.CANCELLED).venue_order_id == "v1"


def test_what_was_filled_is_known_when_unknown_is_settled() -> None:
    unknown = in_state(S.SUBMITTED).after_fill(fill_of("4")).after(E.LOSE)
    assert unknown.state is S.UNKNOWN
    assert unknown.after_answer(S.ACCEPTED).state is S.PARTIALLY_FILLED


def test_an_event_that_changes_nothing_gives_the_same_order() -> None:
    order = in_state(S.ACCEPTED)
    assert order.after(E.ACCEPT) is order


def test_fills_add_up() -> None:
    order = ORDER.after_fill(fill_of("4", "100")).after_fill(fill_of("6", "105", nth=2))
    assert order.state is S.FILLED
    assert order.filled_notional == 4 * 100 + 6 * 105
    assert order.fee == Decimal("0.2")
    assert order.average_price == 103


def test_an_order_without_fills_has_no_average_price() -> None:
    assert ORDER.average_price is None


def test_fills_that_were_announced_stay_outstanding_after_the_end() -> None:
    order = in_state(S.ACCEPTED).after_answer(S.CANCELLED, Decimal(4))
    assert order.is_open is False
    assert order.outstanding == 4
    assert order.after_fill(fill_of("4")).outstanding == 0


def test_a_late_answer_takes_no_announcement_back() -> None:
    order = in_state(S.ACCEPTED).after_answer(S.CANCELLED, Decimal(4))
    assert order.after_answer(S.ACCEPTED, Decimal(0)).outstanding == 4


def test_an_overfill_is_counted_and_named() -> None:
    order = ORDER.after_fill(fill_of("10")).after_fill(fill_of("0.5", nth=2))
    assert (order.state, order.filled_quantity) == (S.FILLED, Decimal("10.5"))
    assert order.overfilled == Decimal("0.5")
    assert order.remaining == 0


@pytest.mark.parametrize(
    "wrong",
    [{"client_order_id": "b-0"}, {"symbol": "ETHUSDT"}, {"side": Side.SELL}],
    ids=["of another order", "of another symbol", "of the other side"],
)
def test_a_foreign_fill_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ForeignFill, match="a-0-1"):
        ORDER.after_fill(replace(fill_of("1"), **wrong))  # type: ignore[arg-type]  # by name


quantities = st.decimals("0.001", "20", places=3)


def bust_of(quantity: str) -> Fill:
    reversed_ = {"fill_id": "a-0-bust", "side": Side.SELL, "fee": Decimal("-0.1"), "busts": "a-0-1"}
    return replace(fill_of(quantity), **reversed_)  # type: ignore[arg-type]  # by name


OUR_EVENTS = sorted(set(OrderEvent) - {E.FILL, E.COMPLETE, E.BUST})


@given(st.lists(st.one_of(quantities, st.sampled_from(OUR_EVENTS), st.just("bust"))))
def test_whatever_happens_fills_count_until_they_are_busted(
    happens: list[Decimal | OrderEvent | str],
) -> None:
    order, fills, gross = ORDER, list[Decimal](), Decimal(0)
    for what in happens:
        if isinstance(what, Decimal):
            order, gross = order.after_fill(fill_of(str(what))), gross + what
            fills.append(what)
        elif what == "bust" and fills:
            order = order.after_fill(bust_of(str(fills.pop(0))))
        elif what in TRANSITIONS[order.state]:
            order = order.after(OrderEvent(what))
        assert order.filled_quantity == sum(fills)
        assert order.filled_notional == 100 * sum(fills)
        assert order.remaining - order.overfilled == ORDER.quantity - sum(fills)
    assert (order.state is S.FILLED) == (gross >= ORDER.quantity)
    assert order.fee == Decimal("0.1") * len(fills)


def test_a_bust_brings_no_order_back_to_life() -> None:
    order = ORDER.after_fill(fill_of("4")).after_fill(fill_of("6", nth=2))
    busted = order.after_fill(bust_of("4"))
    assert busted.state is S.FILLED
    assert (busted.filled_quantity, busted.outstanding) == (Decimal(6), Decimal(0))


def test_an_order_whose_fills_were_all_busted_ends_with_the_quantity_that_it_reached() -> None:
    order = in_state(S.ACCEPTED).asking("b", Decimal(4), Decimal(100))
    busted = order.after_fill(fill_of("4")).after_fill(bust_of("4"))
    assert busted.is_open
    assert busted.after_modification(1, Decimal(4), Decimal(100)).state is S.FILLED


def test_what_was_announced_and_busted_is_not_waited_for() -> None:
    order = in_state(S.ACCEPTED).after_fill(fill_of("4")).after_answer(S.CANCELLED, Decimal(4))
    assert order.after_fill(bust_of("4")).outstanding == 0


def test_a_bust_of_more_than_was_filled_is_refused() -> None:
    with pytest.raises(ForeignFill, match="takes back 5 of a-0, filled is 4"):
        ORDER.after_fill(fill_of("4")).after_fill(bust_of("5"))
