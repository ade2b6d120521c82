"""`stratops init`: what it writes runs at once."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stratops.check import check
from stratops.init import CannotCreate, class_name, create, init_command

app = typer.Typer()
app.command()(init_command)


def test_its_manifest_is_right(tmp_path: Path) -> None:
    create("btc-dip", tmp_path)
    assert check([tmp_path / "btc-dip" / "strategy.yaml"]) == []


def test_its_test_passes(tmp_path: Path) -> None:
    create("btc-dip", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "btc-dip"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr


def test_two_of_them_are_tested_together(tmp_path: Path) -> None:
    create("one", tmp_path)
    create("two", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "6 passed" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["true", "strategy", "tick", "none", "a1-b2", "x" * 40])
def test_any_good_name_makes_a_strategy_that_loads(tmp_path: Path, name: str) -> None:
    create(name, tmp_path)
    assert class_name(name).isidentifier()
    assert check([tmp_path / name / "strategy.yaml"]) == []


@pytest.mark.parametrize("name", ["", "A", "7up", "a_b", "-a", "a-", "a/b", "..", "x" * 41, "a\n"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotCreate, match="expected lower-case letters"):
        create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    with pytest.raises(CannotCreate, match="exists"):
        create("probe", tmp_path)
    assert list((tmp_path / "probe").iterdir()) == []


def test_the_command_names_what_it_wrote(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["probe", "--dir", str(tmp_path)])
    assert result.exit_code == 0
    assert f"wrote {tmp_path}/probe/strategy.yaml" in result.stdout


@pytest.mark.parametrize(("name", "code"), [("Bad", 2), ("probe", 1)])
def test_the_command_fails_with_a_line(tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "probe").mkdir()
    result = CliRunner().invoke(app, [name, "--dir", str(tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
