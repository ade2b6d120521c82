"""What one side says is what the other side reads."""

import contextlib
from typing import get_args

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from handover import messages as m
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire import InvalidMessage, session
from stratops_wire.signals import signal_from_proto, signal_to_proto
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Cause, Direction, OrderType, Side, Signal, TimeInForce, Verdict

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
I64 = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
DECIMALS = st.decimals(
    min_value=-(10**12), max_value=10**12, places=8, allow_nan=False, allow_infinity=False
)

CAUSES = st.builds(Cause, NAMES, NAMES, U64, I64)
SIGNALS = st.builds(
    Signal,
    id=NAMES,
    symbol=NAMES,
    cause=CAUSES,
    at_ns=I64,
    quantity=DECIMALS,
    price=st.none() | DECIMALS,
    stop_price=st.none() | DECIMALS,
    priority=st.integers(1, 10),
    max_slippage=st.none() | DECIMALS,
    confidence=st.none() | DECIMALS,
    expires_ns=st.none() | st.integers(1, 2**62),
    metadata=st.dictionaries(NAMES, NAMES, max_size=3),
    side=st.sampled_from(Side),
    order_type=st.sampled_from(OrderType),
    time_in_force=st.sampled_from(TimeInForce),
    closing=st.booleans(),
    post_only=st.booleans(),
    direction=st.none() | st.sampled_from(Direction),
    size=st.none() | DECIMALS,
)
VERDICTS = st.builds(Verdict, NAMES, st.none() | st.sampled_from(Reason), NAMES)
TEXTS = st.just("") | NAMES
MARKS = st.builds(m.Mark, U64, U32, U64, U32, st.dictionaries(NAMES, U64, max_size=3), TEXTS)
INPUTS = st.lists(st.builds(m.Input, U64, U64), max_size=2).map(tuple)
SIDES = st.sampled_from(Side)
FILLS = st.builds(m.OrderFill, NAMES, NAMES, SIDES, DECIMALS, DECIMALS, DECIMALS, I64, TEXTS)
ENDS = st.builds(m.OrderEnd, st.sampled_from(OrderState), st.none() | st.sampled_from(Reason))
MODIFIED = st.builds(m.OrderModified, NAMES, DECIMALS, DECIMALS)
SIZED = st.builds(m.OrderSized, NAMES, SIDES, DECIMALS)
OUTCOME = st.builds(m.Outcome, U64, NAMES, FILLS | ENDS | MODIFIED | SIZED)
OUTCOMES = st.lists(OUTCOME, max_size=2).map(tuple)
TYPES = st.sampled_from(OrderType)
WORKING = st.builds(m.WorkingOrder, NAMES, NAMES, SIDES, TYPES, DECIMALS, st.none() | DECIMALS)
HOLDINGS = st.builds(
    m.Holdings,
    st.dictionaries(NAMES, DECIMALS, max_size=2),
    st.lists(WORKING, max_size=2).map(tuple),
)
COUNTERS = st.builds(m.Counters, U64, U64, st.dictionaries(NAMES, U64, max_size=2), U64, I64, U64)
PHASES = st.sampled_from(m.Phase)
FLAGS = st.booleans()

FROM_RUNNER: dict[type, st.SearchStrategy[m.RunnerMessage]] = {
    m.Hello: st.builds(
        m.Hello, NAMES, NAMES, NAMES, TEXTS, PHASES, U64, U64, U64, FLAGS, TEXTS, U64, TEXTS
    ),
    m.Subscribed: st.builds(m.Subscribed, U64),
    m.Snapshot: st.builds(m.Snapshot, NAMES, U64, U64, MARKS, st.binary(max_size=9)),
    m.Ready: st.builds(m.Ready, FLAGS),
    m.Batch: st.builds(
        m.Batch, U64, U64, MARKS, st.lists(SIGNALS, max_size=2).map(tuple), INPUTS, TEXTS
    ),
    m.Alive: st.builds(m.Alive, COUNTERS),
    m.Trouble: st.builds(m.Trouble, NAMES),
}
FROM_GATEWAY: dict[type, st.SearchStrategy[m.GatewayMessage]] = {
    m.Welcome: st.builds(m.Welcome, U64, U64),
    m.WantSnapshot: st.builds(m.WantSnapshot, TEXTS, U64),
    m.Restore: st.builds(m.Restore, U64, U64, U64, MARKS, st.binary(max_size=9), HOLDINGS),
    m.Progress: st.builds(m.Progress, U64, U64, MARKS, INPUTS, OUTCOMES, HOLDINGS),
    m.Stop: st.just(m.Stop()),
    m.Go: st.just(m.Go()),
    m.Arm: st.builds(m.Arm, U64, st.none() | MARKS, OUTCOMES, HOLDINGS, FLAGS),
    m.Follow: st.builds(m.Follow, U64, U64, FLAGS),
    m.Ack: st.builds(m.Ack, U64, st.lists(VERDICTS, max_size=2).map(tuple)),
    m.Refused: st.builds(m.Refused, U64, U32, st.sampled_from(Reason), U64),
    m.Outcomes: st.builds(m.Outcomes, OUTCOMES),
    m.Release: st.builds(m.Release, TEXTS),
}


@pytest.mark.parametrize("kind", FROM_RUNNER, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_runner_message_survives_the_wire(
    kind: type[m.RunnerMessage], data: st.DataObject
) -> None:
    message = data.draw(FROM_RUNNER[kind])
    wire = session.runner_message_to_proto(message).SerializeToString()
    assert session.runner_message_from_proto(pb.RunnerMessage.FromString(wire)) == message


@pytest.mark.parametrize("kind", FROM_GATEWAY, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_gateway_message_survives_the_wire(
    kind: type[m.GatewayMessage], data: st.DataObject
) -> None:
    message = data.draw(FROM_GATEWAY[kind])
    wire = session.gateway_message_to_proto(message).SerializeToString()
    assert session.gateway_message_from_proto(pb.GatewayMessage.FromString(wire)) == message


def test_every_message_is_tried() -> None:
    assert set(FROM_RUNNER) == set(get_args(m.RunnerMessage))
    assert set(FROM_GATEWAY) == set(get_args(m.GatewayMessage))


@given(st.binary(max_size=200))
def test_any_bytes_make_a_message_or_a_named_refusal(wire: bytes) -> None:
    with contextlib.suppress(InvalidMessage, DecodeError):
        message = session.runner_message_from_proto(pb.RunnerMessage.FromString(wire))
        assert isinstance(message, get_args(m.RunnerMessage))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "ten", "1" * 41, "--1"])
def test_a_number_that_cannot_be_meant_is_named(text: str) -> None:
    message = signal_to_proto(Signal("id", "BTCUSDT", Cause("BTCUSDT", "tick", 1, 1), 1))
    message.quantity = text
    with pytest.raises(InvalidMessage, match=r"quantity: .*expected a decimal"):
        signal_from_proto(message)


def test_a_priority_over_ten_is_named() -> None:
    message = signal_to_proto(Signal("id", "BTCUSDT", Cause("BTCUSDT", "tick", 1, 1), 1))
    message.priority = 11
    with pytest.raises(InvalidMessage, match="priority: '11', expected 1 to 10"):
        signal_from_proto(message)
