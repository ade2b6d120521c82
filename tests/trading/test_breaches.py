"""Limits that are exceeded by what stands, and what a policy may have done about it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.breaches import (
    CAN_BE_BREACHED,
    Answer,
    BreachAction,
    Stock,
    Worth,
    breaches,
    excess,
    kept,
    parse_actions,
    sterner,
    together,
)
from trading.exposure import Exposure
from trading.instruments import Instrument
from trading.limits import UNBOUNDED, InvalidLimits, Limits, parse_bounds
from trading.reasons import Reason
from trading.risk import UNLISTED, Request
from trading.rules import (
    balance_reaches_the_minimum,
    concentration_stays_within_limit,
    daily_loss_stays_within_limit,
    drawdown_stays_within_limit,
    gross_exposure_stays_within_limit,
    net_exposure_stays_within_limit,
    position_stays_within_limit,
)
from trading.signals import Cause, Side, Signal
from trading.standings import ACTIVE

D = Decimal
CALM = Worth(D(1_000), D(1_000), {"BTCUSDT": Stock(D(2), D(0), D(100))}, D(1_000), D(1_000))
LOT = Instrument("BTCUSDT", D("0.01"), D("0.1"), D("0.1"), D(5), "BTC", "USDT")


def found(worth: Worth, **limits: Any) -> list[str]:
    bounds = parse_bounds(limits)
    return [each.message for each in breaches(bounds, worth, limits)]


@pytest.mark.parametrize(
    ("worth", "limits", "says"),
    [
        (replace(CALM, equity=D(899)), {"max_daily_loss": 100},
         "equity 899, 1000 at the day's start, allowed is a loss of 100"),
        (replace(CALM, equity=D(899)), {"max_drawdown": "0.1"},
         "equity 899 from a peak of 1000, allowed is 0.1"),
        (replace(CALM, peak=D(0)), {"max_drawdown": "0.1"},
         "equity 1000 from a peak of 0, allowed is 0.1"),
        (replace(CALM, equity=D(899)), {"min_account_balance": 900},
         "balance 1000, equity 899, at least 900"),
        (CALM, {"max_gross_exposure": 199}, "gross exposure is 200, allowed is 199"),
        (CALM, {"max_net_exposure": 199}, "net exposure is 200, allowed is 199"),
        (CALM, {"max_concentration": "0.1"},
         "BTCUSDT is worth 200 of an equity of 1000, allowed is 0.1"),
        (CALM, {"max_position_size": 1}, "position of BTCUSDT is 2, allowed is 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_is_beyond_a_limit_is_a_breach(
    worth: Worth, limits: dict[str, Any], says: str
) -> None:
    assert found(worth, **limits) == [says]


def test_what_is_at_a_limit_is_none() -> None:
    at = replace(CALM, equity=D(900), balance=D(900))
    assert not found(
        at, max_daily_loss=100, max_drawdown="0.1", min_account_balance=900,
        max_gross_exposure=200, max_net_exposure=200, max_concentration="0.23",
        max_position_size=2,
    )  # fmt: skip


def test_what_is_not_known_is_none() -> None:
    dark = Worth(None, D(0), {"BTCUSDT": Stock(D(2))}, D(1_000), D(1_000))
    limits = dict.fromkeys(CAN_BE_BREACHED - {"max_position_size"}, 0) | {"min_account_balance": 9}
    assert not found(dark, **limits)


def test_what_no_policy_acts_on_is_not_looked_at() -> None:
    lost = replace(CALM, equity=D(0))
    assert not breaches(replace(UNBOUNDED, max_daily_loss=D(1)), lost, ["max_net_exposure"])


def test_a_short_of_one_strategy_is_no_room_for_a_long_of_another() -> None:
    other = replace(CALM, held={"BTCUSDT": Stock(D(0), D(3), D(100))})
    both = together([CALM, other])
    assert (both.gross, both.net, both.equity) == (D(500), D(100), D(2_000))
    assert found(both, max_position_size=2) == ["position of BTCUSDT is 3, allowed is 2"]


def test_only_the_symbols_that_are_too_much_are_named() -> None:
    held = {"BTCUSDT": Stock(D(2), D(0), D(100)), "ETHUSDT": Stock(D(1), D(0), D(10))}
    limits = replace(UNBOUNDED, max_concentration=D("0.1"))
    (breach,) = breaches(limits, replace(CALM, held=held), CAN_BE_BREACHED)
    assert breach.symbols == ("BTCUSDT",)


# ---- the laws: a breach is what the check would refuse any order for


MONEY = st.decimals("-1000", "1000", places=1)
POSITIVE = st.decimals("0.1", "1000", places=1)
WORTHS = st.builds(
    lambda equity, balance, long, short, unit, day_start, peak: Worth(
        equity, balance, {"BTCUSDT": Stock(long, short, unit)}, day_start, peak
    ),
    MONEY, MONEY, POSITIVE, st.just(D(0)), POSITIVE, MONEY, MONEY,
)  # fmt: skip
RULES = {
    "max_daily_loss": daily_loss_stays_within_limit,
    "max_drawdown": drawdown_stays_within_limit,
    "min_account_balance": balance_reaches_the_minimum,
    "max_position_size": position_stays_within_limit,
    "max_gross_exposure": gross_exposure_stays_within_limit,
    "max_net_exposure": net_exposure_stays_within_limit,
    "max_concentration": concentration_stays_within_limit,
}


def asked(worth: Worth, limits: Limits) -> Request:
    """An order that adds nothing."""
    stock = worth.held["BTCUSDT"]
    cause = Cause("BTCUSDT", "tick", 1, 0)
    signal = Signal(
        id="x", symbol="BTCUSDT", side=Side.BUY, quantity=D(0), cause=cause, at_ns=0
    )  # fmt: skip
    assert worth.gross is not None
    assert worth.net is not None
    return Request(
        signal=signal, strategy="s", revision="", epoch=1, now_ns=0, stand=ACTIVE, limits=limits,
        symbols=frozenset(["BTCUSDT"]), instrument=UNLISTED, touch=None, max_quote_age_ns=1,
        quantity=D(0), position=stock.long, reducible=D(0), closable=D(0), reached=stock.long,
        closing=False, balance=worth.balance, equity=worth.equity, day_start=worth.day_start,
        peak=worth.peak, left_this_second=1, left_this_minute=1, open_orders=0,
        exposure=Exposure(worth.gross, worth.net, worth.gross),
    )  # fmt: skip


def test_every_limit_that_can_be_breached_has_its_check() -> None:
    assert RULES.keys() == CAN_BE_BREACHED


@given(st.sampled_from(sorted(CAN_BE_BREACHED)), WORTHS, POSITIVE)
def test_a_breach_is_what_the_check_of_that_limit_refuses(
    name: str, worth: Worth, bound: Decimal
) -> None:
    limits = parse_bounds({name: bound / 1000 if name == "max_drawdown" else bound})
    refused = RULES[name](asked(worth, limits))
    breach = next(iter(breaches(limits, worth, [name])), None)
    assert (breach is None) == (refused is None)
    if breach is not None and refused is not None:
        assert refused.reason is Reason(breach.limit)


@given(st.sampled_from(sorted(CAN_BE_BREACHED - {"max_drawdown"})), WORTHS)
def test_a_limit_that_does_not_bound_is_never_breached(name: str, worth: Worth) -> None:
    assert not breaches(UNBOUNDED, worth, [name])


# ---- by how much


@given(st.decimals("-99", "99", places=3), st.decimals("0.01", "1", places=2))
def test_a_share_is_closed_in_whole_lots_and_never_more_than_it_is(
    held: Decimal, share: Decimal
) -> None:
    left = kept(held, share, LOT)
    assert left * held >= 0
    closed = abs(held) - abs(left)
    assert closed % LOT.lot_size == 0
    assert abs(held) * share - LOT.lot_size < closed <= abs(held) * share


@pytest.mark.parametrize(
    ("held", "most", "beyond"),
    [("3", "1", "2"), ("-3", "-1", "-2"), ("1", "3", "0"), ("3", "0", "3"), ("-3", "2", "-3"),
     ("0", "2", "0")],
)  # fmt: skip
def test_what_is_beyond_a_position(held: str, most: str, beyond: str) -> None:
    assert excess(D(held), D(most)) == D(beyond)


# ---- as policies write them


def test_actions_are_read_as_a_policy_has_them() -> None:
    written = {
        "max_daily_loss": {"action": "pause", "untilNextDay": True},
        "max_gross_exposure": {"action": "reduce", "share": "0.5"},
        "max_drawdown": {"action": "stop"},
    }
    assert parse_actions("the desk", written) == {
        "max_daily_loss": Answer(BreachAction.PAUSE, until_next_day=True),
        "max_gross_exposure": Answer(BreachAction.REDUCE, D("0.5")),
        "max_drawdown": Answer(BreachAction.STOP),
    }


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([], "actions of the desk: \\[\\], expected an object"),
        ({"max_orders_per_second": {"action": "stop"}}, "max_orders_per_second of the desk: exp"),
        ({"max_drawdown": "stop"}, "expected action, share and untilNextDay"),
        ({"max_drawdown": {"action": "stop", "when": 1}}, "expected action, share and until"),
        ({"max_drawdown": {"action": "explode"}}, "'explode', expected one of alert, pause"),
        ({"max_drawdown": {}}, "None, expected one of alert"),
        ({"max_drawdown": {"action": ["stop"]}}, "expected one of alert"),
        ({"max_drawdown": {"action": "stop", "untilNextDay": True}}, "of max_daily_loss only"),
        ({"max_daily_loss": {"action": "stop", "untilNextDay": "yes"}}, "'yes', expected true"),
        ({"max_drawdown": {"action": "stop", "share": 0.5}}, "share 0.5, expected one with red"),
        ({"max_drawdown": {"action": "reduce"}}, "share None, expected one with reduce"),
        ({"max_drawdown": {"action": "reduce", "share": 0}}, "share 0, expected more than 0"),
        ({"max_drawdown": {"action": "reduce", "share": "1.1"}}, "expected more than 0, at most"),
        ({"max_drawdown": {"action": "reduce", "share": "NaN"}}, "'NaN', expected more than 0"),
        ({"max_drawdown": {"action": "reduce", "share": True}}, "True, expected more than 0"),
        ({"max_drawdown": {"action": "reduce", "share": "x"}}, "'x', expected more than 0"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_by_name(written: Any, says: str) -> None:
    with pytest.raises(InvalidLimits, match=says):
        parse_actions("the desk", written)


def test_of_two_policies_the_sterner_holds() -> None:
    mild = {
        "max_drawdown": Answer(BreachAction.PAUSE),
        "max_daily_loss": Answer(BreachAction.ALERT),
    }
    stern = {"max_drawdown": Answer(BreachAction.STOP)}
    assert sterner(mild, stern) == sterner(stern, mild) == {
        "max_drawdown": Answer(BreachAction.STOP), "max_daily_loss": Answer(BreachAction.ALERT),
    }  # fmt: skip


def test_an_action_that_closes_nothing_makes_no_share_larger() -> None:
    mild, stern = Answer(BreachAction.ALERT), Answer(BreachAction.REDUCE, Decimal("0.3"))
    assert sterner({"a": mild}, {"a": stern}) == sterner({"a": stern}, {"a": mild}) == {"a": stern}
