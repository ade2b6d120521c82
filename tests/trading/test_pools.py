"""Limits of several strategies together: at a symbol, an account, the desk."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from btc import BTC, ETH
from trading.accounts import StrategyAccount, Terms
from trading.days import DAY_NS
from trading.fills import Fill
from trading.limits import UNBOUNDED, UNLIMITED, Limits, parse_bounds
from trading.market import Touch
from trading.orders import Order, OrderState
from trading.pools import Pools
from trading.rates import SECOND_NS
from trading.risk import Approved, Rejection
from trading.scopes import DESK, Level, Scope
from trading.signals import Cause, OrderType, Side, Signal
from trading.watermarks import Watermarks

NOW = 100 * DAY_NS
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": ETH}
SYMBOLS = tuple(INSTRUMENTS)
MARKET = {"BTCUSDT": Touch(Decimal(99), Decimal(101)), "ETHUSDT": Touch(Decimal(9), Decimal(11))}
MIDS = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
WIDE = replace(UNBOUNDED, max_orders_per_second=10**6, max_orders_per_minute=10**6)
MAIN, OTHER = Scope(Level.ACCOUNT, "main"), Scope(Level.ACCOUNT, "other")
OF_BTC = Scope(Level.SYMBOL, "BTCUSDT")
EVERY_SCOPE = (OF_BTC, MAIN, DESK)


def bounds(**limits: Any) -> Limits:
    return parse_bounds(limits)


class Crew:
    """Strategies of one desk, each with capital of 10,000."""

    def __init__(self, limits: dict[Scope, Limits] | None = None) -> None:
        self.pools = Pools(INSTRUMENTS)
        self.pools.obey(limits or {})
        self.accounts: dict[str, StrategyAccount] = {}
        self.asked = 0

    def account(self, name: str, account: str = "main", limits: Limits = WIDE) -> StrategyAccount:
        if name not in self.accounts:
            terms = Terms(Decimal(10_000), frozenset(SYMBOLS), limits)
            made = StrategyAccount(name, terms, INSTRUMENTS, self.pools, account)
            self.accounts[name] = made
        return self.accounts[name]

    def ask(
        self, name: str, signed: str, symbol: str = "BTCUSDT", now_ns: int = NOW, **more: Any
    ) -> Order | Rejection:
        """What is approved is reserved."""
        self.asked += 1
        account = self.account(name)
        answer = account.review(
            signal_of(f"s{self.asked}", signed, symbol, **more), MARKET.get, now_ns
        )
        if isinstance(answer, Rejection):
            return answer
        account.reserve(answer.order)
        return answer.order

    def said(self, name: str, signed: str, **more: Any) -> str:
        answer = self.ask(name, signed, **more)
        return f"{answer.reason}: {answer.message}" if isinstance(answer, Rejection) else "approved"

    def hold(self, name: str, signed: str, symbol: str = "BTCUSDT", **more: Any) -> None:
        """Bought, or sold, at the mid, unless said otherwise."""
        quantity = Decimal(signed)
        self.asked += 1
        side = Side.BUY if quantity > 0 else Side.SELL
        bought = Fill(
            f"f{self.asked}", "", name, symbol, side, MIDS[symbol], abs(quantity), Decimal(0), NOW
        )
        self.account(name).on_fill(replace(bought, **more))


def signal_of(name: str, signed: str, symbol: str = "BTCUSDT", **more: Any) -> Signal:
    quantity = Decimal(signed)
    side = Side.BUY if quantity > 0 else Side.SELL
    cause = Cause(symbol, "tick", 1, NOW)
    return Signal(name, symbol, cause, NOW, side=side, quantity=abs(quantity), **more)


# ---- each limit at its border: `a` and `b` hold 3 BTCUSDT together, worth 300; 1 more is asked for


@pytest.mark.parametrize("scope", EVERY_SCOPE, ids=str)
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_position_size": 4}, ""),
        (
            {"max_position_size": "3.9"},
            "max_position_size: {}: position 3 could become 4.0, allowed is 3.9",
        ),
        ({"max_order_value": 101}, ""),
        ({"max_order_value": 100}, "max_order_value: {}: order worth 101.0, allowed is 100"),
        ({"max_gross_exposure": 400}, ""),
        (
            {"max_gross_exposure": 399},
            "max_gross_exposure: {}: gross exposure could become 400.0, allowed is 399",
        ),
        ({"max_open_orders": 1}, ""),
        ({"max_open_orders": 0}, "max_open_orders: {}: 0 orders at work, allowed are 0"),
        ({"max_orders_per_second": 0}, "max_orders_per_second: {}: allowed are 0 a second"),
        ({"max_orders_per_minute": 0}, "max_orders_per_minute: {}: allowed are 0 a minute"),
    ],
    ids=str,
)
def test_a_limit_of_several_is_the_largest_they_may_come_to(
    scope: Scope, limits: dict[str, Any], says: str
) -> None:
    crew = Crew({scope: bounds(**limits)})
    crew.hold("a", "1")
    crew.hold("b", "2")
    assert crew.said("a", "1") == (says.format(scope) or "approved")


@pytest.mark.parametrize("scope", [MAIN, DESK], ids=str)
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_net_exposure": 200}, ""),  # 400 bought, 200 sold
        (
            {"max_net_exposure": 199},
            "max_net_exposure: {}: net exposure could become 200.0, allowed is 199",
        ),
        ({"max_concentration": "0.02"}, ""),  # 400 of 20,000
        (
            {"max_concentration": "0.019"},
            "max_concentration: {}: BTCUSDT could be worth 400.0 of an equity of 20000, "
            "allowed is 0.019",
        ),
        ({"min_account_balance": 20_000}, ""),
        (
            {"min_account_balance": 20_001},
            "min_account_balance: {}: balance 20000, equity 20000, at least 20001",
        ),
    ],
    ids=str,
)
def test_so_is_a_limit_of_several_symbols(scope: Scope, limits: dict[str, Any], says: str) -> None:
    crew = Crew({scope: bounds(**limits)})
    crew.hold("a", "3")
    crew.hold("b", "-20", symbol="ETHUSDT")
    assert crew.said("a", "1") == (says.format(scope) or "approved")


@pytest.mark.parametrize("scope", EVERY_SCOPE, ids=str)
def test_losses_of_several_are_added_up(scope: Scope) -> None:
    crew = Crew({scope: bounds(max_daily_loss=100)})
    assert crew.said("a", "0.1") == "approved"
    crew.hold("a", "1", price=Decimal(160))  # 60 lost
    assert crew.said("b", "0.1") == "approved"
    crew.hold("b", "-1", price=Decimal(59), fee=Decimal(1))  # and 42
    assert crew.said("b", "-0.1").startswith(f"max_daily_loss: {scope}: equity ")
    assert crew.said("b", "-0.1", now_ns=NOW + DAY_NS) == "approved"


def test_a_loss_from_before_the_limit_counts_where_strategies_know_it() -> None:
    crew = Crew()
    for name in "ab":
        crew.hold(name, "1", price=Decimal(160))
        crew.said(name, "0.1")
    crew.pools.obey({DESK: bounds(max_daily_loss=100)})
    assert crew.said("a", "0.1").startswith(
        "max_daily_loss: desk: equity 19880, 20000 at the day's"
    )


ORDERS = bounds(max_open_orders=9)
BOTH = bounds(max_daily_loss=100, max_open_orders=9)


def test_so_it_does_where_another_limit_was_there_already() -> None:
    crew = Crew({DESK: ORDERS})
    for name in "ab":
        crew.hold(name, "1", price=Decimal(160))
        crew.said(name, "0.1")
    crew.pools.obey({DESK: BOTH})
    assert crew.said("a", "0.1").startswith(
        "max_daily_loss: desk: equity 19880, 20000 at the day's"
    )


def test_a_drawdown_that_is_new_is_from_now_though_another_limit_is_old() -> None:
    crew = Crew()
    crew.said("a", "0.1")
    crew.pools.obey({DESK: ORDERS})
    crew.hold("a", "1", price=Decimal(401))  # 301 of 10,000
    for days in (1, 2):
        crew.said("a", "0.1", now_ns=NOW + days * DAY_NS)
    crew.pools.obey({DESK: bounds(max_open_orders=9, max_drawdown="0.01")})
    assert crew.said("a", "0.1", now_ns=NOW + 2 * DAY_NS) == "approved"


@pytest.mark.parametrize(
    ("meanwhile", "unread", "remembers"),
    [
        (UNBOUNDED, {DESK}, True),
        (ORDERS, {DESK}, True),  # by a policy that can be read
        (ORDERS, set(), False),
    ],
    ids=["nobody can read it", "another can be read", "taken back"],
)
def test_what_cannot_be_read_forgets_nothing_and_what_is_taken_back_does(
    meanwhile: Limits, unread: set[Scope], remembers: bool
) -> None:
    crew = Crew({DESK: bounds(max_drawdown="0.01")})
    crew.said("a", "0.1")
    crew.hold("a", "1", price=Decimal(301))
    for days in (1, 2):
        crew.said("a", "0.1", now_ns=NOW + days * DAY_NS)
    crew.pools.obey({DESK: meanwhile}, unread)
    crew.pools.obey({DESK: bounds(max_drawdown="0.01")})
    said = crew.said("a", "0.1", now_ns=NOW + 2 * DAY_NS)
    assert said.startswith("max_drawdown: desk: ") == remembers


def test_drawdown_is_of_what_several_had_together() -> None:
    crew = Crew({DESK: bounds(max_drawdown="0.01")})
    crew.said("a", "0.1")
    crew.hold("a", "1", price=Decimal(301))  # 201 of 10,000, 0.0201 of `a` alone
    assert crew.said("b", "0.1").startswith("max_drawdown: desk: equity 19799 from a peak of 20000")


# ---- who is covered


def test_the_narrowest_scope_that_objects_is_named() -> None:
    crew = Crew(dict.fromkeys((DESK, MAIN, OF_BTC), bounds(max_open_orders=0)))
    assert crew.said("a", "1").startswith("max_open_orders: symbol BTCUSDT: ")
    assert crew.said("a", "10", symbol="ETHUSDT").startswith("max_open_orders: account main: ")
    crew.account("elsewhere", "other")
    assert crew.said("elsewhere", "10", symbol="ETHUSDT").startswith("max_open_orders: desk: ")


def test_another_account_and_another_symbol_have_room_of_their_own() -> None:
    crew = Crew({MAIN: bounds(max_position_size=1), OF_BTC: bounds(max_orders_per_minute=1)})
    assert crew.said("a", "1") == "approved"
    assert crew.said("a", "0.1").startswith("max_orders_per_minute: symbol BTCUSDT")
    assert crew.said("b", "0.5", symbol="ETHUSDT") == "approved"
    crew.account("elsewhere", "other")
    assert crew.said("elsewhere", "9", symbol="ETHUSDT") == "approved"


def test_the_strategys_own_limit_comes_first_and_is_nobody_elses() -> None:
    crew = Crew({DESK: bounds(max_position_size=1)})
    crew.account("a", limits=replace(WIDE, max_position_size=Decimal(1)))
    assert crew.said("a", "2") == "max_position_size: position 0 could become 2.0, allowed is 1"


# ---- reservations


def test_two_signals_of_two_strategies_cannot_both_use_one_room() -> None:
    crew = Crew({DESK: bounds(max_gross_exposure=150)})
    assert crew.said("a", "1") == "approved"
    assert crew.said("b", "1").startswith("max_gross_exposure: desk: ")


def test_room_is_given_back_at_the_end_of_an_order() -> None:
    crew = Crew({DESK: bounds(max_position_size=1)})
    order = crew.ask("a", "1", order_type=OrderType.LIMIT, price=Decimal(99))
    assert isinstance(order, Order)
    assert crew.said("b", "1").startswith("max_position_size: desk: ")
    crew.account("a").on_answer(order.client_order_id, OrderState.CANCELLED)
    assert crew.said("b", "1") == "approved"


def test_the_short_of_one_makes_no_room_for_the_long_of_another() -> None:
    """It may close at any time, and nothing may keep it from that."""
    crew = Crew({DESK: bounds(max_position_size=5)})
    crew.hold("a", "-5")
    assert crew.said("b", "5") == "approved"
    assert crew.said("b", "1").startswith("max_position_size: desk: position 5.0 could become 6.0")


def test_rates_are_of_all_together_and_fill_up_again() -> None:
    crew = Crew({DESK: bounds(max_orders_per_second=2)})
    assert [crew.said(name, "0.1") for name in "ab"] == ["approved"] * 2
    assert crew.said("a", "0.1") == "max_orders_per_second: desk: allowed are 2 a second"
    assert crew.said("a", "0.1", now_ns=NOW + SECOND_NS // 20 * 21) == "approved"


def test_a_market_that_begins_again_fills_them_once() -> None:
    crew = Crew({DESK: bounds(max_orders_per_minute=1)})
    crew.pools.begin_anew("run-1")
    crew.said("a", "0.1")
    crew.pools.begin_anew("run-1")
    assert crew.said("a", "0.1").startswith("max_orders_per_minute")
    crew.pools.begin_anew("run-2")
    assert crew.said("a", "0.1") == "approved"


# ---- money that is paid in


def test_capital_is_neither_gain_nor_loss() -> None:
    crew = Crew({DESK: bounds(max_daily_loss=1, max_drawdown="0.0001")})
    account = crew.account("a")
    assert crew.said("a", "0.1") == "approved"
    account.adopt(replace(account.terms, capital=Decimal(5)))
    assert crew.said("a", "0.1") == "approved"
    crew.account("b")
    assert crew.said("b", "0.1") == "approved"


def test_capital_of_one_that_only_observes_is_no_money() -> None:
    crew = Crew({DESK: bounds(max_concentration="0.01")})
    crew.account("watcher").fund(False)
    assert crew.said("a", "1") == "approved"
    assert crew.said("a", "0.1").endswith("of an equity of 10000, allowed is 0.01")
    crew.account("watcher").fund(True)
    assert crew.said("a", "0.1") == "approved"


def test_without_a_price_of_what_anybody_holds_equity_and_exposure_are_unknown() -> None:
    for name in ("max_daily_loss", "max_gross_exposure"):
        crew = Crew({DESK: bounds(**{name: 10**6})})
        crew.hold("b", "1", symbol="ETHUSDT")
        only_btc = {"BTCUSDT": MARKET["BTCUSDT"]}.get
        answer = crew.account("a").review(signal_of("s", "1"), only_btc, NOW)
        assert isinstance(answer, Rejection)
        assert answer.message.startswith("desk: a symbol ")


# ---- laws

NOTHING_ALLOWED = bounds(
    max_order_value=0, max_position_size=0, max_gross_exposure=0, max_net_exposure=0,
    max_concentration=0, max_open_orders=0, max_orders_per_second=0, max_orders_per_minute=0,
    max_daily_loss=0, max_drawdown=0, min_account_balance=10**9, max_value_at_risk=0,
    max_correlation=0,
)  # fmt: skip


@given(st.decimals("0.1", "12", places=1), st.integers(1, 120), st.sampled_from([1, -1]))
def test_closing_is_never_blocked_at_any_level(held: Decimal, part: int, sign: int) -> None:
    crew = Crew(dict.fromkeys(EVERY_SCOPE, NOTHING_ALLOWED))
    crew.hold("a", str(held * sign), fee=Decimal(5_000))
    crew.hold("b", "7", symbol="ETHUSDT")
    quantity = min(held, Decimal(part) / 10) * -sign
    assert crew.said("a", str(quantity)) == "approved"
    assert crew.said("a", str(-quantity)).startswith("max_order_value: symbol BTCUSDT")


MOST, MOST_GROSS, MOST_ORDERS = Decimal(10), Decimal(1_500), 6
LIMITED = bounds(max_position_size=MOST, max_gross_exposure=MOST_GROSS)
NAMES = {"a": "main", "b": "main", "c": "other"}


class Together(RuleBasedStateMachine):
    """Three strategies, two accounts; fills and ends come late, in any order and size."""

    def __init__(self) -> None:
        super().__init__()
        self.crew = Crew(self.limits)
        for name, account in NAMES.items():
            self.crew.account(name, account)
        self.open: list[tuple[str, Order]] = []

    limits = {DESK: LIMITED, MAIN: LIMITED, OF_BTC: LIMITED}

    @rule(
        name=st.sampled_from(sorted(NAMES)),
        signed=st.decimals("-8", "8", places=1).filter(bool),
        symbol=st.sampled_from(SYMBOLS),
        resting=st.booleans(),
    )
    def ask(self, name: str, signed: Decimal, symbol: str, resting: bool) -> None:
        price: dict[str, Any] = (
            {"order_type": OrderType.LIMIT, "price": MIDS[symbol]} if resting else {}
        )
        answer = self.crew.ask(name, str(signed), symbol, **price)
        if isinstance(answer, Order):
            self.open.append((name, answer))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), part=st.sampled_from(["0.1", "1", "100"]))
    def fill(self, data: st.DataObject, part: str) -> None:
        name, order = data.draw(st.sampled_from(self.open))
        account = self.crew.accounts[name]
        now = account.orders.get(order.client_order_id)
        if now is not None:
            quantity, self.crew.asked = min(Decimal(part), now.remaining), self.crew.asked + 1
            account.on_fill(
                Fill(
                    f"f{self.crew.asked}", order.client_order_id, name, order.symbol, order.side,
                    MIDS[order.symbol], quantity, Decimal(0), NOW,
                )
            )  # fmt: skip

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name, order = data.draw(st.sampled_from(self.open))
        self.open.remove((name, order))
        if order.client_order_id in self.crew.accounts[name].orders:
            self.crew.accounts[name].on_answer(order.client_order_id, OrderState.CANCELLED)

    @rule(bound=st.booleans())
    def change_what_is_bound(self, bound: bool) -> None:
        """Nothing is summed up while nothing is bound, and all of it when something is again."""
        if not bound:
            self.crew.pools.obey({})
        self.crew.pools.obey(self.limits)

    @invariant()
    def what_is_summed_up_is_the_sum(self) -> None:
        again = Pools(INSTRUMENTS)
        again.obey(self.limits)
        for account in self.crew.accounts.values():
            told = dict(account._told)
            again.join(account)
            account._told = told
        for scope in (DESK, MAIN, OTHER):
            mine, fresh = (dict(pools._of(scope).lines) for pools in (self.crew.pools, again))
            assert {k: v for k, v in mine.items() if v != type(v)()} == {
                k: v for k, v in fresh.items() if v != type(v)()
            }

    @invariant()
    def what_is_kept_of_what_they_hold_is_what_they_hold(self) -> None:
        for account in self.crew.accounts.values():
            assert account.holdings() == account._lines_now()
            assert account.holdings() is account.holdings()

    @invariant()
    def nobody_comes_beyond_a_limit_however_things_go_on(self) -> None:
        gross = Decimal(0)
        for symbol in SYMBOLS:
            lines = [account.line(symbol) for account in self.crew.accounts.values()]
            assert max(sum(line.long for line in lines), sum(line.short for line in lines)) <= MOST
            held = sum((line.quantity for line in lines), Decimal(0))
            assert abs(held) <= MOST
            gross += sum((line.worst for line in lines), Decimal(0)) * MIDS[symbol]
        assert gross <= MOST_GROSS


Together.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNobodyComesBeyondALimitTogether = Together.TestCase


MARKS = st.builds(
    Watermarks, st.integers(0, 3), *(st.decimals("-99", "99", places=1) for _ in range(3))
)


@given(st.lists(MARKS, min_size=1), st.decimals("-99", "99", places=2), st.integers(0, 5))
def test_watermarks_together_are_those_of_the_sum(
    several: list[Watermarks], paid_in: Decimal, day: int
) -> None:
    found = Watermarks.together(several)
    assert found is not None
    assert found.equity == sum(each.equity for each in several)
    assert found.peak >= found.equity
    moved = found.shifted(paid_in)
    assert moved.peak - moved.equity == found.peak - found.equity
    later = moved.after(moved.equity, day * DAY_NS)
    assert later.day == max(day, found.day)
    assert later.day_start == (moved.equity if day > found.day else moved.day_start)


def test_a_limit_that_does_not_bound_asks_for_nothing() -> None:
    assert UNBOUNDED.max_gross_exposure == UNLIMITED
    crew = Crew({DESK: UNBOUNDED})
    assert isinstance(crew.account("a").review(signal_of("s", "1"), MARKET.get, NOW), Approved)
