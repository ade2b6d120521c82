"""How large a position may be: formulas by hand, and laws."""

from dataclasses import replace
from decimal import Decimal
from math import exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC
from trading.reasons import Reason
from trading.risk import Rejection
from trading.sizing import (
    YEAR_S,
    Basis,
    Sized,
    Sizing,
    SizingMethod,
    annual_volatility,
    sized,
    weight_of,
)

D = Decimal
TENTH = Sizing(SizingMethod.FIXED_FRACTION, cap=D("0.1"), fraction=D("0.1"))
TARGET = Sizing(SizingMethod.VOLATILITY_TARGET, cap=D("0.5"), volatility=D("0.2"))
HALF_KELLY = Sizing(
    SizingMethod.KELLY, cap=D("0.25"), fraction=D("0.5"), win_rate=D("0.6"), payoff=D("1")
)
BASIS = Basis(BTC, equity=D(10_000), price=D(101), weight=D(1), volatility=D("0.8"))  # lots of 0.1


def quantity(sizing: Sizing, basis: Basis = BASIS) -> Decimal:
    found = sized(sizing, basis)
    assert isinstance(found, Sized)
    return found.quantity


def why_not(sizing: Sizing, basis: Basis = BASIS) -> tuple[Reason, str]:
    found = sized(sizing, basis)
    assert isinstance(found, Rejection)
    return found.reason, found.message


def test_a_fixed_fraction_is_that_share_of_equity() -> None:
    assert quantity(TENTH) == D("9.9")  # 1000 / 101 = 9.900..., down to the lot


def test_a_volatility_target_is_target_over_volatility() -> None:
    assert quantity(TARGET) == D("24.7")  # 0.2 / 0.8 = 0.25; 2500 / 101 = 24.75


def test_a_quiet_market_is_sized_by_the_cap() -> None:
    assert quantity(TARGET, replace(BASIS, volatility=D("0.01"))) == D("49.5")  # 5000 / 101


def test_half_kelly_is_half_of_the_edge() -> None:
    assert quantity(HALF_KELLY) == D("9.9")  # (0.6 - 0.4 / 1) / 2 = 0.1


def test_kelly_is_capped() -> None:
    sure = replace(HALF_KELLY, win_rate=D("0.9"))  # (0.9 - 0.1) / 2 = 0.4
    assert quantity(sure) == D("24.7")  # 0.25


def test_confidence_and_size_scale_it() -> None:
    assert quantity(TENTH, replace(BASIS, weight=weight_of(D("0.5"), D("0.5")))) == D("2.4")
    assert weight_of(None, None) == 1


def test_a_contract_of_ten_is_ten_times_as_much() -> None:
    tens = replace(BASIS, instrument=replace(BTC, contract_multiplier=D(10)))
    assert quantity(TENTH, tens) == D("0.9")


@pytest.mark.parametrize(
    ("sizing", "basis", "reason", "message"),
    [
        (TENTH, replace(BASIS, price=None), Reason.NO_PRICE, "no bid and ask of BTCUSDT"),
        (TENTH, replace(BASIS, equity=None), Reason.NO_PRICE,
         "a symbol that is held has no price, equity is unknown"),
        (TENTH, replace(BASIS, equity=D(0)), Reason.NOT_SIZED, "equity 0, expected more than 0"),
        (TARGET, replace(BASIS, volatility=None), Reason.NOT_SIZED,
         "volatility of BTCUSDT: unknown, expected 60 returns of 60 s each"),
        (TARGET, replace(BASIS, volatility=D(0)), Reason.NOT_SIZED,
         "volatility of BTCUSDT: 0, expected a price that moves"),
        (replace(HALF_KELLY, win_rate=D("0.5")), BASIS, Reason.NOT_SIZED,
         "win rate 0.5 at payoff 1: no edge, expected one above 0"),
        (replace(HALF_KELLY, payoff=None), BASIS, Reason.NOT_SIZED,
         "fraction, win rate or payoff: not set, kelly needs them"),
        (replace(TENTH, fraction=None), BASIS, Reason.NOT_SIZED,
         "fraction: not set, fixed_fraction needs it"),
        (replace(TARGET, volatility=None), BASIS, Reason.NOT_SIZED,
         "volatility: not set, volatility_target needs it"),
        (TENTH, replace(BASIS, price=D("1e-300")), Reason.NOT_SIZED,
         "price 1E-300: more lots than any order has"),
    ],
    ids=["price", "equity", "no equity", "volatility", "no volatility", "edge", "payoff",
         "fraction", "target", "a price of nothing"],
)  # fmt: skip
def test_what_is_missing_is_named(
    sizing: Sizing, basis: Basis, reason: Reason, message: str
) -> None:
    assert why_not(sizing, basis) == (reason, message)


