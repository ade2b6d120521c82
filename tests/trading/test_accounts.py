"""One strategy's account: what its signals are judged by, and what counts until when."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from btc import BTC as LISTED
from trading.accounts import (
    AlreadyReserved,
    StrategyAccount,
    Terms,
    UnknownOrder,
)
from trading.at_work import order_to_cancel
from trading.days import DAY_NS
from trading.fills import Fill, ForeignFill
from trading.limits import Limits
from trading.market import Touch
from trading.orders import Order, OrderEvent, OrderState
from trading.rates import SECOND_NS
from trading.reasons import Reason
from trading.reservations import Working
from trading.risk import Approved, Rejection
from trading.signals import Action, Cause, OrderType, Side, Signal

NOW = 100 * DAY_NS
BTC = replace(LISTED, min_quantity=Decimal("0.2"), min_notional=Decimal(5))
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": replace(BTC, symbol="ETHUSDT")}
LIMITS = Limits(max_position_size=Decimal(10))
TERMS = Terms(Decimal(20_000), frozenset(INSTRUMENTS), LIMITS)
TOUCH = Touch(Decimal(99), Decimal(101))


def market(symbol: str) -> Touch | None:
    return TOUCH


def nothing_known(symbol: str) -> Touch | None:
    return None


def account_of(terms: Terms = TERMS, **positions: str) -> StrategyAccount:
    """With positions bought, or sold, at 100."""
    account = StrategyAccount("momentum", terms, INSTRUMENTS)
    for symbol, quantity in positions.items():
        fill(account, quantity, symbol=symbol, order="before")
    return account


def fill(
    account: StrategyAccount,
    signed: str,
    price: str = "100",
    symbol: str = "BTCUSDT",
    order: str = "s1-0",
) -> None:
    quantity = Decimal(signed)
    account.on_fill(
        Fill(
            fill_id=f"{order}-{symbol}-{signed}-{price}",
            client_order_id=order,
            strategy="momentum",
            symbol=symbol,
            side=Side.BUY if quantity > 0 else Side.SELL,
            price=Decimal(price),
            quantity=abs(quantity),
            fee=Decimal(0),
            at_ns=NOW,
        )
    )


def signal_of(signed: str = "1", nth: int = 1, **more: Any) -> Signal:
    quantity = Decimal(signed)
    return Signal(
        id=f"s{nth}",
        symbol=more.pop("symbol", "BTCUSDT"),
        cause=Cause("BTCUSDT", "tick", nth, NOW),
        at_ns=NOW,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        **more,
    )


def approved(account: StrategyAccount, signal: Signal, now_ns: int = NOW) -> Order:
    """Reviewed and reserved."""
    answer = account.review(signal, market, now_ns, revision="r1", epoch=3)
    assert isinstance(answer, Approved), answer
    account.reserve(answer.order)
    return answer.order


def reason(account: StrategyAccount, signal: Signal, now_ns: int = NOW) -> Reason | None:
    answer = account.review(signal, market, now_ns)
    return answer.reason if isinstance(answer, Rejection) else None


# ---- an approval


def test_an_approved_order_carries_all_that_names_it() -> None:
    order = approved(account_of(), signal_of("1.29", order_type=OrderType.LIMIT, price=Decimal(99)))
    assert order.client_order_id == "s1-0"
    assert order.strategy == "momentum"
    assert order.revision == "r1"
    assert order.epoch == 3
    assert order.quantity == Decimal("1.2")
    assert order.price == 99
    assert order.at_ns == NOW
    assert order.state is OrderState.PENDING


def test_an_approval_is_an_accepting_verdict() -> None:
    answer = account_of().review(signal_of(), market, NOW)
    assert isinstance(answer, Approved)
    assert answer.verdict.accepted


def test_a_rejection_is_a_verdict_with_its_numbers() -> None:
    answer = account_of().review(signal_of("11"), market, NOW)
    assert isinstance(answer, Rejection)
    verdict = answer.verdict("s1")
    assert verdict.reason is Reason.MAX_POSITION_SIZE
    assert verdict.message == "position 0 could become 11.0, allowed is 10"


def test_the_price_of_a_market_order_does_not_reach_the_venue() -> None:
    assert approved(account_of(), signal_of(price=Decimal("100.3"))).price is None


# ---- reservations


def test_approvals_in_flight_count_against_the_position() -> None:
    account = account_of(BTCUSDT="4")
    approved(account, signal_of("6"))
    assert reason(account, signal_of("0.2", nth=2)) is Reason.MAX_POSITION_SIZE


def test_the_other_side_does_not_make_room() -> None:
    account = account_of()
    approved(account, signal_of("-6", order_type=OrderType.LIMIT, price=Decimal(105)))
    assert reason(account, signal_of("11", nth=2)) is Reason.MAX_POSITION_SIZE


@pytest.mark.parametrize(
    "state", [OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED], ids=str
)
def test_what_has_ended_makes_room(state: OrderState) -> None:
    account = account_of()
    approved(account, signal_of("10"))
    assert account.working("BTCUSDT").buys == 10
    account.on_answer("s1-0", state)
    assert account.working("BTCUSDT") == Working()
    assert account.orders == {}


def test_what_was_filled_moves_from_reserved_to_held() -> None:
    account = account_of()
    approved(account, signal_of("10"))
    fill(account, "4")
    assert account.working("BTCUSDT").buys == 6
    assert account.positions["BTCUSDT"].quantity == 4
    assert account.orders["s1-0"].state is OrderState.PARTIALLY_FILLED


def test_announced_fills_stay_reserved_after_the_end() -> None:
    account = account_of()
    approved(account, signal_of("10"))
    account.on_answer("s1-0", OrderState.CANCELLED, Decimal(4), "v1")
    assert account.working("BTCUSDT").buys == 4
    assert reason(account, signal_of("6.1", nth=2)) is Reason.MAX_POSITION_SIZE
    fill(account, "4")
    assert account.orders == {}
    assert account.working("BTCUSDT").buys == 0


def test_a_lost_order_counts_until_it_is_settled() -> None:
    account = account_of()
    approved(account, signal_of("10"))
    account.on_event("s1-0", OrderEvent.SUBMIT)
    account.on_event("s1-0", OrderEvent.LOSE)
    assert account.working("BTCUSDT").buys == 10
    account.on_event("s1-0", OrderEvent.EXPIRE)
    assert account.working("BTCUSDT").buys == 0


def test_news_of_an_order_that_is_not_at_work_is_named() -> None:
    account = account_of()
    with pytest.raises(UnknownOrder, match="momentum has no order s9-0 at work"):
        account.on_answer("s9-0", OrderState.ACCEPTED)
    with pytest.raises(UnknownOrder):
        account.on_event("s9-0", OrderEvent.LOSE)


def test_an_order_is_reserved_once() -> None:
    account = account_of()
    order = approved(account, signal_of())
    with pytest.raises(AlreadyReserved, match="s1-0"):
        account.reserve(order)


def test_an_overfill_leaves_no_reservation_behind() -> None:
    account = account_of()
    approved(account, signal_of("1"))
    fill(account, "1.5")
    assert account.working("BTCUSDT") == Working(buys=Decimal(0))
    assert account.positions["BTCUSDT"].quantity == Decimal("1.5")


def test_a_repeated_fill_changes_nothing() -> None:
    account = account_of()
    approved(account, signal_of("10"))
    for _ in range(2):
        fill(account, "4")
    assert account.orders["s1-0"].filled_quantity == 4


def test_a_foreign_fill_counts_nowhere() -> None:
    account = account_of()
    approved(account, signal_of("10"))
    with pytest.raises(ForeignFill):
        fill(account, "-4")
    assert account.ledger.cash == TERMS.capital


def test_a_fill_of_an_unlisted_instrument_still_counts() -> None:
    account = account_of(DOGEUSDT="3")
    assert account.positions["DOGEUSDT"].cost == 300


def test_a_contract_multiplier_reaches_the_ledger_and_the_order_value() -> None:
    tenfold = {"BTCUSDT": replace(BTC, contract_multiplier=Decimal(1000))}
    account = StrategyAccount("momentum", TERMS, tenfold)
    assert reason(account, signal_of("1")) is Reason.MAX_ORDER_VALUE  # 1 * 101 * 1000
    fill(account, "1")
    assert account.positions["BTCUSDT"].cost == 100_000


# ---- rates


def test_orders_beyond_the_rate_are_refused_until_time_has_passed() -> None:
    account = account_of()
    for nth in range(10):
        approved(account, signal_of("0.2", nth=nth))
    assert reason(account, signal_of("0.2", nth=10)) is Reason.MAX_ORDERS_PER_SECOND
    assert reason(account, signal_of("0.2", nth=10), NOW + SECOND_NS) is not None
    assert reason(account, signal_of("0.2", nth=10), NOW + SECOND_NS // 20 * 21) is None


def test_orders_of_a_minute_are_counted_too() -> None:
    limits = replace(LIMITS, max_orders_per_minute=2)
    account = account_of(replace(TERMS, limits=limits))
    for nth in range(2):
        approved(account, signal_of("0.2", nth=nth), NOW + nth * SECOND_NS)
    assert reason(account, signal_of(nth=2), NOW + SECOND_NS * 2) is Reason.MAX_ORDERS_PER_MINUTE


def test_closing_uses_no_rate() -> None:
    account = account_of(BTCUSDT="10")
    for nth in range(20):
        approved(account, signal_of("-0.2", nth=nth))
    assert reason(account, signal_of("-9", nth=20)) is None  # flips: is not closing


# ---- equity


def marked_at(account: StrategyAccount, price: str, now_ns: int = NOW) -> Decimal | None:
    return account.mark(lambda _: Touch(Decimal(price), Decimal(price)), now_ns)


def test_a_day_begins_with_the_equity_that_the_last_one_ended_with() -> None:
    account = account_of(BTCUSDT="10")
    marked_at(account, "110")
    assert marked_at(account, "90", NOW + DAY_NS) == 20_000 - 100
    assert account.watermarks.day_start == 20_000 + 100
    assert account.watermarks.peak == 20_000 + 100


def test_time_that_goes_back_to_yesterday_begins_no_day() -> None:
    account = account_of(BTCUSDT="10")
    marked_at(account, "110")
    marked_at(account, "90", NOW - 1)
    assert account.watermarks.day == NOW // DAY_NS
    assert account.watermarks.day_start == 20_000


def test_an_equity_that_did_not_move_leaves_the_same_marks() -> None:
    account = account_of(BTCUSDT="10")
    marked_at(account, "110")
    before = account.watermarks
    marked_at(account, "110")
    assert account.watermarks is before


def test_a_mark_that_is_unknown_or_old_leaves_equity_unknown() -> None:
    account = account_of(BTCUSDT="10")
    old = replace(TOUCH, age_ns=TERMS.max_quote_age_ns + 1)
    assert account.mark(nothing_known, NOW) is None
    assert account.mark(lambda _: old, NOW) is None
    assert account.pnl(lambda _: old).unrealized == 0
    assert account.pnl(nothing_known).unrealized is None


def test_a_loss_of_the_day_stops_opening_and_not_the_next_day() -> None:
    limits = replace(LIMITS, max_daily_loss=Decimal(100))
    account = account_of(replace(TERMS, limits=limits), ETHUSDT="10")
    marked_at(account, "100")
    fill(account, "-10", price="89.9", symbol="ETHUSDT", order="loss")
    assert reason(account, signal_of()) is Reason.MAX_DAILY_LOSS  # 101
    assert reason(account, signal_of(), NOW + DAY_NS) is None


# ---- another revision's terms


def test_other_capital_is_no_gain_and_no_loss() -> None:
    account = account_of(BTCUSDT="10")
    marked_at(account, "110")
    account.adopt(replace(TERMS, capital=Decimal(50_000)))
    assert account.watermarks.peak == account.watermarks.equity == 50_100
    assert marked_at(account, "110") == 50_100


def test_other_limits_hold_at_once_and_forget_nothing() -> None:
    account = account_of()
    approved(account, signal_of())
    account.adopt(replace(TERMS, limits=replace(LIMITS, max_orders_per_second=1)))
    assert reason(account, signal_of(nth=2)) is Reason.MAX_ORDERS_PER_SECOND


def test_a_market_that_begins_again_finds_the_rates_full() -> None:
    account = account_of(replace(TERMS, limits=replace(LIMITS, max_orders_per_minute=1)))
    approved(account, signal_of())
    assert reason(account, signal_of(nth=2)) is Reason.MAX_ORDERS_PER_MINUTE
    account.begin_anew()
    assert reason(account, signal_of(nth=2)) is None


# ---- cancels


def cancel_of(signal_id: str | None) -> Signal:
    return signal_of(nth=99, action=Action.CANCEL, cancels=signal_id)


def test_a_cancel_finds_its_open_order() -> None:
    account = account_of()
    order = approved(account, signal_of())
    assert order_to_cancel(cancel_of("s1"), account.orders) == order


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        pytest.param(cancel_of("s9"), Reason.UNKNOWN_ORDER, id="never seen"),
        pytest.param(cancel_of("s1"), Reason.UNKNOWN_ORDER, id="ended"),
        pytest.param(cancel_of(None), Reason.INVALID_SIGNAL, id="names nothing"),
        pytest.param(signal_of(), Reason.INVALID_SIGNAL, id="is an order"),
    ],
)
def test_a_cancel_of_no_open_order_is_refused(signal: Signal, expected: Reason) -> None:
    account = account_of()
    approved(account, signal_of())
    account.on_answer("s1-0", OrderState.CANCELLED, Decimal(1))
    answer = order_to_cancel(signal, account.orders)
    assert isinstance(answer, Rejection)
    assert answer.reason is expected


# ---- the journal


def test_orders_and_fills_in_their_order_rebuild_the_account() -> None:
    account = account_of()
    first, second = approved(account, signal_of("4")), approved(account, signal_of("3", nth=2))
    fill(account, "4")
    fill(account, "1", order="s2-0")
    rebuilt = account_of()
    rebuilt.reserve(first)
    fill(rebuilt, "4")
    rebuilt.reserve(second)
    fill(rebuilt, "1", order="s2-0")
    assert rebuilt.orders == account.orders
    assert rebuilt.positions == account.positions
    assert rebuilt.working("BTCUSDT") == account.working("BTCUSDT")
    assert rebuilt.working("BTCUSDT").buys == 2


def test_fills_first_and_then_orders_as_they_stand_rebuild_it_too() -> None:
    account = account_of()
    approved(account, signal_of("3"))
    fill(account, "1")
    rebuilt = account_of()
    fill(rebuilt, "1")
    rebuilt.reserve(account.orders["s1-0"])
    assert rebuilt.orders == account.orders
    assert rebuilt.working("BTCUSDT") == account.working("BTCUSDT")
    request, again = (one.request(signal_of(nth=2), market, NOW) for one in (account, rebuilt))
    assert request == again
