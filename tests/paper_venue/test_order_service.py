"""The venue's service over gRPC: one process, quotes over Redis."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube_probe import page
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types

pytestmark = pytest.mark.servers

LIMIT, STOP = types.ORDER_TYPE_LIMIT, types.ORDER_TYPE_STOP
MakeOrder = Callable[..., pb.OrderRequest]


def test_a_market_order_is_filled_at_the_quote_of_its_cause(venue: Any, market: Any) -> None:
    market.quote(1, 101.5)
    answer = venue.submit(cause=1)
    assert answer.state == types.ORDER_STATE_FILLED
    assert (answer.order_id, answer.filled_quantity) == ("P-000001", "1")
    assert (answer.average_price, answer.filled_notional, answer.fee) == (
        "101.5", "101.5", "0.10150000",
    )  # fmt: skip


def test_the_next_tick_fills_by_the_other_model(make_venue: Any, market: Any) -> None:
    venue = make_venue("next-tick")
    market.quote(1, 101)
    assert venue.submit(cause=1).state == types.ORDER_STATE_ACCEPTED
    market.quote(2, 103)
    assert venue.reaches("c", "FILLED").average_price == "103.0"


def test_an_order_is_answered_while_its_cause_is_on_the_way(venue: Any, market: Any) -> None:
    assert venue.submit(cause=1).state == types.ORDER_STATE_ACCEPTED
    market.quote(1, 101)
    assert venue.reaches("c", "FILLED").filled_quantity == "1"


def test_a_repeat_answers_with_the_order_as_it_stands(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    first = venue.submit(cause=1)
    assert venue.submit(cause=1, quantity="7") == first


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"symbol": "NONE"}, types.REASON_UNKNOWN_INSTRUMENT, "symbol: 'NONE', expected one of"),
        ({"quantity": "NaN"}, types.REASON_INVALID_QUANTITY, "quantity: 'NaN', expected a decimal"),
        ({"quantity": "Infinity"}, types.REASON_INVALID_QUANTITY, "quantity: 'Infinity'"),
        ({"quantity": "1e999"}, types.REASON_INVALID_QUANTITY, "quantity: '1e999'"),
        ({"quantity": str(10**40)}, types.REASON_INVALID_QUANTITY, "quantity: '1000"),
        ({"quantity": "1e39"}, types.REASON_INVALID_QUANTITY, "quantity: '1E+39', expected"),
        ({"quantity": "x"}, types.REASON_INVALID_QUANTITY, "quantity: 'x'"),
        ({"quantity": ""}, types.REASON_INVALID_QUANTITY, "quantity: ''"),
        ({"quantity": "-1"}, types.REASON_INVALID_QUANTITY, "quantity: '-1', expected 0.00001 to"),
        ({"quantity": "0"}, types.REASON_INVALID_QUANTITY, "quantity: '0'"),
        ({"quantity": "0.000015"}, types.REASON_INVALID_QUANTITY, "expected a multiple of 0.00001"),
        ({"order_type": LIMIT}, types.REASON_INVALID_PRICE, "price: '', expected a price in a lim"),
        ({"order_type": LIMIT, "price": "-2"}, types.REASON_INVALID_PRICE, "price: '-2', expected"),
        ({"order_type": LIMIT, "price": "1e999"}, types.REASON_INVALID_PRICE, "price: '1e999'"),
        ({"order_type": LIMIT, "price": "1.001"}, types.REASON_PRICE_OFF_INCREMENT, "of 0.01"),
        ({"order_type": STOP, "stop_price": "0"}, types.REASON_INVALID_PRICE, "stop_price: '0'"),
        ({"order_type": STOP}, types.REASON_INVALID_PRICE, "stop_price: '', expected a price"),
        ({"price": "5"}, types.REASON_INVALID_PRICE, "price: '5', expected none in a market order"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_an_order_that_breaks_a_rule_is_rejected_by_name(
    shared_venue: Any, request_of: MakeOrder, fields: Any, reason: int, message: str
) -> None:
    request = request_of(client_order_id=str(fields), **fields)
    answer = shared_venue.stub.SubmitOrder(request)
    assert (answer.state, answer.reason) == (types.ORDER_STATE_REJECTED, reason)
    assert message in answer.message
    assert shared_venue.get(request.client_order_id) == answer


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"side": types.SIDE_UNSPECIFIED}, "side"),
        ({"side": 77}, "side"),
        ({"order_type": 0}, "order_type"),
        ({"time_in_force": 9}, "time_in_force"),
        ({"client_order_id": ""}, "client_order_id"),
        ({"client_order_id": "x" * 151}, "client_order_id"),
        ({"strategy_id": ""}, "strategy_id"),
        ({"symbol": "x" * 300}, "symbol"),
        ({"cause": types.Cause(sequence=1)}, "cause.symbol"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_meant_is_invalid(
    shared_venue: Any, request_of: MakeOrder, fields: Any, named: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        shared_venue.stub.SubmitOrder(request_of(**fields))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(refused.value.details()).startswith(f"{named}: ")


_NUMBERS = st.one_of(
    st.text(max_size=50),
    st.decimals().map(str),
    st.sampled_from(["1", "0.00001", "1e12", "1e-12", "9" * 40, "-0", "0E-30", "Infinity"]),
)
_TEXTS = st.one_of(st.text(max_size=250), st.sampled_from(["BTCUSDT", "ETHUSDT", "tick", "s"]))
_CODES = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 5)
_REQUESTS = st.builds(
    pb.OrderRequest,
    symbol=_TEXTS, side=_CODES, order_type=_CODES, quantity=_NUMBERS, price=_NUMBERS,
    stop_price=_NUMBERS, time_in_force=_CODES, strategy_id=_TEXTS, client_order_id=_TEXTS,
    cause=st.none() | st.builds(
        types.Cause, symbol=_TEXTS, type=_TEXTS, sequence=st.integers(0, 2**64 - 1),
        at_ns=st.integers(-(2**63), 2**63 - 1),
    ),
)  # fmt: skip


@given(st.lists(_REQUESTS, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_is_answered(shared_venue: Any, requests: list[pb.OrderRequest]) -> None:
    for request in requests:
        try:
            answer = shared_venue.stub.SubmitOrder(request)
        except grpc.RpcError as refused:
            assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017  # or an answer
        else:
            assert answer.client_order_id == request.client_order_id
    assert shared_venue.process.poll() is None


def test_a_batch_is_answered_in_its_order(venue: Any, market: Any, request_of: MakeOrder) -> None:
    market.quote(1, 101)
    batch = [request_of("b", 1), request_of("a", 1, quantity="x"), request_of("b", 1)]
    answers = venue.stub.SubmitBatchOrders(pb.BatchOrderRequest(orders=batch)).orders
    filled, rejected = types.ORDER_STATE_FILLED, types.ORDER_STATE_REJECTED
    assert [(answer.client_order_id, answer.state) for answer in answers] == [
        ("b", filled), ("a", rejected), ("b", filled),
    ]  # fmt: skip


def test_a_batch_with_a_request_that_cannot_be_meant_is_refused_whole(
    shared_venue: Any, request_of: MakeOrder
) -> None:
    batch = pb.BatchOrderRequest(orders=[request_of("whole"), request_of("", 1)])
    with pytest.raises(grpc.RpcError, match="client_order_id"):
        shared_venue.stub.SubmitBatchOrders(batch)
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        shared_venue.get("whole")


def test_a_resting_order_can_be_cancelled(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    venue.submit(cause=1, order_type=LIMIT, price="90")
    answer = venue.stub.CancelOrder(pb.CancelRequest(client_order_id="c", strategy_id="s"))
    assert answer.state == types.ORDER_STATE_CANCELLED
    assert venue.get("c") == answer


def test_an_order_is_cancelled_by_its_own_strategy_only(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    venue.submit(cause=1, order_type=LIMIT, price="90")
    with pytest.raises(grpc.RpcError, match="strategy_id: 'other', expected 's'"):
        venue.stub.CancelOrder(pb.CancelRequest(client_order_id="c", strategy_id="other"))
    assert venue.get("c").state == types.ORDER_STATE_ACCEPTED


def test_an_order_cancelled_before_it_came_is_rejected_in_a_later_life_too(venue: Any) -> None:
    answer = venue.stub.CancelOrder(pb.CancelRequest(client_order_id="c"))
    assert answer.state == types.ORDER_STATE_CANCELLED
    venue.kill()
    venue.start()
    refused = venue.submit()
    assert refused.reason == types.REASON_VENUE_REJECTED
    assert refused.message == "cancelled before it came"


def test_an_order_nobody_submitted_is_not_found(shared_venue: Any) -> None:
    with pytest.raises(grpc.RpcError, match="client_order_id: 'nobody'") as refused:
        shared_venue.get("nobody")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_book_is_listed_page_by_page(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    for number in range(5):
        venue.submit(client_order_id=f"c{number}", cause=1)
    pages: list[list[str]] = []
    after = ""
    while not pages or after:
        answer = venue.stub.ListOrders(pb.ListOrdersRequest(limit=2, after_order_id=after))
        pages.append([order.client_order_id for order in answer.orders])
        after = answer.next_after_order_id
    assert pages == [["c0", "c1"], ["c2", "c3"], ["c4"]]


def test_the_list_can_be_of_one_strategys_open_orders(venue: Any, market: Any) -> None:
    market.quote(1, 101)
    resting = {"cause": 1, "order_type": LIMIT, "price": "90"}
    venue.submit(client_order_id="filled", cause=1)
    venue.submit(client_order_id="open", **resting)
    venue.submit(client_order_id="other", strategy_id="other", **resting)
    answer = venue.stub.ListOrders(pb.ListOrdersRequest(open_only=True, strategy_id="s"))
    assert [order.client_order_id for order in answer.orders] == ["open"]


def test_a_page_begins_after_an_order_id_of_this_venue(shared_venue: Any) -> None:
    with pytest.raises(grpc.RpcError, match="after_order_id: 'X-1', expected like 'P-000001'"):
        shared_venue.stub.ListOrders(pb.ListOrdersRequest(after_order_id="X-1"))


async def test_its_pages_tell_health_readiness_and_figures(
    venue: Any, market: Any, redis_server: Any, wait_until: Callable[..., Any]
) -> None:
    number = int(venue.environment["STRATOPS_METRICS_PORT"])
    market.quote(1, 101)
    venue.submit(cause=1)
    venue.submit(client_order_id="none", symbol="DOGE")
    assert await page(number, "/health") == (200, "ok\n")
    assert await page(number, "/ready") == (200, "ready\n")
    _, metrics = await page(number, "/metrics")
    assert 'venue_fills_total{side="buy",symbol="BTCUSDT"} 1.0' in metrics
    assert 'venue_orders_ended_total{reason="",state="filled"} 1.0' in metrics
    assert 'venue_orders_ended_total{reason="unknown_instrument",state="rejected"} 1.0' in metrics
    assert 'market_data_received_total{symbol="BTCUSDT",type="tick"} 1.0' in metrics
    redis_server.kill()
    while (answer := await page(number, "/ready"))[0] == 200:
        pass
    assert answer[1].startswith("feed ")
