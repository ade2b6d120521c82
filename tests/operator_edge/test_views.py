"""What the gateway says, and what of it calls for a look."""

from decimal import Decimal
from typing import Any

import pytest

from market_data import NO_LINK
from strategy_operator.observed import FEED_LOST
from strategy_operator.views import calls_for_a_look, counts_differ, in_flight, view_of
from stratops_api.v1 import risk_gateway_pb2 as pb

POD = "btc-0123456789-1"


def runner(age_s: float = 0.5, **parts: Any) -> pb.RunnerStatus:
    counters = pb.Counters(feed_age_ns=int(age_s * 1e9))
    usual: dict[str, Any] = {
        "instance": f"{POD}.0a1b2c3d",
        "revision": "0123456789",
        "role": "armed",
    }
    return pb.RunnerStatus(**{**usual, "connected": True, **parts}, counters=counters)


def status(*runners: pb.RunnerStatus, **parts: Any) -> pb.StrategyStatus:
    usual: dict[str, Any] = {
        "strategy": "desk/btc",
        "wanted_revision": "0123456789",
        "revision": "0123456789",
    }
    usual |= {"role": "armed", "epoch": 3}
    return pb.StrategyStatus(**{**usual, **parts}, runners=runners or (runner(),))


BEFORE = view_of(status(), "")


def test_a_runner_is_known_by_its_pod() -> None:
    assert BEFORE.runners[0].pod == POD


def test_money_and_positions_are_exact() -> None:
    view = view_of(status(positions={"BTCUSDT": "0.10"}, realized_pnl="-1.25"), "")
    assert (view.positions, view.realized_pnl) == ({"BTCUSDT": Decimal("0.10")}, Decimal("-1.25"))


def test_a_revision_is_armed_only_where_somebody_is() -> None:
    assert view_of(status(role="none"), "").armed == ""


def test_a_feed_that_said_nothing_yet_has_no_age() -> None:
    assert view_of(status(runner(age_s=0)), "").runners[0].feed_age_s is None


def test_a_runner_without_a_link_has_lost_the_feed() -> None:
    lost = runner()
    lost.counters.feed_age_ns = NO_LINK
    assert view_of(status(lost), "").runners[0].feed_age_s == FEED_LOST


@pytest.mark.parametrize(
    "now",
    [
        status(epoch=4),
        status(wanted_revision="aaaaaaaaaa"),
        status(runner(connected=False)),
        status(runner(age_s=5.0)),
        status(runner_pods=["u1"]),
        status(given_up="0123456789"),
        status(flattening="0.1 BTCUSDT"),
    ],
    ids=["epoch", "wanted", "connection", "stale feed", "pods", "given up", "flattening"],
)
def test_what_changes_the_picture_calls_for_a_look(now: pb.StrategyStatus) -> None:
    assert calls_for_a_look(BEFORE, view_of(now, ""))


def test_a_halt_calls_for_a_look() -> None:
    assert calls_for_a_look(BEFORE, view_of(status(), "stop"))


@pytest.mark.parametrize(
    "now",
    [status(signals=9), status(positions={"BTCUSDT": "1"}), status(realized_pnl="2")],
    ids=["signals", "position", "profit"],
)
def test_counts_only_differ(now: pb.StrategyStatus) -> None:
    view = view_of(now, "")
    assert counts_differ(BEFORE, view)
    assert not calls_for_a_look(BEFORE, view)


def test_ticks_and_ages_are_no_news() -> None:
    view = view_of(status(runner(age_s=1.7), ticks=99), "")
    assert not calls_for_a_look(BEFORE, view)
    assert not counts_differ(BEFORE, view)


@pytest.mark.parametrize(
    ("now", "moves"),
    [
        (status(), False),
        (status(role="none"), True),
        (status(wanted_revision="aaaaaaaaaa"), True),
        (status(wanted_revision="aaaaaaaaaa", given_up="aaaaaaaaaa"), False),
        (status(wanted_revision=""), True),
        (status(wanted_revision="", role="none"), False),
        (status(wanted_revision="", role="none", flattening="1 BTCUSDT"), True),
    ],
    ids=["armed", "starting", "handing over", "given up", "disarming", "at rest", "flattening"],
)
def test_something_is_in_flight(now: pb.StrategyStatus, moves: bool) -> None:
    assert in_flight(view_of(now, "")) is moves
