"""The README's example is complete: its files check and run as they stand there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from stratops.check import check
from up_driver import Up

README = Path(__file__).parents[2] / "README.md"
NAMED = re.compile(r"`([a-z]+\.(?:py|yaml))`:\n\n```[a-z]+\n(.*?)```", re.DOTALL)

StartUp = Callable[..., Up]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The README's files in a folder of their own; the manifest's path."""
    for name, text in NAMED.findall(README.read_text()):
        (tmp_path / name).write_text(text)
    return tmp_path / "dip.yaml"


def test_the_readmes_manifest_and_code_are_right(example: Path) -> None:
    assert check([example]) == []


@pytest.mark.servers
async def test_the_readmes_desk_trades(start_up: StartUp, example: Path) -> None:
    [command] = re.findall(r"^stratops up (-f .*)$", README.read_text(), re.MULTILINE)
    arguments = command.replace("dip.yaml", str(example)).split()
    report = start_up(*arguments, "-o", "json").report()
    assert report["strategies"]["dip"]["fills"] > 0
    assert report["ledger_equals_venue"], report["differences"]


def test_every_command_of_the_readme_exists() -> None:
    from stratops.main import app

    texts = re.findall(r"(?:^|`)stratops ([a-z ]+[a-z])", README.read_text(), re.MULTILINE)
    command = typer.main.get_command(app)
    for text in texts:
        _follow(command, text.split())


def _follow(command: Any, words: list[str]) -> None:
    """Down the commands that the words name; what comes after them is arguments."""
    while hasattr(command, "commands") and words:
        command = command.commands[words.pop(0)]


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", README.with_name("Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", README.read_text(), re.MULTILINE)) <= targets


def test_every_page_that_the_readme_links_is_there() -> None:
    text = re.sub(r"```.*?```", "", README.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert [link for link in links if not (README.parent / link).exists()] == []
