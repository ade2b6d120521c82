"""What the screen and the report show of a desk. Pure: from values to text."""

from typing import Any

from stratops.notices import Kind, Notices
from stratops.report import Seen, document
from stratops.screen import View, line, plain
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2

SIGNAL = pb.Signal(
    action=pb.ACTION_ORDER,
    symbol="BTCUSDT",
    side=types_pb2.SIDE_BUY,
    order_type=types_pb2.ORDER_TYPE_LIMIT,
    quantity="0.1",
    price="61000",
)


def desk(**status: Any) -> pb.Desk:
    known: dict[str, Any] = {"strategy": "probe", "role": "armed", "revision": "new", "epoch": 2}
    return pb.Desk(strategies=[pb.StrategyStatus(**known | status)])


def shown(desk: pb.Desk, **more: Any) -> str:
    return plain(View("run-1", 5.0, desk, **more))


def test_a_hand_over_is_two_runners_with_their_roles() -> None:
    old = pb.RunnerStatus(revision="old", role="armed", phase=pb.PHASE_ARMED, epoch=1)
    new = pb.RunnerStatus(revision="new", role="standby", phase=pb.PHASE_FOLLOW, ready=True)
    text = shown(desk(runners=[old, new]))
    assert "armed" in text
    assert "standby (follow, ready)" in text


def test_a_runner_that_starts_is_shown_before_the_gateway_knows_it() -> None:
    assert "starting  revision next" in shown(desk(), starting={"probe": ["next"]})


def test_a_signal_is_shown_with_its_verdict_and_reason() -> None:
    refused = pb.Verdict(reason=types_pb2.REASON_MAX_ORDER_VALUE, message="6100 of 50")
    text = shown(desk(recent=[pb.RecentSignal(signal=SIGNAL, verdict=refused)]))
    assert "buy 0.1 BTCUSDT limit at 61000  max_order_value 6100 of 50" in text


def test_nobody_armed_is_shown_with_its_reason() -> None:
    text = shown(desk(role="none", none_reason="armed_lost", runners=[]))
    assert "no runner: armed_lost" in text


def test_a_halt_cannot_be_overlooked() -> None:
    assert "HALTED: news" in shown(pb.Desk(halted="news"))


def test_problems_stand_above_the_strategies() -> None:
    text = shown(desk(), problems={"manifests": "probe.yaml:3: wrong"})
    assert 0 < text.index("probe.yaml:3: wrong") < text.index("position flat")


def test_an_unknown_mark_is_not_shown_as_zero() -> None:
    assert "unrealised unknown" in shown(desk(unrealized_pnl=""))


def test_money_is_shown_to_the_cent_and_a_flat_position_as_flat() -> None:
    text = shown(desk(realized_pnl="1234.567800000", positions={"BTCUSDT": "0.00000"}))
    assert "realised 1,234.57" in text
    assert "position flat" in text


def test_text_of_a_strategy_is_no_markup() -> None:
    assert "[bold]x" in shown(desk(none_reason="[bold]x", role="none"))


def test_a_line_stands_for_the_screen_in_a_log() -> None:
    assert line(View("run-1", 5.0, None)) == "5 s  the gateway does not answer yet"
    assert "probe new/2 0 fills flat" in line(View("run-1", 5.0, desk()))


def test_a_report_without_a_comparison_does_not_claim_one() -> None:
    report = document(Seen("run-1", desk(), {}))
    assert report["ledger_equals_venue"] is False
    assert report["differences"] == ["ledger and venue were not compared"]


def test_ticks_expected_counts_the_strategys_own_symbols_only() -> None:
    feed = {"streams": {"BTCUSDT/tick": {"count": 5}, "BTCUSDT/book": {"count": 2},
                        "ETHUSDT/tick": {"count": 9}}}  # fmt: skip
    report = document(Seen("run-1", desk(), feed, symbols={"probe": ["BTCUSDT"]}))
    assert report["strategies"]["probe"]["ticks_expected"] == 7


def test_a_report_has_numbers_without_padding() -> None:
    report = document(Seen("run-1", desk(realized_pnl="10.500", positions={"X": "100"}), {}))
    assert report["strategies"]["probe"]["realized_pnl"] == "10.5"
    assert report["strategies"]["probe"]["position"] == {"X": "100"}


def test_notices_and_problems_are_in_the_report() -> None:
    notices = Notices()
    notices.say(Kind.DIED, "gateway", "killed by SIGKILL")
    notices.stands("manifests", "wrong")
    report = document(Seen("run-1", None, {}, notices=notices.all, problems=notices.problems))
    assert report["notices"][0]["kind"] == "died"
    assert report["problems"] == {"manifests": "wrong"}
