"""Strategies that trade in several currencies: their books in each, their limits in the desk's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC
from trading.account_memory import memory_of, remembered
from trading.accounts import StrategyAccount, Terms
from trading.currencies import Currencies
from trading.days import DAY_NS
from trading.fills import Fill, in_its_currency, reversal
from trading.ledger import CurrencyPnl
from trading.limits import UNBOUNDED, Limits, parse_bounds
from trading.market import Touch
from trading.money import EXACT
from trading.orders import OrderEvent
from trading.pools import Pools
from trading.reasons import Reason
from trading.risk import Approved, Rejection
from trading.scopes import DESK, Level, Scope
from trading.signals import Cause, Side, Signal
from trading.watermarks import Watermarks

NOW = 100 * DAY_NS
ETHBTC = replace(BTC, symbol="ETHBTC", base_currency="ETH", quote_currency="BTC")
ETHUSDT = replace(BTC, symbol="ETHUSDT", base_currency="ETH")
INSTRUMENTS = {"BTCUSDT": BTC, "ETHBTC": ETHBTC, "ETHUSDT": ETHUSDT}
CURRENCIES = Currencies.of("USDT", INSTRUMENTS)
WIDE = replace(UNBOUNDED, max_orders_per_second=10**6, max_orders_per_minute=10**6)
MAIN = Scope(Level.ACCOUNT, "main")
PRICES = {
    "BTCUSDT": Touch(Decimal(999), Decimal(1001)),
    "ETHBTC": Touch(Decimal(2), Decimal(2)),
    "ETHUSDT": Touch(Decimal(2000), Decimal(2000)),
}
NO_BTC = {name: PRICES[name] for name in ("ETHBTC", "ETHUSDT")}
STALE_BTC = {**PRICES, "BTCUSDT": replace(PRICES["BTCUSDT"], age_ns=6 * 10**9)}


@dataclass
class Crew:
    """Strategies with capital of 10,000 USDT, where BTC is worth 1,000 and ETH 2 BTC."""

    pools: Pools

    def account(self, name: str = "s", limits: Limits = WIDE) -> StrategyAccount:
        terms = Terms(Decimal(10_000), frozenset(INSTRUMENTS), limits)
        return StrategyAccount(name, terms, INSTRUMENTS, self.pools, "main")


def crew(**bounds: Limits) -> Crew:
    pools = Pools(INSTRUMENTS, CURRENCIES)
    pools.obey({DESK if name == "desk" else MAIN: each for name, each in bounds.items()})
    return Crew(pools)


def signal(symbol: str, quantity: str, side: Side = Side.BUY, **more: Any) -> Signal:
    cause = Cause(symbol, "tick", 1, NOW)
    return Signal("x", symbol, cause, NOW, side=side, quantity=Decimal(quantity), **more)


def judge(account: StrategyAccount, asked: Signal, prices: Any = None) -> Approved | Rejection:
    return account.review(asked, (PRICES if prices is None else prices).get, NOW)


def reason(found: Approved | Rejection) -> Reason | None:
    return found.reason if isinstance(found, Rejection) else None


def trade(
    account: StrategyAccount, symbol: str, quantity: str, price: str, fee: str = "0", **more: Any
) -> None:
    number = len(account.ledger._counted)
    account.on_fill(
        Fill(
            fill_id=f"{account.strategy}-{number}",
            client_order_id="",
            strategy=account.strategy,
            symbol=symbol,
            side=Side.BUY if Decimal(quantity) > 0 else Side.SELL,
            price=Decimal(price),
            quantity=abs(Decimal(quantity)),
            fee=Decimal(fee),
            at_ns=NOW,
            **more,
        )
    )


def bounds(**limits: Any) -> Limits:
    return parse_bounds(limits)


# ---- a desk that begins to say its currency

AS_ONE = Watermarks(100, Decimal(9), Decimal(99), Decimal(9), NOW)


@pytest.mark.parametrize(
    ("symbol", "day_start"),
    [("BTCUSDT", Decimal(9)), ("ETHBTC", Decimal(12_000))],  # 10,000 + 1 * (2 - 0) * 1,000
)
def test_what_pools_lost_in_one_sum_of_several_is_measured_anew(
    symbol: str, day_start: Decimal
) -> None:
    pools = crew(desk=bounds(max_daily_loss=10**6)).pools
    account = Crew(pools).account()
    trade(account, symbol, "1", "0")
    pools.restore({"desk": AS_ONE})
    judge(account, signal(symbol, "1"))
    found = pools.all_watermarks["desk"]
    assert (found.currency, found.day_start) == ("USDT", day_start)


# ---- what needs a rate


@pytest.mark.parametrize("bound", [UNBOUNDED, bounds(max_daily_loss=10**6)], ids=["", "desk"])
def test_an_order_that_ended_unfilled_needs_no_rate_any_more(bound: Limits) -> None:
    account = crew(desk=bound).account()
    approved = judge(account, signal("ETHBTC", "1"))
    assert isinstance(approved, Approved)
    account.reserve(approved.order)
    assert reason(judge(account, signal("ETHUSDT", "1"), NO_BTC)) is Reason.NO_RATE
    account.on_event(approved.order.client_order_id, OrderEvent.CANCEL)
    assert reason(judge(account, signal("ETHUSDT", "1"), NO_BTC)) is None


def test_what_nobody_won_or_lost_in_a_currency_without_a_rate_keeps_no_equity_unknown() -> None:
    pools = crew(desk=bounds(max_daily_loss=10**6)).pools
    working, other = Crew(pools).account("a"), Crew(pools).account("b")
    approved = judge(working, signal("ETHBTC", "1"))
    assert isinstance(approved, Approved)
    working.reserve(approved.order)
    trade(other, "ETHUSDT", "1", "1500")
    assert reason(judge(other, signal("ETHUSDT", "1"), NO_BTC)) is Reason.NO_RATE
    assert pools.all_watermarks["desk"].peak == 20_500  # 2 * 10,000 + 2,000 - 1,500


# ---- books


def test_books_are_kept_in_the_currency_in_which_they_were_made() -> None:
    account = crew().account()
    trade(account, "ETHBTC", "3", "1", fee="0.5")
    trade(account, "ETHBTC", "-1", "4")
    trade(account, "BTCUSDT", "1", "900", fee="2")
    assert account.books(PRICES.get) == {
        "BTC": CurrencyPnl(Decimal(3), Decimal("0.5"), Decimal(2)),  # 4 - 1; 2 * (2 - 1)
        "USDT": CurrencyPnl(Decimal(0), Decimal(2), Decimal(100)),  # 1000 - 900
    }


def test_the_total_is_what_all_of_it_is_worth() -> None:
    account = crew().account()
    trade(account, "ETHBTC", "3", "1", fee="0.5")
    trade(account, "ETHBTC", "-1", "4")
    trade(account, "BTCUSDT", "1", "900", fee="2")
    found = account.pnl(PRICES.get)
    assert (found.realized, found.fees) == (Decimal(3000), Decimal(502))
    assert found.unrealized == 2100
    assert found.equity == account.mark(PRICES.get, NOW) == 10_000 + 3000 - 502 + 2100


def test_a_total_without_a_rate_is_none_and_each_part_is_there() -> None:
    account = crew().account()
    trade(account, "ETHBTC", "3", "1", fee="0.5")
    found = account.pnl(NO_BTC.get)
    assert (found.fees, found.unrealized, found.equity) == (None,) * 3
    assert found.realized == 0  # nothing is nothing in every currency
    assert account.books(NO_BTC.get)["BTC"].unrealized == 3
    assert account.mark(NO_BTC.get, NOW) is None


def test_a_fee_in_a_third_currency_is_booked_as_such() -> None:
    account = crew().account()
    trade(account, "BTCUSDT", "1", "1000", fee="7", fee_currency="BNB")
    assert account.ledger.fees == 0
    assert account.ledger.balance == 10_000
    assert account.books(PRICES.get)["BNB"] == CurrencyPnl(fees=Decimal(7))
    assert reason(judge(account, signal("BTCUSDT", "1"))) is Reason.NO_RATE


def test_a_fee_is_in_what_the_venue_says_and_else_in_what_the_catalogue_does() -> None:
    said = Fill("1", "", "s", "X", Side.BUY, Decimal(1), Decimal(1), Decimal(1), 1)
    pays_bnb = replace(BTC, fee_currency="BNB")
    assert in_its_currency(said, BTC).fee_currency == ""
    assert in_its_currency(said, pays_bnb).fee_currency == "BNB"
    assert in_its_currency(replace(said, fee_currency="USDT"), pays_bnb).fee_currency == ""
    assert in_its_currency(replace(said, fee_currency="BTC"), BTC).fee_currency == "BTC"


def test_a_bust_gives_back_the_fee_in_its_currency() -> None:
    first = Fill(
        "1", "", "s", "BTCUSDT", Side.BUY, Decimal(1), Decimal(1), Decimal(7), 1, fee_currency="BNB"
    )
    bust = replace(first, fill_id="2", side=Side.SELL, fee=Decimal(-7), busts="1", fee_currency="")
    account = crew().account()
    account.on_fill(first)
    account.on_fill(reversal(bust, first))
    assert account.books(PRICES.get)["BNB"].fees == 0


TRADES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["BTCUSDT", "ETHBTC"]),
        st.sampled_from(["1", "-1", "2", "-3"]),
        st.decimals("0.01", 10**5, places=2).map(str),
        st.decimals(-9, 9, places=3).map(str),
        st.sampled_from(["", "BNB", "BTC", "USDT"]),
    ),
    max_size=20,
)


def books_of(accounts: Sequence[StrategyAccount]) -> dict[str, CurrencyPnl]:
    found: dict[str, CurrencyPnl] = {}
    for account in accounts:
        for currency, each in account.books(PRICES.get).items():
            found[currency] = found.get(currency, CurrencyPnl()).plus(each)
    return found


def told(trades: Any, accounts: dict[str, StrategyAccount]) -> None:
    for name, symbol, quantity, price, fee, currency in trades:
        booked = "" if currency == INSTRUMENTS[symbol].quote_currency else currency
        trade(accounts[name], symbol, quantity, price, fee, fee_currency=booked)


BNB = replace(BTC, symbol="BNBUSDT", base_currency="BNB")
WITH_BNB = Currencies.of("USDT", {**INSTRUMENTS, "BNBUSDT": BNB})
ALL_PRICES = {**PRICES, "BNBUSDT": Touch(Decimal(5), Decimal(5))}


@given(trades=TRADES)
def test_the_desk_is_the_sum_of_its_strategies_in_each_currency(trades: Any) -> None:
    pools = Pools(INSTRUMENTS, WITH_BNB)
    pools.obey({DESK: bounds(max_daily_loss="1000000000", max_gross_exposure="1000000000000")})
    accounts = {name: Crew(pools).account(name) for name in "ab"}
    told(trades, accounts)
    whole = Crew(Pools(INSTRUMENTS, WITH_BNB)).account("whole")
    told([("a", *rest) for _, *rest in trades], {"a": whole})
    assert books_of([whole]).keys() == books_of(list(accounts.values())).keys()
    for currency, each in books_of([whole]).items():
        summed = books_of(list(accounts.values()))[currency]
        assert summed.fees == each.fees
        assert summed.unrealized is not None
        assert each.unrealized is not None
        # who holds what moves P&L between realised and unrealised, and never their sum
        difference = (summed.realized + summed.unrealized) - (each.realized + each.unrealized)
        assert abs(difference) < Decimal("1e-9")


@given(trades=TRADES)
def test_the_desks_equity_is_the_sum_of_its_strategies(trades: Any) -> None:
    pools = Pools(INSTRUMENTS, WITH_BNB)
    pools.obey({DESK: bounds(max_daily_loss="1000000000000")})
    accounts = {name: Crew(pools).account(name) for name in "ab"}
    told(trades, accounts)
    equities = [account.mark(ALL_PRICES.get, NOW) for account in accounts.values()]
    request = accounts["a"].request(signal("BTCUSDT", "1"), ALL_PRICES.get, NOW)
    pools.objection(accounts["a"], request, ALL_PRICES.get)
    together = pools.all_watermarks["desk"].equity
    assert None not in equities
    assert together == EXACT.add(equities[0], equities[1])  # type: ignore[arg-type]  # as asserted


@given(trades=TRADES)
def test_an_account_goes_on_from_its_memory(trades: Any) -> None:
    account = Crew(Pools(INSTRUMENTS, WITH_BNB)).account("a")
    told([("a", *rest) for _, *rest in trades], {"a": account})
    again = remembered("a", memory_of(account), INSTRUMENTS, Pools(INSTRUMENTS, WITH_BNB))
    assert again.books(ALL_PRICES.get) == account.books(ALL_PRICES.get)
    assert again.mark(ALL_PRICES.get, NOW) == account.mark(ALL_PRICES.get, NOW)


@given(trades=TRADES)
def test_what_was_kept_before_the_desk_said_its_currency_is_told_apart(trades: Any) -> None:
    quoted = [("a", s, q, p, f, INSTRUMENTS[s].quote_currency) for _, s, q, p, f, _ in trades]
    before, now = (Crew(Pools(INSTRUMENTS, each)).account("a") for each in (Currencies(), WITH_BNB))
    told(quoted, {"a": before})
    told(quoted, {"a": now})
    again = remembered("a", memory_of(before), INSTRUMENTS, Pools(INSTRUMENTS, WITH_BNB))
    assert replace(memory_of(again), watermarks=now.watermarks) == memory_of(now)


@given(trades=TRADES)
def test_in_one_currency_nothing_is_converted(trades: Any) -> None:
    """A desk that says its currency, and trades in it alone, is as one that does not."""
    alike = [("a", "BTCUSDT", q, p, f, "USDT") for _, _, q, p, f, _ in trades]
    accounts = [Crew(Pools(INSTRUMENTS, each)).account("a") for each in (Currencies(), CURRENCIES)]
    for account in accounts:
        told(alike, {"a": account})
    one, other = accounts
    said = replace(one.watermarks, currency="USDT")
    assert replace(memory_of(one), watermarks=said) == memory_of(other)
    asked = signal("BTCUSDT", "1")
    assert one.request(asked, PRICES.get, NOW) == other.request(asked, PRICES.get, NOW)


# ---- limits of a strategy


@pytest.mark.parametrize(
    ("limits", "quantity", "expected"),
    [
        # 1 ETH is 2 BTC is 2,000 USDT
        ({"max_order_value": "6000"}, "3", None),
        ({"max_order_value": "5999"}, "3", Reason.MAX_ORDER_VALUE),
        ({"max_gross_exposure": "6000"}, "3", None),
        ({"max_gross_exposure": "5999"}, "3", Reason.MAX_GROSS_EXPOSURE),
        ({"max_net_exposure": "5999"}, "3", Reason.MAX_NET_EXPOSURE),
        ({"max_concentration": "0.6"}, "3", None),
        ({"max_concentration": "0.59"}, "3", Reason.MAX_CONCENTRATION),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", ["strategy", "account", "desk"])
def test_limits_are_in_the_desks_currency(
    level: str, limits: dict[str, str], quantity: str, expected: Reason | None
) -> None:
    if level == "strategy":
        account = crew().account(limits=replace(WIDE, **_decimals(limits)))
    else:
        account = crew(**{level: bounds(**limits)}).account()
    assert reason(judge(account, signal("ETHBTC", quantity))) is expected


def _decimals(limits: dict[str, str]) -> dict[str, Any]:
    return {name: Decimal(text) for name, text in limits.items()}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        # bought 1 at 5 BTC, worth 2 BTC: 3 BTC lost, and a fee of 1: 4,000 of 10,000 USDT
        ({"max_daily_loss": "4000"}, None),
        ({"max_daily_loss": "3999"}, Reason.MAX_DAILY_LOSS),
        ({"max_drawdown": "0.39"}, Reason.MAX_DRAWDOWN),
        ({"min_account_balance": "6001"}, Reason.MIN_ACCOUNT_BALANCE),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", ["strategy", "account", "desk"])
def test_losses_in_another_currency_are_losses(
    level: str, limits: dict[str, str], expected: Reason | None
) -> None:
    if level == "strategy":
        account = crew().account(limits=replace(WIDE, **_decimals(limits)))
    else:
        account = crew(**{level: bounds(**limits)}).account()
    judge(account, signal("BTCUSDT", "1"))  # so that its pools know the day's start
    trade(account, "ETHBTC", "1", "5", fee="1")
    assert reason(judge(account, signal("BTCUSDT", "1"))) is expected


def test_the_least_notional_stays_in_the_symbols_own_currency() -> None:
    least = {**INSTRUMENTS, "ETHBTC": replace(ETHBTC, min_notional=Decimal(3))}
    pools = Pools(least, Currencies.of("USDT", least))
    terms = Terms(Decimal(10_000), frozenset(least), WIDE)
    account = StrategyAccount("s", terms, least, pools)
    assert reason(judge(account, signal("ETHBTC", "1"))) is Reason.INVALID_QUANTITY  # 2 BTC


# ---- without a rate


@pytest.mark.parametrize(
    ("prices", "why"),
    [
        (NO_BTC, "BTC: BTCUSDT has no bid and ask"),
        (STALE_BTC, "BTC: BTCUSDT has age 6.000 s"),
    ],
    ids=["none", "an old one"],
)
def test_what_opens_is_refused_without_a_rate(prices: Any, why: str) -> None:
    found = judge(crew().account(), signal("ETHBTC", "1"), prices)
    assert isinstance(found, Rejection)
    assert (found.reason, found.message) == (Reason.NO_RATE, why)


def test_what_only_closes_needs_no_rate() -> None:
    account = crew(desk=bounds(max_daily_loss="1", max_order_value="1")).account()
    trade(account, "ETHBTC", "3", "1")
    assert reason(judge(account, signal("ETHBTC", "3", Side.SELL), NO_BTC)) is None


@pytest.mark.parametrize("prices", [NO_BTC, STALE_BTC], ids=["none", "an old one"])
def test_one_who_has_won_another_currency_opens_nothing_without_its_rate(prices: Any) -> None:
    account = crew().account()
    trade(account, "ETHBTC", "1", "1")
    trade(account, "ETHBTC", "-1", "2")  # flat, with 1 BTC won
    assert reason(judge(account, signal("ETHUSDT", "1"), prices)) is Reason.NO_RATE


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_daily_loss": "1000"}, Reason.NO_RATE),
        ({"max_gross_exposure": "100000"}, Reason.NO_RATE),
        ({"max_order_value": "100000"}, None),
        ({"max_orders_per_second": 5}, None),
    ],
    ids=["a loss", "exposure", "this order's own worth", "no amount at all"],
)
def test_another_strategys_currency_binds_who_shares_a_limit_that_adds_them_up(
    limits: dict[str, Any], expected: Reason | None
) -> None:
    both = crew(desk=bounds(**limits))
    trade(both.account("a"), "ETHBTC", "1", "2")
    found = judge(both.account("b"), signal("ETHUSDT", "1"), STALE_BTC)
    assert reason(found) is expected


def test_a_fee_that_nothing_converts_binds_the_desk() -> None:
    both = crew(desk=bounds(max_daily_loss="1000"))
    trade(both.account("a"), "BTCUSDT", "1", "2", fee="1", fee_currency="BNB")
    found = judge(both.account("b"), signal("BTCUSDT", "1"))
    assert isinstance(found, Rejection)
    assert found.message == "desk: BNB: no symbol of the feed says what it is worth in USDT"


@pytest.mark.parametrize("name", ["max_value_at_risk", "max_correlation"])
def test_what_rests_on_samples_is_not_known_in_several_currencies(name: str) -> None:
    account = crew().account(limits=replace(WIDE, **_decimals({name: "0.5"})))
    found = judge(account, signal("ETHBTC", "1"))
    assert reason(found) is Reason.NO_RATE
