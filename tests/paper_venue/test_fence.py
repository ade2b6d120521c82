"""Orders of a gateway that leads no more are refused, by its generation."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_venue.fence import Fence
from paper_venue.orders import Request
from stratops_api.v1 import types_pb2 as types
from trading.reasons import Reason
from trading.signals import OrderType, Side


def request(account: str, generation: int) -> Request:
    return Request(
        "c", "s", "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal(1),
        account=account, generation=generation,
    )  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2**64 - 1))))
def test_an_account_listens_to_none_but_the_highest_generation_so_far(
    orders: list[tuple[str, int]],
) -> None:
    noted: dict[str, int] = {}
    fence = Fence(note=noted.__setitem__)
    for place, (account, generation) in enumerate(orders):
        highest = max((g for a, g in orders[:place] if a == account), default=0)
        found = fence.refusal(request(account, generation))
        assert (found is not None) == (generation < highest)
        assert found is None or found.reason is Reason.FENCED
        assert noted.get(account, 0) == max(highest, generation)


@pytest.mark.servers
def test_a_late_order_of_a_former_leader_is_refused_also_after_a_restart(
    make_venue: Any, market: Any
) -> None:
    venue = make_venue("touch")
    market.quote(1, 101)
    newer = venue.submit(client_order_id="new", cause=1, account="main", generation=2**64 - 1)
    assert newer.state == types.ORDER_STATE_FILLED
    venue.kill()
    venue.start()
    late = venue.submit(client_order_id="late", account="main", generation=2**64 - 2)
    assert (late.state, late.reason) == (types.ORDER_STATE_REJECTED, types.REASON_FENCED)
    assert "expected 18446744073709551615 or more" in late.message
    repeat = venue.submit(client_order_id="new", account="main", generation=1)
    assert repeat == newer  # as it stands
    other = venue.submit(client_order_id="other", account="hedge")
    assert other.reason != types.REASON_FENCED
