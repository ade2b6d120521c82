from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from strategy_sdk import Ended, Fill, OrderType, Side, Signal
from strategy_sdk.account import Account
from trading.reasons import Reason
from trading.signals import Cause

CAUSE = Cause("BTCUSDT", "tick", 1, 1)


def order(id_: str, side: Side, quantity: str, kind: OrderType = OrderType.MARKET) -> Signal:
    return Signal(id_, "BTCUSDT", CAUSE, 1, side=side, order_type=kind, quantity=Decimal(quantity))


def fill(signal: Signal, quantity: str) -> Fill:
    return Fill(
        signal.id, "f", signal.symbol, signal.side, Decimal(1), Decimal(quantity), Decimal(0), 1
    )


BUY_5 = order("a", Side.BUY, "5")
SELL_2 = order("b", Side.SELL, "2")


def test_a_position_counts_own_market_orders_under_way() -> None:
    account = Account()
    account.expect(BUY_5)
    account.expect(SELL_2)
    assert (account.position("BTCUSDT"), account.settled("BTCUSDT")) == (Decimal(3), Decimal(0))


def test_a_refused_order_is_taken_out_again() -> None:
    account = Account()
    account.expect(BUY_5)
    account.end(Ended("a", "rejected", Reason.HALTED))
    assert account.position("BTCUSDT") == 0


def test_a_limit_order_counts_only_once_it_is_filled() -> None:
    account = Account()
    account.expect(order("c", Side.BUY, "5", OrderType.LIMIT))
    assert account.position("BTCUSDT") == 0
    assert [working.signal_id for working in account.working("BTCUSDT")] == ["c"]


def test_a_partial_fill_moves_the_position_by_nothing() -> None:
    account = Account()
    account.expect(BUY_5)
    account.fill(fill(BUY_5, "2"))
    assert (account.position("BTCUSDT"), account.settled("BTCUSDT")) == (Decimal(5), Decimal(2))


def test_an_order_that_ends_half_filled_leaves_its_fills() -> None:
    account = Account()
    account.expect(BUY_5)
    account.fill(fill(BUY_5, "2"))
    account.end(Ended("a", "cancelled"))
    assert account.position("BTCUSDT") == 2


def test_a_fill_of_an_unknown_order_counts() -> None:
    account = Account()
    account.fill(fill(SELL_2, "2"))
    assert account.position("BTCUSDT") == -2


parts = st.lists(st.integers(1, 5), min_size=1, max_size=5)
asked = st.tuples(st.sampled_from(Side), st.sampled_from(OrderType), parts, st.booleans())


@given(st.lists(asked, max_size=8), st.randoms(use_true_random=False))
def test_at_every_moment_the_position_is_what_is_settled_and_what_is_under_way(
    orders: list[tuple[Side, OrderType, list[int], bool]], random: Random
) -> None:
    account = Account()
    happenings: list[Callable[[], object]] = []
    for number, (side, kind, quantities, is_filled) in enumerate(orders):
        signal = order(str(number), side, str(sum(quantities)), kind)
        account.expect(signal)
        fills = [partial(account.fill, fill(signal, str(part))) for part in quantities]
        end = partial(account.end, Ended(signal.id, "rejected"))
        happenings += fills if is_filled else [end]
    random.shuffle(happenings)
    for happen in happenings:
        happen()
        assert account.position("BTCUSDT") == account.settled("BTCUSDT") + under_way(account)
    filled = (sum(parts) * side.sign for side, _, parts, is_filled in orders if is_filled)
    assert account.position("BTCUSDT") == sum(filled)
    assert not account.working()
    assert not any(account.resting("BTCUSDT", side) for side in Side)


def under_way(account: Account) -> Decimal:
    market = (each for each in account.working() if each.order_type is OrderType.MARKET)
    return sum((each.quantity * each.side.sign for each in market), Decimal(0))
