"""What the screen and the report show of a desk. Pure: from values to text."""

from io import StringIO
from typing import Any

from rich.console import Console

from stratops.notices import Kind, Notices
from stratops.report import Seen, document
from stratops.screen import View, line, plain, summary
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
    assert "buy 0.1 BTCUSDT limit at 61000  max_order_value: 6100 of 50" in text


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


def test_a_loss_below_a_cent_is_no_minus_zero() -> None:
    assert "realised 0.00" in shown(desk(realized_pnl="-0.001"))


def test_a_withdrawn_strategy_is_one_line_below_those_that_trade() -> None:
    gone = pb.StrategyStatus(strategy="old", none_reason="withdrawn", realized_pnl="7")
    both = pb.Desk(strategies=[gone, *desk().strategies])
    text = shown(both)
    assert 0 < text.index("position flat") < text.index("old is withdrawn: flat   realised 7.00")
    assert "old" not in line(View("run-1", 5.0, both))


def test_a_withdrawn_strategy_that_still_holds_something_keeps_its_box() -> None:
    text = shown(desk(role="none", none_reason="withdrawn", positions={"BTCUSDT": "1"}))
    assert "position 1 BTCUSDT" in text


def test_who_asks_from_outside_is_not_told_how_long_the_desk_is_up() -> None:
    text = plain(View("run-1", None, desk()))
    assert "up " not in text
    assert "/s" not in text


def test_the_summary_tells_what_was_refused_and_what_was_not_replayed() -> None:
    seen = Seen("run-1", desk(rejected={"no_mark": 48}), {"bad_rows": {"quotes.csv": 1}})
    console = Console(width=120, file=StringIO())
    with console.capture() as captured:
        console.print(summary(document(seen)))
    assert "probe: rejected no_mark 48" in captured.get()
    assert "quotes.csv: rows left out 1" in captured.get()


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
