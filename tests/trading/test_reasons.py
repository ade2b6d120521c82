"""The words that leave the house: reasons, and their twins in the proto."""

import pytest

from stratops_api.v1 import types_pb2 as pb
from trading.limits import Limits
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side, TimeInForce, Verdict


@pytest.mark.parametrize(
    ("members", "twin", "prefix"),
    [
        (Reason, pb.Reason, "REASON_"),
        (OrderState, pb.OrderState, "ORDER_STATE_"),
        (Side, pb.Side, "SIDE_"),
        (OrderType, pb.OrderType, "ORDER_TYPE_"),
        (TimeInForce, pb.TimeInForce, "TIME_IN_FORCE_"),
    ],
    ids=["reasons", "order states", "sides", "order types", "times in force"],
)
def test_every_word_is_a_proto_code_and_back(members: type, twin: object, prefix: str) -> None:
    codes = set(twin.keys()) - {f"{prefix}UNSPECIFIED"}  # type: ignore[attr-defined]  # a wrapper
    assert {f"{prefix}{member.upper()}" for member in members} == codes  # type: ignore[attr-defined]  # an enum


def test_every_limit_is_a_reason_of_its_own_name() -> None:
    assert set(Limits.__dataclass_fields__) <= set(Reason)


def test_a_verdict_without_a_reason_accepts() -> None:
    assert Verdict("a").accepted
    assert not Verdict("a", Reason.HALTED).accepted
