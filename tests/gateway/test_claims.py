"""Whose a foreign order is: each thing that must be so, by itself."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk_driver import DeskDriver, content, fill
from risk_gateway.claims import Found, NotOurs, adopted, claimed
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from trading.fills import Fill
from trading.orders import OrderState
from trading.routes import Route, Routes

D = Decimal
OURS = {
    "client_order_id": "x-0", "strategy_id": "s", "account": "default", "symbol": "BTCUSDT",
    "side": types.SIDE_BUY, "order_type": types.ORDER_TYPE_LIMIT, "quantity": "3", "price": "90",
    "time_in_force": types.TIME_IN_FORCE_GTC, "state": types.ORDER_STATE_ACCEPTED,
}  # fmt: skip


def found(desk: DeskDriver, **fields: Any) -> Found:
    answer = pb.OrderResponse(**{**OURS, **fields})
    return Found(answer, "main", desk.state.strategies, desk.state.policies.routes)


async def test_what_is_ours_is_taken_on_the_venues_terms(desk: DeskDriver) -> None:
    await desk.deploy()
    there = found(desk, filled_quantity="2", post_only=True, order_id="P-7")
    order = adopted(there, claimed(there), [fill("x", quantity="1")], 5)
    assert (order.state, order.quantity, order.price) == (
        OrderState.PARTIALLY_FILLED, D(3), D(90),
    )  # fmt: skip
    assert (order.filled_quantity, order.announced_quantity, order.remaining) == (D(1), D(2), D(2))
    assert (order.venue, order.venue_order_id, order.post_only) == ("main", "P-7", True)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"strategy_id": "z"}, "no strategy 'z' on this desk"),
        ({"account": ""}, "the venue does not say of which account"),
        ({"account": "other"}, "account 'other', its strategy's is 'default'"),
        ({"symbol": "XXX"}, "symbol 'XXX' is not in the catalogue"),
    ],
)
async def test_what_is_not_ours_is_told_why(
    desk: DeskDriver, fields: dict[str, Any], why: str
) -> None:
    await desk.deploy()
    with pytest.raises(NotOurs, match=why):
        claimed(found(desk, **fields))


async def test_a_symbol_of_another_venue_is_not_ours_there(desk: DeskDriver) -> None:
    desk.again(routes=Routes((Route("a"),)))
    await desk.deploy()
    with pytest.raises(NotOurs, match="BTCUSDT of that account goes to venue a"):
        claimed(found(desk))


async def test_who_only_observes_has_no_orders(desk: DeskDriver) -> None:
    await desk.deploy(text=content("observation"))
    with pytest.raises(NotOurs, match="s only observes"):
        claimed(found(desk))


@pytest.mark.parametrize(
    ("fields", "booked", "why"),
    [
        ({"quantity": "0"}, [], "quantity: '0', expected more than 0"),
        ({"quantity": "much"}, [], "quantity: 'much'"),
        ({"side": 0}, [], "side: '0'"),
        ({"order_type": 0}, [], "order_type: '0'"),
        ({"time_in_force": 0}, [], "time_in_force: '0'"),
        ({"client_order_id": "x" * 151}, [], "at most 150"),
        ({"client_order_id": ""}, [], "client_order_id"),
        ({}, [fill("x", quantity="3")], "it has ended meanwhile"),
        ({"side": types.SIDE_SELL}, [fill("x")], "the order is sell"),
    ],
)
async def test_an_order_that_is_not_known_whole_is_left(
    desk: DeskDriver, fields: dict[str, Any], booked: list[Fill], why: str
) -> None:
    await desk.deploy()
    there = found(desk, **fields)
    with pytest.raises(NotOurs, match=why):
        adopted(there, claimed(there), booked, 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "quantity": st.text(max_size=5),
            "price": st.text(max_size=5),
            "filled_quantity": st.text(max_size=5),
            "stop_price": st.text(max_size=5),
            "side": st.integers(0, 9),
            "order_type": st.integers(0, 9),
            "modification": st.integers(0, 2**32 - 1),
        },
    )
)
async def test_whatever_a_venue_says_is_an_order_or_a_reason(
    desk: DeskDriver, fields: dict[str, Any]
) -> None:
    if not desk.state.strategies:
        await desk.deploy()
    there = found(desk, **fields)
    try:
        order = adopted(there, claimed(there), [], 5)
    except NotOurs as why:
        assert str(why)  # noqa: PT017  # one of the two
    else:
        assert order.is_open
        assert order.quantity > 0
