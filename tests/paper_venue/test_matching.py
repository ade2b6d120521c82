"""Matching as tables: an order meets quotes of bid 99 and ask 101 unless they say otherwise."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_venue.matching import Terms, match
from paper_venue.orders import Fill, Order, Request
from trading.fills import Liquidity
from trading.instruments import Instrument
from trading.market import Quote
from trading.money import EXACT
from trading.orders import OrderState
from trading.signals import OrderType, Side, TimeInForce

D = Decimal
BTC = Instrument(
    "BTCUSDT", D("0.01"), D("0.1"), D("0.1"), D("5"), "BTC", "USDT",
    maker_fee=D("0.001"), taker_fee=D("0.002"),
)  # fmt: skip
BY_SIZE = Terms(BTC)
WHOLE = Terms(BTC, sizes=False)
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT = OrderType
GTC, IOC, FOK = TimeInForce
FILLED, PARTLY = OrderState.FILLED, OrderState.PARTIALLY_FILLED
ACCEPTED, CANCELLED = OrderState.ACCEPTED, OrderState.CANCELLED


def order(side: Side, kind: OrderType, quantity: str = "2", **more: Any) -> Order:
    return Order(1, Request("c", "s", "BTCUSDT", side, kind, D(quantity), **more), began=True)


def quote(bid: float = 99, ask: float = 101, size: float = 5) -> Quote:
    return Quote("BTCUSDT", 1, 7, bid, size, ask, size)


def played(
    order: Order, quotes: Sequence[Quote], terms: Terms = BY_SIZE
) -> tuple[Order, list[Fill]]:
    fills = []
    for each in quotes:
        if order.is_open:
            order, fill = match(order, each, terms)
            fills += [fill] if fill else []
    return order, fills


def trades(fills: Sequence[Fill]) -> list[tuple[Decimal, Decimal]]:
    return [(fill.quantity, fill.price) for fill in fills]


def at(*fills: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(D(quantity), D(price)) for quantity, price in fills]


@pytest.mark.parametrize(
    ("side", "kind", "prices", "tif", "quotes", "state", "expected"),
    [
        (BUY, MARKET, {}, GTC, [quote()], FILLED, [("2", "101")]),
        (SELL, MARKET, {}, GTC, [quote()], FILLED, [("2", "99")]),
        (BUY, MARKET, {}, GTC, [quote(size=1.5), quote(ask=102)], FILLED,
         [("1.5", "101"), ("0.5", "102")]),
        (BUY, MARKET, {}, IOC, [quote(size=1.5), quote()], CANCELLED, [("1.5", "101")]),
        (BUY, MARKET, {}, FOK, [quote(size=1.5), quote()], CANCELLED, []),
        (BUY, MARKET, {}, FOK, [quote(size=2)], FILLED, [("2", "101")]),
        (BUY, LIMIT, {"price": D(103)}, GTC, [quote()], FILLED, [("2", "101")]),
        (SELL, LIMIT, {"price": D(97)}, GTC, [quote()], FILLED, [("2", "99")]),
        (BUY, LIMIT, {"price": D(101)}, GTC, [quote()], FILLED, [("2", "101")]),
        (BUY, LIMIT, {"price": D(100)}, GTC, [quote()], ACCEPTED, []),
        (BUY, LIMIT, {"price": D(100)}, GTC, [quote(), quote(97, 98)], FILLED, [("2", "100")]),
        (SELL, LIMIT, {"price": D(100)}, GTC, [quote(), quote(102, 103)], FILLED, [("2", "100")]),
        (BUY, LIMIT, {"price": D(100)}, GTC, [quote(), quote(97, 98, 1)], PARTLY, [("1", "100")]),
        (BUY, LIMIT, {"price": D(102)}, GTC, [quote(size=1), quote(99, 100)], FILLED,
         [("1", "101"), ("1", "100")]),
        (BUY, LIMIT, {"price": D(100)}, IOC, [quote()], CANCELLED, []),
        (BUY, LIMIT, {"price": D(101)}, IOC, [quote(size=1)], CANCELLED, [("1", "101")]),
        (BUY, LIMIT, {"price": D(100)}, FOK, [quote()], CANCELLED, []),
        (BUY, LIMIT, {"price": D(101)}, FOK, [quote(size=1)], CANCELLED, []),
        (BUY, LIMIT, {"price": D(101)}, FOK, [quote()], FILLED, [("2", "101")]),
        (BUY, STOP, {"stop_price": D(102)}, GTC, [quote()], ACCEPTED, []),
        (BUY, STOP, {"stop_price": D(102)}, GTC, [quote(), quote(101, 102)], FILLED,
         [("2", "102")]),
        (SELL, STOP, {"stop_price": D(98)}, GTC, [quote(), quote(97, 98)], FILLED, [("2", "97")]),
        (BUY, STOP, {"stop_price": D(102)}, GTC, [quote(102, 103, 1), quote(98, 99)], FILLED,
         [("1", "103"), ("1", "99")]),
        (BUY, STOP, {"stop_price": D(102)}, IOC, [quote(), quote(102, 103, 1)], CANCELLED,
         [("1", "103")]),
        (BUY, STOP, {"stop_price": D(102)}, FOK, [quote(), quote(102, 103, 1)], CANCELLED, []),
        (BUY, STOP_LIMIT, {"stop_price": D(102), "price": D(103)}, GTC, [quote(102, 103)], FILLED,
         [("2", "103")]),
        (BUY, STOP_LIMIT, {"stop_price": D(102), "price": D(103)}, GTC,
         [quote(103, 104), quote(101, 102)], FILLED, [("2", "103")]),
        (SELL, STOP_LIMIT, {"stop_price": D(98), "price": D(97)}, GTC,
         [quote(95, 96), quote(98, 99)], FILLED, [("2", "97")]),
        (BUY, STOP_LIMIT, {"stop_price": D(102), "price": D(100)}, IOC, [quote(101, 102)],
         CANCELLED, []),
    ],
)  # fmt: skip
def test_every_type_and_time_in_force_fills_by_its_rule(
    side: Side, kind: OrderType, prices: Any, tif: TimeInForce, quotes: list[Quote],
    state: OrderState, expected: list[tuple[str, str]],
) -> None:  # fmt: skip
    after, fills = played(order(side, kind, time_in_force=tif, **prices), quotes)
    assert (after.state, trades(fills)) == (state, at(*expected))


def test_a_marketable_limit_pays_the_takers_fee() -> None:
    _, (fill,) = played(order(BUY, LIMIT, price=D(101)), [quote()])
    assert (fill.liquidity, fill.fee) == (Liquidity.TAKER, D("0.404"))  # 2 * 101 * 0.002


def test_a_resting_limit_pays_the_makers_fee() -> None:
    _, (fill,) = played(order(BUY, LIMIT, price=D(100)), [quote(), quote(97, 98)])
    assert (fill.liquidity, fill.fee) == (Liquidity.MAKER, D("0.2"))  # 2 * 100 * 0.001


@pytest.mark.parametrize(("rate", "fee"), [("0.000000015", "2E-8"), ("0.000000025", "2E-8")])
def test_a_fee_is_rounded_half_even_to_eight_decimals(rate: str, fee: str) -> None:
    terms = Terms(Instrument("X", D(1), D(1), D(1), D(0), "X", "Y", taker_fee=D(rate)))
    _, fill = match(order(BUY, MARKET, "1"), quote(ask=1, bid=1), terms)
    assert fill
    assert fill.fee == D(fee)


def test_a_fee_counts_the_contract_multiplier() -> None:
    multiplied = Instrument("X", D(1), D(1), D(1), D(0), "X", "Y", D(10), taker_fee=D("0.01"))
    _, fill = match(order(BUY, MARKET, "2"), quote(), Terms(multiplied))
    assert fill
    assert fill.fee == D("20.2")  # 2 * 101 * 10 * 0.01


def test_a_fill_has_the_time_of_its_quote() -> None:
    _, (fill,) = played(order(BUY, MARKET), [quote()])
    assert fill.at_ns == quote().at_ns


@pytest.mark.parametrize("terms", [WHOLE, BY_SIZE], ids=["sizes are off", "the size is not told"])
def test_a_fill_is_whole_when(terms: Terms) -> None:
    size = 1 if terms is WHOLE else 0
    _, fills = played(order(BUY, MARKET), [quote(size=size)], terms)
    assert trades(fills) == at(("2", "101"))


def test_a_quoted_size_fills_in_whole_lots() -> None:
    _, fills = played(order(BUY, MARKET), [quote(size=1.2345)])
    assert trades(fills) == at(("1.2", "101"))


def test_a_quote_smaller_than_a_lot_fills_nothing() -> None:
    before = order(BUY, MARKET)
    assert match(before, quote(size=0.05), BY_SIZE) == (before, None)


@pytest.mark.parametrize("price", [1e300, 5e-324])
def test_a_price_beyond_all_markets_touches_no_order(price: float) -> None:
    before = order(BUY, MARKET, time_in_force=IOC)
    assert match(before, quote(price, price), BY_SIZE) == (before, None)


def test_an_order_that_nothing_happens_to_is_the_same_object() -> None:
    resting, _ = match(order(BUY, LIMIT, price=D(100)), quote(), BY_SIZE)
    assert match(resting, quote(), BY_SIZE)[0] is resting


def _prices() -> st.SearchStrategy[Decimal]:
    return st.integers(9_000, 11_000).map(lambda cents: D(cents) / 100)


@st.composite
def _orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderType))
    return order(
        draw(st.sampled_from(Side)), kind, str(draw(st.integers(1, 50))),
        price=draw(_prices()) if kind in (LIMIT, STOP_LIMIT) else None,
        stop_price=draw(_prices()) if kind in (STOP, STOP_LIMIT) else None,
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )  # fmt: skip


_QUOTES = st.lists(
    st.builds(
        lambda bid, spread, size: quote(bid, bid + spread, size),
        st.floats(90, 110),
        st.floats(0, 5),
        st.floats(0, 20),
    ),
    max_size=20,
)


@given(_orders(), _QUOTES)
def test_the_fills_add_up_to_the_order_and_never_beyond_it(asked: Order, quotes: Any) -> None:
    after, fills = played(asked, quotes)
    assert after.filled == sum(fill.quantity for fill in fills) <= asked.request.quantity
    assert (after.state is FILLED) == (after.filled == asked.request.quantity)
    assert after.fee == sum(fill.fee for fill in fills)
    values = [EXACT.multiply(fill.price, fill.quantity) for fill in fills]
    assert after.notional == sum(values, D(0))


@given(_orders(), _QUOTES)
def test_a_limit_is_never_crossed(asked: Order, quotes: Any) -> None:
    limit = asked.request.price
    _, fills = played(asked, quotes)
    if limit is not None:
        assert all((limit - fill.price) * asked.request.side.sign >= 0 for fill in fills)


@given(_orders(), _QUOTES)
def test_fill_or_kill_fills_once_and_whole_or_not_at_all(asked: Order, quotes: Any) -> None:
    _, fills = played(asked, quotes)
    if asked.request.time_in_force is FOK:
        assert [fill.quantity for fill in fills] in ([], [asked.request.quantity])
