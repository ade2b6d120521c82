"""Performance figures, and where they have no meaning."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.performance import (
    Drawdown,
    drawdown,
    hit_rate,
    max_drawdown,
    performance,
    profit_factor,
    returns,
    sharpe,
    sortino,
    total_return,
    turnover,
)

FELL = [Decimal(value) for value in (100, 120, 90, 110, 99)]
TRADES = [Decimal(value) for value in (30, -10, 0, -5)]


def test_total_return_is_last_over_first() -> None:
    assert total_return(FELL) == Decimal("-0.01")


def test_drawdown_is_from_the_peak_to_the_end() -> None:
    assert drawdown(FELL) == Drawdown(Decimal(21), Decimal(21) / 120)


def test_max_drawdown_is_the_deepest_fall() -> None:
    assert max_drawdown(FELL) == Drawdown(Decimal(30), Decimal("0.25"))


def test_a_fall_from_nothing_has_no_fraction() -> None:
    assert max_drawdown([Decimal(-1), Decimal(-5)]) == Drawdown(Decimal(4), None)


def test_returns_leave_out_what_follows_nothing() -> None:
    assert returns([Decimal(100), Decimal(110), Decimal(0), Decimal(50)]) == [
        pytest.approx(0.1),
        -1.0,
    ]


def test_sharpe_is_mean_over_deviation() -> None:
    assert sharpe([0.1, 0.3]) == pytest.approx(0.2 / 0.02**0.5)  # deviation: sqrt(2 * 0.1²)
    assert sharpe([0.1, 0.3], periods=4) == pytest.approx(2 * 0.2 / 0.02**0.5)


def test_sortino_counts_only_the_falls() -> None:
    assert sortino([0.3, -0.1]) == pytest.approx(0.1 / (0.01 / 2) ** 0.5)


def test_hit_rate_is_the_share_that_gained() -> None:
    assert hit_rate(TRADES) == Decimal("0.25")


def test_profit_factor_is_gains_over_losses() -> None:
    assert profit_factor(TRADES) == 2


def test_turnover_is_traded_over_mean_equity() -> None:
    assert turnover([Decimal(50), Decimal(150)], [Decimal(90), Decimal(110)]) == 2


@pytest.mark.parametrize(
    "figure",
    [
        total_return([]),
        total_return([Decimal(0), Decimal(5)]),
        sharpe([0.1]),
        sharpe([0.1, 0.1]),
        sortino([0.1]),
        sortino([0.1, 0.2]),
        hit_rate([]),
        profit_factor([]),
        profit_factor([Decimal(5)]),
        turnover([Decimal(5)], []),
        turnover([Decimal(5)], [Decimal(0)]),
    ],
)
def test_a_figure_without_meaning_is_none(figure: object) -> None:
    assert figure is None


def test_nothing_has_fallen_by_nothing() -> None:
    assert drawdown([]) == max_drawdown([]) == Drawdown()


def test_all_figures_come_at_once() -> None:
    figures = performance(FELL, TRADES, [Decimal(1038)])
    assert figures.trades == 4
    assert figures.hit_rate == Decimal("0.25")
    assert figures.profit_factor == 2
    assert figures.turnover == 10  # mean equity 103.8
    assert figures.max_drawdown.amount == 30


@given(st.lists(st.decimals("-1000", "1000", places=2)))
def test_any_series_has_figures(equity: list[Decimal]) -> None:
    figures = performance(equity, equity, equity)
    assert figures.max_drawdown.amount >= figures.drawdown.amount >= 0
