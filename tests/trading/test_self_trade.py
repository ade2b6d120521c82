"""Self-trade prevention: what could trade with an order of the same account, and what could not."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC
from trading.accounts import StrategyAccount, Terms
from trading.fills import Fill
from trading.limits import UNBOUNDED
from trading.market import Touch
from trading.orders import Order, OrderState
from trading.pools import Pools
from trading.risk import Rejection
from trading.self_trade import may_trade
from trading.signals import Cause, OrderType, Side, Signal, TimeInForce

NOW = 1_000
TOUCH = Touch(Decimal(99), Decimal(101))
INSTRUMENTS = {"BTCUSDT": BTC}
WIDE = replace(UNBOUNDED, max_orders_per_second=1_000, max_orders_per_minute=1_000)
TERMS = Terms(Decimal(10_000), frozenset(INSTRUMENTS), WIDE)


def market(side: str) -> Signal:
    place = Cause("BTCUSDT", "tick", 1, NOW)
    return Signal("s", "BTCUSDT", place, NOW, side=Side(side), quantity=Decimal(1))


def limit(side: str, price: str, force: TimeInForce = TimeInForce.GTC) -> Signal:
    kind, at = OrderType.LIMIT, Decimal(price)
    return replace(market(side), order_type=kind, price=at, time_in_force=force)


def stop(side: str, trigger: str) -> Signal:
    return replace(market(side), order_type=OrderType.STOP, stop_price=Decimal(trigger))


def stop_limit(side: str, trigger: str, price: str) -> Signal:
    triggered = replace(stop(side, trigger), order_type=OrderType.STOP_LIMIT)
    return replace(triggered, price=Decimal(price))


IOC = TimeInForce.IOC


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        pytest.param(market("buy"), market("sell"), False, id="two market orders never meet"),
        pytest.param(market("buy"), limit("sell", "200"), True, id="a market order, what rests"),
        pytest.param(
            replace(market("buy"), price=Decimal(1)), limit("sell", "9"), True, id="at any price"
        ),
        pytest.param(limit("buy", "100"), limit("sell", "100"), True, id="limits that touch"),
        pytest.param(limit("buy", "99"), limit("sell", "100"), False, id="limits apart"),
        pytest.param(limit("buy", "100"), limit("buy", "100"), False, id="one side"),
        pytest.param(limit("buy", "100", IOC), limit("sell", "99", IOC), False, id="none stays"),
        pytest.param(limit("buy", "100", IOC), limit("sell", "99"), True, id="one stays"),
        pytest.param(stop("sell", "95"), limit("buy", "97"), False, id="gone by the trigger"),
        pytest.param(stop("sell", "95"), limit("buy", "95"), True, id="left at the trigger"),
        pytest.param(stop("buy", "105"), limit("sell", "104"), False, id="gone, the other side"),
        pytest.param(stop("buy", "105"), limit("sell", "110"), True, id="left, the other side"),
        pytest.param(stop("sell", "95"), market("buy"), False, id="a stop, a market order"),
        pytest.param(stop("sell", "95"), stop("buy", "90"), False, id="two stops"),
        pytest.param(
            stop_limit("sell", "95", "94"), limit("buy", "97"), True, id="triggered perhaps"
        ),
        pytest.param(stop_limit("sell", "95", "94"), limit("buy", "93"), False, id="its price"),
        pytest.param(stop_limit("sell", "95", "94"), market("buy"), True, id="it may rest"),
    ],
)
def test_two_orders_meet_when_one_can_rest_and_prices_allow_it(
    one: Signal, other: Signal, may: bool
) -> None:
    assert may_trade(one, other) is may
    assert may_trade(other, one) is may


# ---- the account


class Crew:
    """Strategies of one desk; `elsewhere` has another account."""

    def __init__(self) -> None:
        self.pools = Pools(INSTRUMENTS)
        self.accounts = {
            name: StrategyAccount(name, TERMS, INSTRUMENTS, self.pools, account)
            for name, account in {"a": "main", "b": "main", "elsewhere": "other"}.items()
        }
        self.asked = 0

    def ask(self, name: str, signal: Signal) -> Order | Rejection:
        self.asked += 1
        account = self.accounts[name]
        answer = account.review(replace(signal, id=f"s{self.asked}"), lambda _: TOUCH, NOW)
        if isinstance(answer, Rejection):
            return answer
        account.reserve(answer.order)
        return answer.order

    def said(self, name: str, signal: Signal) -> str:
        answer = self.ask(name, signal)
        return f"{answer.reason}: {answer.message}" if isinstance(answer, Rejection) else "approved"


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_would_meet_a_working_order_of_the_account_is_refused(name: str) -> None:
    crew = Crew()
    assert crew.said("a", limit("sell", "105")) == "approved"
    expected = "self_trade: account main: could trade with sell 1.0 at 105 of a, order s1-0"
    assert crew.said(name, market("buy")) == expected
    assert crew.said(name, limit("buy", "104.5")) == "approved"


def test_terms_that_are_under_way_are_met_as_well() -> None:
    crew = Crew()
    resting = crew.ask("a", limit("sell", "110"))
    assert isinstance(resting, Order)
    crew.accounts["a"].ask(resting.asking("m", resting.quantity, Decimal(104)), NOW)
    for price in ("105", "111"):
        assert crew.said("b", limit("buy", price)).startswith("self_trade: ")
    assert crew.said("b", limit("buy", "103")) == "approved"


def test_what_has_ended_or_is_elsewhere_is_not_met() -> None:
    crew = Crew()
    resting = crew.ask("a", limit("sell", "105"))
    assert isinstance(resting, Order)
    assert crew.said("elsewhere", market("buy")) == "approved"
    crew.accounts["a"].on_answer(resting.client_order_id, OrderState.CANCELLED)
    assert crew.said("b", market("buy")) == "approved"


def test_a_market_order_under_way_is_met_by_what_would_rest() -> None:
    """Which of the two the venue has first, nobody knows."""
    crew = Crew()
    assert crew.said("a", market("buy")) == "approved"
    assert crew.said("b", market("sell")) == "approved"
    assert crew.said("b", limit("sell", "105")).startswith("self_trade: ")


def test_what_only_closes_is_not_kept_from_it() -> None:
    crew = Crew()
    held = Fill("f", "", "b", "BTCUSDT", Side.BUY, Decimal(100), Decimal(1), Decimal(0), NOW)
    crew.accounts["b"].on_fill(held)
    assert crew.said("a", limit("buy", "95")) == "approved"
    assert crew.said("b", market("sell")) == "approved"


def test_a_policy_may_allow_it_by_account() -> None:
    crew = Crew()
    crew.pools.allow_self_trade(lambda account: account == "main")
    for name in ("a", "elsewhere"):
        assert crew.said(name, limit("sell", "105")) == "approved"
    assert crew.said("b", market("buy")) == "approved"
    assert crew.said("elsewhere", market("buy")).startswith("self_trade: account other: ")


PRICES = st.sampled_from(["95", "98", "100", "102", "105"])
SIDES = st.sampled_from(["buy", "sell"])
WISHES = st.one_of(
    st.builds(market, SIDES),
    st.builds(limit, SIDES, PRICES, st.sampled_from(TimeInForce)),
    st.builds(stop, SIDES, PRICES),
    st.builds(stop_limit, SIDES, PRICES, PRICES),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), WISHES), max_size=15))
def test_no_two_open_orders_of_an_account_may_trade_with_each_other(
    asked: list[tuple[str, Signal]],
) -> None:
    """But for those that only close."""
    crew = Crew()
    for name, signal in asked:
        crew.ask(name, signal)
    found: list[Any] = [o for account in crew.accounts.values() for o in account.orders.values()]
    assert not any(
        may_trade(one, other)
        for place, one in enumerate(found)
        for other in found[:place]
        if not (one.closing or other.closing)
    )
