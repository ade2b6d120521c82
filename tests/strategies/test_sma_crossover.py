import csv
import gzip
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy_library.sma_crossover import SmaCrossover
from strategy_sdk.parameters import validate
from strategy_sdk.rehearsal import Rehearsal
from trading.signals import Side

Quote = tuple[str, str]


def expected_orders(quotes: list[Quote], short: int, long: int) -> list[tuple[int, Side]]:
    """The definition, word for word, in exact fractions: (index of the tick, side)."""
    mids = [(Fraction(bid) + Fraction(ask)) / 2 for bid, ask in quotes]
    orders, is_long, before = [], False, None
    for at in range(long - 1, len(mids)):
        window = mids[at - long + 1 : at + 1]
        state = sum(window[-short:]) / Fraction(short) > sum(window) / Fraction(long)
        if before is not None and state != before and state != is_long:
            is_long = state
            orders.append((at, Side.BUY if state else Side.SELL))
        before = state
    return orders


def orders_of(quotes: list[Quote], **parameters: object) -> list[tuple[int, Side]]:
    rehearsal = Rehearsal(SmaCrossover(**parameters))
    for bid, ask in quotes:
        rehearsal.tick(float(bid), float(ask))
    return [(signal.cause.sequence - 1, signal.side) for signal in rehearsal.signals]


cents = st.integers(6_183_700, 6_183_760)
prices = st.tuples(cents, st.integers(1, 3)).map(
    lambda pair: (f"{pair[0] / 100:.2f}", f"{(pair[0] + pair[1]) / 100:.2f}")
)


@given(st.lists(prices, min_size=10, max_size=80), st.integers(1, 4), st.integers(1, 6))
def test_orders_are_those_of_the_definition(quotes: list[Quote], short: int, more: int) -> None:
    expected = expected_orders(quotes, short, short + more)
    assert orders_of(quotes, short_period=short, long_period=short + more) == expected


def sample(symbol: str) -> list[Quote]:
    file = files("market_feed") / "sample" / f"quotes_{symbol}_20240808.csv.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    return [(row["bid_price"], row["ask_price"]) for row in csv.DictReader(lines)]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_orders_on_real_quotes_are_those_of_the_definition(symbol: str) -> None:
    quotes = sample(symbol)[:6000]
    expected = expected_orders(quotes, 5, 20)
    assert orders_of(quotes) == expected
    assert len(expected) > 20


def test_most_states_of_real_quotes_are_exact_ties_or_count_as_none() -> None:
    rehearsal = Rehearsal(strategy := SmaCrossover())
    ties = 0
    for bid, ask in sample("BTCUSDT")[:2000]:
        rehearsal.tick(float(bid), float(ask))
        seen = strategy.averages["BTCUSDT"]
        ties += seen.above is False and 20 * seen.short_sum == 5 * seen.long_sum
    assert ties > 500


FLAT, UP, DOWN = ("100", "100"), ("110", "110"), ("90", "90")


def test_the_first_state_is_only_remembered() -> None:
    assert orders_of([FLAT] * 3 + [UP], short_period=1, long_period=4) == []


def test_a_change_to_true_buys_and_one_to_false_sells() -> None:
    quotes = [FLAT] * 4 + [UP, DOWN]
    expected = [(4, Side.BUY), (5, Side.SELL)]
    assert orders_of(quotes, short_period=1, long_period=4) == expected


def test_a_reversal_before_the_fill_is_not_lost() -> None:
    rehearsal = Rehearsal(SmaCrossover(short_period=1, long_period=4), fills=False)
    for bid, ask in [FLAT] * 4 + [UP, DOWN]:
        rehearsal.tick(float(bid), float(ask))
    assert [signal.side for signal in rehearsal.signals] == [Side.BUY, Side.SELL]


def test_with_allow_short_one_order_moves_from_one_side_to_the_other() -> None:
    strategy = SmaCrossover(short_period=1, long_period=4, quantity="2", allow_short=True)
    rehearsal = Rehearsal(strategy)
    for bid, ask in [FLAT] * 4 + [UP, DOWN, UP]:
        rehearsal.tick(float(bid), float(ask))
    quantities = [signal.quantity * signal.side.sign for signal in rehearsal.signals]
    assert quantities == [Decimal(2), Decimal(-4), Decimal(4)]


def test_the_short_period_is_the_shorter_one() -> None:
    (problem,) = validate(SmaCrossover, {"short_period": 20})
    assert str(problem) == "short_period: 20, expected less than long_period, which is 20"
