"""Fills as JSON, ours and other people's."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.fills import MalformedFill, parse_fill
from trading.fills import Liquidity
from trading.signals import Side

OURS = {
    "fill_id": "s-0-1",
    "order_id": "7",
    "client_order_id": "s-0",
    "symbol": "BTCUSDT",
    "side": "buy",
    "price": "61000.10",
    "quantity": "0.5",
    "fee": "1.2",
    "timestamp": 1_723_075_200_000_000_000,
    "strategy": "momentum",
    "liquidity": "maker",
    "venue": "paper",
}


def payload(**changes: Any) -> bytes:
    return json.dumps(OURS | changes).encode()


def test_ours_is_read_exactly() -> None:
    fill = parse_fill(payload())
    assert (fill.side, fill.price, fill.liquidity) == (Side.BUY, Decimal("61000.10"), "maker")
    assert fill.client_order_id == "s-0"


def test_a_number_is_taken_as_it_was_written() -> None:
    assert parse_fill(payload(price=0.1, quantity=2)).price == Decimal("0.1")


def test_a_foreign_fill_needs_no_more_than_the_contract() -> None:
    theirs = {name: OURS[name] for name in ("fill_id", "symbol", "side", "price", "quantity")}
    fill = parse_fill(json.dumps(theirs | {"timestamp": "2024-08-08T00:00:00.5Z"}).encode())
    assert (fill.at_ns, fill.liquidity) == (1_723_075_200_500_000_000, Liquidity.TAKER)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"price": "NaN"}, "price"),
        ({"price": "0"}, "price"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": "1e999"}, "quantity"),
        ({"fee": "free"}, "fee"),
        ({"fill_id": ""}, "fill_id"),
        ({"symbol": "B" * 999}, "symbol"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"side": "hold"}, "message"),
        ({"strategy": 7}, "message"),
        ({"venue": "x" * 100_000}, "size"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(MalformedFill, match=f"^{named}:"):
        parse_fill(payload(**changes))


@given(st.binary(max_size=300) | st.integers(0, 300).map(lambda n: payload()[:n]))
def test_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(MalformedFill):
        assert parse_fill(data).quantity > 0