def test_volatility_is_the_deviation_of_log_returns_in_a_year() -> None:
    """Prices that go up and down by 1 %: returns of +-0.01, three of them."""
    mids = [D(str(100 * exp(step))) for step in (0, 0.01, 0, 0.01)]
    found = annual_volatility(mids, step_s=60)
    deviation = sqrt(((0.01 - 0.01 / 3) ** 2 * 2 + (-0.01 - 0.01 / 3) ** 2) / 2)
    assert found is not None
    assert float(found) == pytest.approx(deviation * sqrt(YEAR_S / 60))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_return_has_no_deviation(count: int) -> None:
    assert annual_volatility([D(100)] * count, 60) is None


def test_a_price_that_stands_still_has_none() -> None:
    assert annual_volatility([D(100)] * 5, 60) == 0


@given(st.lists(st.floats(1e-12, 1e15), min_size=3, max_size=9))
def test_any_prices_have_a_volatility(prices: list[float]) -> None:
    found = annual_volatility([D(repr(price)) for price in prices], 60)
    assert found is not None
    assert found >= 0
    widest = max(map(log, prices)) - min(map(log, prices))
    assert float(found) <= 2 * widest * sqrt(YEAR_S / 60) + 1e-6


shares = st.decimals("0.001", "1", places=3)
sizings = st.one_of(
    st.builds(lambda f: Sizing(SizingMethod.FIXED_FRACTION, cap=f, fraction=f), shares),
    st.builds(
        lambda cap, v: Sizing(SizingMethod.VOLATILITY_TARGET, cap=cap, volatility=v), shares, shares
    ),
    st.builds(
        lambda cap, f, p, b: Sizing(
            SizingMethod.KELLY, cap=cap, fraction=f, win_rate=p, payoff=b
        ),
        shares, shares, shares, st.decimals("0.01", "100", places=2),
    ),
)  # fmt: skip
bases = st.builds(
    Basis,
    st.builds(
        lambda lot, by: replace(BTC, lot_size=lot, contract_multiplier=by),
        st.decimals("0.00001", "10", places=5),
        st.sampled_from([D(1), D("0.001"), D(100)]),
    ),
    st.decimals("-10", "10000000", places=7),
    st.decimals("0.00000001", "100000", places=8),
    st.decimals("0", "1", places=9),
    st.one_of(st.none(), st.decimals("0", "20", places=12)),
)


def worth(found: Sized, basis: Basis) -> Decimal:
    return found.quantity * found.price * basis.instrument.contract_multiplier


@given(sizings, bases)
def test_it_is_never_worth_more_than_the_cap_and_never_off_the_lot(
    sizing: Sizing, basis: Basis
) -> None:
    found = sized(sizing, basis)
    if isinstance(found, Sized):
        assert worth(found, basis) <= found.equity * sizing.cap * basis.weight
        assert found.quantity >= 0
        assert found.quantity % basis.instrument.lot_size == 0


@given(sizings, bases)
def test_no_lot_more_would_have_fitted(sizing: Sizing, basis: Basis) -> None:
    found = sized(sizing, basis)
    if isinstance(found, Sized):
        more = replace(found, quantity=found.quantity + basis.instrument.lot_size)
        assert worth(more, basis) > found.equity * found.share * basis.weight


@given(sizings, bases, st.decimals("0", "1", places=9))
def test_less_confidence_is_never_more(sizing: Sizing, basis: Basis, weight: Decimal) -> None:
    one, other = sized(sizing, basis), sized(sizing, replace(basis, weight=weight))
    assert isinstance(one, Sized) is isinstance(other, Sized)
    if isinstance(one, Sized) and isinstance(other, Sized):
        assert (one.quantity <= other.quantity) or basis.weight >= weight
        assert (one.quantity >= other.quantity) or basis.weight <= weight


@given(bases, st.decimals("0.01", "20", places=4))
def test_a_wilder_market_is_never_sized_larger(basis: Basis, wilder: Decimal) -> None:
    if basis.volatility and basis.equity is not None and basis.equity > 0:
        calm = quantity(TARGET, basis)
        assert quantity(TARGET, replace(basis, volatility=basis.volatility + wilder)) <= calm
