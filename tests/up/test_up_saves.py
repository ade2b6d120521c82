"""What saving a manifest does to a desk that runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stratops_api.v1 import risk_gateway_pb2 as pb
from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
OLD, NEW = manifest("probe"), manifest("probe", version="2.0.0")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(OLD)
    return path


def revision(desk: pb.Desk, name: str = "probe") -> str:
    return strategy(desk, name).revision


async def trading(up: Up) -> pb.Desk:
    return await up.until(lambda desk: strategy(desk, "probe").fills > 0)


async def test_a_new_revision_takes_over_without_a_restart(start_up: StartUp, saved: Path) -> None:
    up = start_up("-f", str(saved), "--speed", "2", "-o", "json")
    before = revision(await trading(up))
    saved.write_text(NEW)
    after = await up.until(lambda desk: revision(desk) not in ("", before))
    await up.until(lambda desk: desk.fills > after.fills)
    await up.until(lambda desk: len(strategy(desk, "probe").runners) == 1)
    up.stop()
    report = up.report()
    assert report["handovers"] == 1
    assert report["restarts"] == 0
    assert report["ledger_equals_venue"], report["differences"]
    assert any(notice["kind"] == "switched" for notice in report["notices"])


async def test_an_invalid_save_changes_nothing_and_is_shown(start_up: StartUp, saved: Path) -> None:
    up = start_up("-f", str(saved), "--speed", "2", "-o", "json")
    before = await trading(up)
    saved.write_text(OLD.replace("short_period: 5", "short_perod: 5"))
    await up.until_true(lambda: "short_perod" in up.err)
    after = await up.until(lambda desk: desk.fills > before.fills)
    assert revision(after) == revision(before)
    up.stop()
    report = up.report()
    assert "did you mean short_period" in report["problems"]["manifests"]
    assert report["handovers"] == 0


async def test_a_mended_manifest_clears_the_error(start_up: StartUp, saved: Path) -> None:
    up = start_up("-f", str(saved), "--speed", "2", "-o", "json")
    before = revision(await trading(up))
    saved.write_text("kind: Strategy\n")
    await up.until_true(lambda: "invalid_manifest" in up.err)
    saved.write_text(NEW)
    await up.until(lambda desk: revision(desk) not in ("", before))
    up.stop()
    assert up.report()["problems"] == {}


async def test_a_comment_changes_nothing(start_up: StartUp, saved: Path) -> None:
    up = start_up("-f", str(saved), "--speed", "2", "-o", "json")
    before = await trading(up)
    saved.write_text(OLD + "# a comment\n")
    after = await up.until(lambda desk: desk.fills > before.fills + 2)
    assert strategy(after, "probe").epoch == strategy(before, "probe").epoch
    up.stop()
    assert up.report()["handovers"] == 0


async def test_a_strategy_may_be_added_and_removed(start_up: StartUp, saved: Path) -> None:
    up = start_up("-f", str(saved), "--speed", "2", "-o", "json")
    await trading(up)
    saved.write_text(OLD + "---\n" + manifest("second"))
    await up.until(lambda desk: strategy(desk, "second").role == "armed")
    saved.write_text(manifest("second"))
    await up.until(lambda desk: strategy(desk, "probe").role != "armed")
    await up.until_true(lambda: sum("@" in name for name in up.consumers()) == 1)
    up.stop()
    assert up.report()["restarts"] == 0
