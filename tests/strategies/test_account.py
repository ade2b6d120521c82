from decimal import Decimal

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


@given(st.lists(st.tuples(st.sampled_from(Side), parts, st.booleans()), max_size=8), st.randoms())
def test_when_every_order_is_done_position_and_settled_are_the_sum_of_the_fills(
    orders: list[tuple[Side, list[int], bool]], random: st.DataObject
) -> None:
    account, events, total = Account(), [], Decimal(0)
    for number, (side, quantities, is_filled) in enumerate(orders):
        signal = order(str(number), side, str(sum(quantities)))
        account.expect(signal)
        if is_filled:
            events += [(signal, quantity) for quantity in quantities]
            total += sum(quantities) * side.sign
        else:
            account.end(Ended(signal.id, "rejected"))
    random.shuffle(events)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    for signal, quantity in events:
        account.fill(fill(signal, str(quantity)))
    assert account.position("BTCUSDT") == account.settled("BTCUSDT") == total
    assert account.working() == ()
