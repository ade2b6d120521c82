"""A desk on the sample: it trades, agrees with its venue, and says so in one document."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]


async def test_the_example_desk_trades_the_sample(start_up: StartUp) -> None:
    up = start_up("--speed", "10", "-o", "json")
    await up.until(lambda desk: float(strategy(desk, "sma-crossover").realized_pnl or 0) != 0)
    up.stop()
    report = up.report()
    strategies = report["strategies"]
    assert report["ledger_equals_venue"], report["differences"]
    assert set(strategies) == {"momentum", "sma-crossover"}
    assert strategies["sma-crossover"]["fills"] > 0
    assert float(strategies["sma-crossover"]["realized_pnl"]) != 0
    assert report["restarts"] == 0


async def test_stdout_is_one_document_and_the_rest_goes_to_stderr(start_up: StartUp) -> None:
    up = start_up("--speed", "10", "-o", "json")
    await up.until_true(lambda: "deployed sma-crossover" in up.err)
    up.stop()
    report = up.report()
    assert json.loads(up.out) == report


async def test_every_tick_of_the_replay_reaches_every_strategy(start_up: StartUp) -> None:
    report = start_up("--speed", "max", "-o", "json").report(deadline_s=300)
    assert report["feed"]["ended"]
    assert report["feed"]["received_by_gateway"] == report["feed"]["published"]
    for one in report["strategies"].values():
        assert one["ticks"] == one["ticks_expected"] > 0
    assert report["ledger_equals_venue"], report["differences"]


async def test_positions_go_on_in_the_next_run(start_up: StartUp) -> None:
    first = start_up("--speed", "10", "-o", "json")
    await first.until(lambda desk: strategy(desk, "sma-crossover").fills > 0)
    first.stop()
    before = first.report()["strategies"]["sma-crossover"]
    again = start_up("--speed", "10", "-o", "json", session="again")
    desk = await again.until(lambda desk: strategy(desk, "sma-crossover").epoch > before["epoch"])
    assert strategy(desk, "sma-crossover").fills >= before["fills"] > 0


async def test_a_manifest_that_is_wrong_starts_nothing(start_up: StartUp, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(manifest("probe", "{builtin: sma_crossovr}"))
    up = start_up("-f", str(wrong), "-o", "json")
    assert up.process.wait(120) == 1
    assert up.out == ""
    assert "wrong.yaml" in up.err
    assert "sma_crossover" in up.err


async def test_a_file_that_is_no_market_data_starts_nothing(
    start_up: StartUp, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.csv"
    notes.write_text("hello\n")
    up = start_up("--data", str(notes))
    assert up.process.wait(120) == 1
    assert "feed does not start" in up.err
    assert "notes.csv:1: header 'hello', expected one of: book" in up.err


async def test_two_desks_do_not_share_a_folder(start_up: StartUp) -> None:
    first = start_up("--for", "600s")
    await first.until(lambda desk: True)
    second = start_up()
    assert second.process.wait(120) == 1
    assert "another `stratops up` runs in this folder" in second.err
