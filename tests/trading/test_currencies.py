"""What amounts of several currencies are worth in the desk's, and when nobody knows."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC
from trading.currencies import Currencies, Exchange, Leg, way
from trading.instruments import Instrument
from trading.market import Market, Touch
from trading.money import EXACT


def spot(symbol: str, base: str, quote: str, **more: object) -> Instrument:
    named = replace(BTC, symbol=symbol, base_currency=base, quote_currency=quote)
    return replace(named, **more)  # type: ignore[arg-type]  # by name


BTCUSDT = spot("BTCUSDT", "BTC", "USDT")
ETHBTC = spot("ETHBTC", "ETH", "BTC")
ETHUSDT = spot("ETHUSDT", "ETH", "USDT")
USDTDAI = spot("USDTDAI", "USDT", "DAI")
CATALOGUE = {each.symbol: each for each in (BTCUSDT, ETHBTC, ETHUSDT, USDTDAI)}
SECOND_NS = 10**9


def market_of(**mids: str) -> Market:
    touches = {symbol: Touch(Decimal(mid), Decimal(mid)) for symbol, mid in mids.items()}
    return touches.get


# ---- by which symbols


@pytest.mark.parametrize(
    ("symbols", "currency", "expected"),
    [
        ((BTCUSDT, ETHBTC), "BTC", (Leg("BTCUSDT"),)),
        ((USDTDAI,), "DAI", (Leg("USDTDAI", inverse=True),)),
        ((BTCUSDT, ETHBTC), "ETH", (Leg("ETHBTC"), Leg("BTCUSDT"))),
        ((BTCUSDT, ETHBTC, ETHUSDT), "ETH", (Leg("ETHUSDT"),)),
        ((spot("B", "BTC", "USDT"), spot("A", "BTC", "USDT")), "BTC", (Leg("A"),)),
        ((spot("A", "USDT", "BTC"), BTCUSDT), "BTC", (Leg("BTCUSDT"),)),
        ((BTCUSDT,), "BNB", None),
        ((replace(BTCUSDT, contract_multiplier=Decimal(10)),), "BTC", None),
    ],
    ids=[
        "a symbol of the two",
        "the inverse of one",
        "over one common currency",
        "one symbol rather than two",
        "by name where two are alike",
        "no inverse where there is another",
        "no symbol names it",
        "a contract is no rate",
    ],
)
def test_the_symbols_of_a_rate_are_chosen_by_a_rule(
    symbols: tuple[Instrument, ...], currency: str, expected: tuple[Leg, ...] | None
) -> None:
    assert way(symbols, currency, "USDT") == expected


@given(order=st.permutations(list(CATALOGUE.values())), currency=st.sampled_from(["BTC", "ETH"]))
def test_the_choice_does_not_depend_on_the_catalogues_order(
    order: list[Instrument], currency: str
) -> None:
    assert way(order, currency, "USDT") == way(CATALOGUE.values(), currency, "USDT")


def test_a_symbol_that_is_not_heard_is_no_rate() -> None:
    desk = Currencies.of("USDT", CATALOGUE, heard={"ETHBTC", "BTCUSDT"})
    assert desk.ways["ETH"] == (Leg("ETHBTC"), Leg("BTCUSDT"))


def test_a_desk_that_does_not_say_its_currency_counts_everything_as_one() -> None:
    assert Currencies.of("", CATALOGUE) == Currencies()


def test_only_symbols_of_other_currencies_are_converted() -> None:
    assert Currencies.of("USDT", CATALOGUE).quotes == {"ETHBTC": "BTC", "USDTDAI": "DAI"}


# ---- by how much


def exchange(market: Market, *currencies: str, own: str = "USDT") -> Exchange:
    return Currencies.of(own, CATALOGUE).exchange("", currencies, market, 5 * SECOND_NS)


def test_a_rate_is_the_mid_or_what_mids_make_of_it() -> None:
    found = exchange(market_of(BTCUSDT="60000", ETHUSDT="3000", USDTDAI="1.25"), "BTC", "DAI")
    assert [(each.currency, each.rate) for each in found.rates] == [
        ("BTC", Decimal(60000)),
        ("DAI", Decimal("0.8")),  # 1 / 1.25
    ]


def test_what_has_no_rate_is_worth_nothing_that_is_known() -> None:
    found = exchange(market_of(), "BTC")
    assert found.worth(Decimal(1), "BTC") is None
    assert found.missing == "BTC: BTCUSDT has no bid and ask"


def test_an_old_mid_is_no_rate() -> None:
    old = Touch(Decimal(1), Decimal(1), 6 * SECOND_NS)
    found = exchange({"BTCUSDT": old}.get, "BTC")
    assert (found.rate("BTC"), found.missing) == (None, "BTC: BTCUSDT has age 6.000 s")


def test_crossed_prices_are_no_rate() -> None:
    crossed = Touch(Decimal(2), Decimal(1))
    assert exchange({"BTCUSDT": crossed}.get, "BTC").rate("BTC") is None


def test_a_total_of_which_a_part_is_unknown_is_unknown() -> None:
    amounts = {"": Decimal(100), "BTC": Decimal(1)}
    assert exchange(market_of(), "BTC").total(amounts) is None


AMOUNTS = st.decimals(-(10**9), 10**9, places=8)
PRICES = st.decimals("0.00000001", 10**6, places=8).map(str)


@given(parts=st.lists(AMOUNTS, max_size=8), btc=PRICES)
def test_a_whole_is_worth_what_its_parts_are(parts: list[Decimal], btc: str) -> None:
    found, whole, together = exchange(market_of(BTCUSDT=btc), "BTC"), Decimal(0), Decimal(0)
    for part in parts:
        worth = found.worth(part, "BTC")
        assert worth is not None
        whole, together = EXACT.add(whole, part), EXACT.add(together, worth)
    assert found.worth(whole, "BTC") == together


@given(amounts=st.dictionaries(st.sampled_from(["", "BTC", "DAI", "USDT"]), AMOUNTS), dai=PRICES)
def test_a_total_is_the_sum_of_what_each_is_worth(amounts: dict[str, Decimal], dai: str) -> None:
    found = exchange(market_of(BTCUSDT="60000", USDTDAI=dai), "BTC", "DAI")
    each = [found.worth(amount, currency) for currency, amount in amounts.items()]
    expected = Decimal(0)
    for worth in each:
        assert worth is not None
        expected = EXACT.add(expected, worth)
    assert found.total(amounts) == expected


@given(amount=AMOUNTS, price=PRICES)
def test_there_and_back_is_where_one_began(amount: Decimal, price: str) -> None:
    """But for one rounding, at the 34th digit of the inverse."""
    market = market_of(BTCUSDT=price)
    there = exchange(market, "BTC").worth(amount, "BTC")
    back = exchange(market, "USDT", own="BTC").worth(there, "USDT")
    assert back is not None
    assert abs(EXACT.subtract(back, amount)) <= EXACT.multiply(abs(amount), Decimal("1e-33"))
