"""Records without what they say by default say the same."""

import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from desk_driver import DeskDriver, buy
from risk_gateway.records import Decided, Kind, terse_decision
from trading.orders import Order
from trading.reasons import Reason
from trading.signals import Action, Cause, Direction, OrderType, Side, Signal, TimeInForce

CAUSE = Cause("BTCUSDT", "tick", 1, 2)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)
SIGNALS = st.builds(
    Signal,
    id=st.text(),
    symbol=st.text(),
    cause=st.just(CAUSE),
    at_ns=st.integers(0, 2**63),
    action=st.sampled_from(Action),
    side=st.sampled_from(Side),
    order_type=st.sampled_from(OrderType),
    quantity=AMOUNTS,
    price=st.none() | AMOUNTS,
    time_in_force=st.sampled_from(TimeInForce),
    priority=st.integers(1, 10),
    confidence=st.none() | AMOUNTS,
    expires_ns=st.none() | st.integers(0, 2**63),
    cancels=st.none() | st.text(),
    closing=st.booleans(),
    post_only=st.booleans(),
    direction=st.none() | st.sampled_from(Direction),
    metadata=st.dictionaries(st.text(), st.text()),
)
ORDERS = st.builds(
    lambda signal, quantity, venue: Order(
        "a-0", "a", "s", "r1", 1, signal.symbol, signal.side, signal.order_type, quantity, CAUSE, 3,
        price=signal.price, closing=signal.closing, venue=venue,
    ),
    SIGNALS,
    AMOUNTS,
    st.text(),
)  # fmt: skip
DECISIONS = st.builds(
    Decided,
    signal=SIGNALS,
    epoch=st.integers(0, 9),
    batch=st.integers(0, 9),
    revision=st.text(),
    now_ns=st.integers(0, 2**63),
    reason=st.none() | st.sampled_from(Reason),
    message=st.text(),
    bid=st.none() | AMOUNTS,
    order=st.none() | ORDERS,
    bypassed=st.lists(st.sampled_from(Reason)).map(tuple),
    session=st.text(),
)


@given(DECISIONS)
def test_what_was_left_out_is_read_back(decision: Decided) -> None:
    text = msgspec.json.encode(terse_decision(decision))
    assert msgspec.json.decode(text, type=Decided) == decision


# What records leave out. One that is there already says this; to change one would change it.
SIGNAL: dict[str, object] = {
    "action": "order", "side": "buy", "order_type": "market", "quantity": "0", "price": None,
    "stop_price": None, "time_in_force": "GTC", "priority": 5, "max_slippage": None,
    "confidence": None, "expires_ns": None, "cancels": None, "closing": False, "modifies": None,
    "post_only": False, "direction": None, "size": None, "metadata": {},
}  # fmt: skip
ORDER: dict[str, object] = {
    "price": None, "stop_price": None, "time_in_force": "GTC", "closing": False,
    "state": "pending", "filled_quantity": "0", "filled_notional": "0", "fee": "0",
    "announced_quantity": "0", "venue_order_id": "", "busted_quantity": "0", "post_only": False,
    "modification": 0, "asked": None, "venue": "main", "adopted": False,
}  # fmt: skip
DECIDED: dict[str, object] = {
    "reason": None, "message": "", "scope": "", "bid": None, "ask": None, "order": None,
    "modification": None, "judged": None, "as_order": None, "watermarks": None, "together": {},
    "poll": None, "sized": [], "bypassed": [], "session": "",
}  # fmt: skip


def test_what_records_leave_out_never_changes() -> None:
    signal = Signal("a", "BTCUSDT", CAUSE, 2)
    order = Order(
        "a-0", "a", "s", "r1", 1, "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(1), CAUSE, 2
    )
    assert written(signal).items() >= SIGNAL.items()
    assert written(order).items() >= ORDER.items()
    assert written(Decided(signal, 1, 1, "r1", 2)).items() >= DECIDED.items()
    read = json.loads(msgspec.json.encode(terse_decision(Decided(signal, 1, 1, "r1", 2))))
    assert read.keys().isdisjoint(DECIDED)
    assert read["signal"].keys().isdisjoint(SIGNAL)


def written(value: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(value, enc_hook=dict))
    return found


async def test_a_verdict_is_journalled_without_what_nobody_set(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("x"))
    row = desk.archive.record(Kind.DECIDED, "x")
    assert row is not None
    body = json.loads(row.body)
    assert "stop_price" not in body["signal"].keys() | body["order"].keys()
    assert "message" not in body
