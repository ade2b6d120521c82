"""Exposure and what is limited by it, against every way in which the orders at work may end."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC, ETH
from trading.accounts import StrategyAccount, Terms
from trading.exposure import Stake, exposure
from trading.fills import Fill
from trading.limits import Limits
from trading.market import Touch
from trading.orders import Order
from trading.risk import Approved, Rejection
from trading.signals import Cause, OrderType, Side, Signal

NOW = 1_000
CAPITAL = Decimal(20_000)
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": ETH}
BUY_1 = Signal(
    id="s1",
    symbol="BTCUSDT",
    cause=Cause("BTCUSDT", "tick", 1, NOW),
    at_ns=NOW,
    quantity=Decimal(1),
)


def D(number: str) -> Decimal:  # noqa: N802  # reads as the number it makes
    return Decimal(number)


SYMBOLS = ("BTCUSDT", "ETHUSDT")
WIDE = Limits(max_orders_per_second=1_000, max_orders_per_minute=1_000)
MARKET = {"BTCUSDT": Touch(D("99"), D("101")), "ETHUSDT": Touch(D("9"), D("11"))}
MIDS = {"BTCUSDT": D("100"), "ETHUSDT": D("10")}


def account_of(limits: Limits, **held: str) -> StrategyAccount:
    """Holding so many of each symbol, bought or sold at the mid."""
    terms = Terms(CAPITAL, frozenset(SYMBOLS), limits)
    account = StrategyAccount("momentum", terms, INSTRUMENTS)
    for symbol, quantity in held.items():
        side = Side.BUY if D(quantity) > 0 else Side.SELL
        price, size = MIDS[symbol], abs(D(quantity))
        account.on_fill(Fill(symbol, "o", "momentum", symbol, side, price, size, D("0"), NOW))
    return account


def work(account: StrategyAccount, symbol: str, side: Side, quantity: str) -> Order:
    """A limit order of that strategy that rests."""
    signal = replace(
        BUY_1,
        id=f"{symbol}{side}{quantity}{len(account.orders)}",
        symbol=symbol,
        side=side,
        quantity=D(quantity),
        order_type=LIMIT,
        price=MIDS[symbol],
    )
    answer = account.review(signal, MARKET.get, NOW)
    assert isinstance(answer, Approved), answer
    account.reserve(answer.order)
    return answer.order


def said(account: StrategyAccount, signal: Signal) -> str:
    answer = account.review(signal, MARKET.get, NOW)
    return f"{answer.reason}: {answer.message}" if isinstance(answer, Rejection) else "approved"


# ---- each at its border; BUY_1 is worth 100


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        pytest.param({"max_gross_exposure": D("700")}, "approved", id="gross, just within"),
        pytest.param(
            {"max_gross_exposure": D("699")},
            "max_gross_exposure: gross exposure could become 700.0, allowed is 699",
            id="gross",
        ),
        pytest.param({"max_net_exposure": D("100")}, "approved", id="net, just within"),
        pytest.param(
            {"max_net_exposure": D("99")},
            "max_net_exposure: net exposure could become 100.0, allowed is 99",
            id="net",
        ),
        pytest.param({"max_concentration": D("0.02")}, "approved", id="share, just within"),
        pytest.param(
            {"max_concentration": D("0.0199")},
            "max_concentration: BTCUSDT could be worth 400.0 of an equity of 20000, allowed is"
            " 0.0199",
            id="share",
        ),
    ],
)
def test_exposure_is_limited_at_its_border(limits: dict[str, Any], says: str) -> None:
    """Three bought of one for 300, thirty sold of the other for 300."""
    account = account_of(replace(WIDE, **limits), BTCUSDT="3", ETHUSDT="-30")
    assert said(account, BUY_1) == says


def test_what_works_counts_as_if_it_were_filled() -> None:
    account = account_of(replace(WIDE, max_gross_exposure=D("250")))
    first = work(account, "ETHUSDT", Side.SELL, "20")
    assert said(account, BUY_1).startswith("max_gross_exposure: gross exposure could become 300")
    account.on_answer(first.client_order_id, first.state.CANCELLED)
    assert said(account, BUY_1) == "approved"


def test_one_contract_may_be_many_units() -> None:
    account = account_of(replace(WIDE, max_gross_exposure=D("999")))
    account.instruments = {**INSTRUMENTS, "ETHUSDT": replace(ETH, contract_multiplier=D("100"))}
    one = replace(BUY_1, symbol="ETHUSDT")
    assert said(account, one).startswith("max_gross_exposure: gross exposure could become 1000")


def test_without_the_price_of_what_is_held_exposure_is_unknown() -> None:
    limits = replace(WIDE, max_gross_exposure=D("10000"), max_price_deviation=D("1"))
    account = account_of(limits)
    work(account, "ETHUSDT", Side.BUY, "10")  # nothing is held: equity is known all the same
    answer = account.review(BUY_1, {"BTCUSDT": MARKET["BTCUSDT"]}.get, NOW)
    assert isinstance(answer, Rejection)
    assert answer.message == "a symbol at work has no price, exposure is unknown"


def test_orders_at_work_are_counted() -> None:
    account = account_of(replace(WIDE, max_open_orders=D("2")))
    work(account, "BTCUSDT", Side.BUY, "1")
    order = work(account, "ETHUSDT", Side.BUY, "10")
    assert said(account, BUY_1) == "max_open_orders: 2 orders at work, allowed are 2"
    account.on_answer(order.client_order_id, order.state.CANCELLED)
    assert said(account, BUY_1) == "approved"


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        pytest.param({"order_type": LIMIT, "price": D("110")}, "approved", id="at the border"),
        pytest.param({"order_type": LIMIT, "price": D("90")}, "approved", id="and below"),
        pytest.param(
            {"order_type": LIMIT, "price": D("110.5")},
            "max_price_deviation: price 110.5 at a mid of 100, allowed is 0.1 of it",
            id="too dear",
        ),
        pytest.param(
            {"order_type": LIMIT, "price": D("89.5")},
            "max_price_deviation: price 89.5 at a mid of 100, allowed is 0.1 of it",
            id="too cheap",
        ),
        pytest.param(
            {"order_type": STOP, "stop_price": D("111")},
            "max_price_deviation: price 111 at a mid of 100, allowed is 0.1 of it",
            id="a stop far away",
        ),
        pytest.param({"price": D("150")}, "approved", id="what a market order saw"),
    ],
)
def test_prices_must_be_near_the_mid(signal: dict[str, Any], says: str) -> None:
    account = account_of(replace(WIDE, max_price_deviation=D("0.1")))
    assert said(account, replace(BUY_1, **signal)) == says


def test_what_is_not_limited_is_not_looked_at() -> None:
    account = account_of(WIDE)
    assert account.request(BUY_1, MARKET.get, NOW).exposure is None
    account.adopt(Terms(CAPITAL, frozenset(SYMBOLS), replace(WIDE, max_net_exposure=D("1"))))
    assert said(account, BUY_1).startswith("max_net_exposure")
    account.adopt(Terms(CAPITAL, frozenset(SYMBOLS), WIDE))
    assert said(account, BUY_1) == "approved"


# ---- the worst case

quantities = st.decimals("-20", "20", places=1)
books = st.lists(
    st.tuples(quantities, st.lists(quantities, max_size=3), st.sampled_from([D("1"), D("7.5")])),
    min_size=1,
    max_size=3,
)


def ends(orders: list[Decimal]) -> Iterator[Decimal]:
    """What may be traded in the end: each order wholly, or not at all."""
    for chosen in product((0, 1), repeat=len(orders)):
        yield sum((one * order for one, order in zip(chosen, orders, strict=True)), D("0"))


@given(books)
def test_no_end_of_the_orders_is_worse_than_the_worst_case(
    book: list[tuple[Decimal, list[Decimal], Decimal]],
) -> None:
    """And the worst case is one of the ends, so nothing is refused that could not happen."""
    stakes = [
        Stake(
            held + sum((each for each in orders if each > 0), D("0")),
            held + sum((each for each in orders if each < 0), D("0")),
            unit,
        )
        for held, orders, unit in book
    ]
    found = exposure(stakes[0], stakes[1:])
    possible = [[(held + end) * unit for end in ends(orders)] for held, orders, unit in book]
    worths = list(product(*possible))
    assert found.gross == max(sum(map(abs, worth)) for worth in worths)
    assert found.net == max(abs(sum(worth, D("0"))) for worth in worths)
    assert found.symbol == max(abs(worth[0]) for worth in worths)


@given(
    st.lists(
        st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(Side), st.integers(1, 40)), max_size=12
    )
)
def test_no_row_of_orders_comes_beyond_the_limits(asked: list[tuple[str, Side, int]]) -> None:
    limits = replace(
        WIDE, max_gross_exposure=D("900"), max_net_exposure=D("500"), max_open_orders=D("6")
    )
    account = account_of(limits)
    for symbol, side, tenths in asked:
        quantity = Decimal(tenths) / 10 * (10 if symbol == "ETHUSDT" else 1)
        signal = replace(
            BUY_1, id=f"s{len(account.orders)}", symbol=symbol, side=side, quantity=quantity
        )
        answer = account.review(signal, MARKET.get, NOW)
        if isinstance(answer, Approved):
            account.reserve(answer.order)
    bought = [account.working(symbol).buys * MIDS[symbol] for symbol in SYMBOLS]
    sold = [account.working(symbol).sells * MIDS[symbol] for symbol in SYMBOLS]
    assert sum(map(max, bought, sold)) <= 900
    assert max(sum(bought), sum(sold)) <= 500
    assert len(account.orders) <= 6
