"""What the docs name is there: links, metrics, variables, commands of stratops and of make."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from stratops.main import app

ROOT = Path(__file__).parents[2]
DOCS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
IDS = [str(path.relative_to(ROOT)) for path in DOCS]
FOLDERS = ("core", "strategies", "runner", "gateway", "market", "operator", "cli", "proto")
METRIC = re.compile(r"(?:strategy_engine|stratops_operator)_[a-z_]+[a-z]")
VARIABLE = re.compile(r"STRATOPS_[A-Z_]+[A-Z]\b")
WORD = re.compile(r"\w+")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
COMMAND = re.compile(r"(?:^|`)stratops ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
TARGET = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)

each_page = pytest.mark.parametrize("page", DOCS, ids=IDS)


def prose(path: Path) -> str:
    return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        elsewhere = link.startswith("https://")
        if not elsewhere and (not target.exists() or (anchor and anchor not in anchors(target))):
            yield link


@cache
def words() -> frozenset[str]:
    """Of the code."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return frozenset(bare(word) for path in files for word in WORD.findall(path.read_text()))


def bare(word: str) -> str:
    """Without our prefix, and without the _total that prometheus_client appends."""
    short = re.sub("^(strategy_engine|stratops_operator|STRATOPS)_", "", word)
    return short.removesuffix("_total")


def unknown(names: list[str]) -> list[str]:
    return [name for name in names if bare(name) not in words()]


def commands() -> set[str]:
    """Those of a group by both words."""
    top = typer.main.get_command(app)
    assert isinstance(top, typer.core.TyperGroup)
    found = set(top.commands)
    for name, command in top.commands.items():
        found |= {f"{name} {each}" for each in getattr(command, "commands", ())}
    return found


def unknown_commands(page: Path) -> Iterator[str]:
    known = commands()
    groups = {each.split()[0] for each in known if " " in each}
    for shown in CODE.findall(page.read_text()):
        for name, second in COMMAND.findall(shown):
            asked = f"{name} {second}" if name in groups and second else name
            if asked not in known:
                yield asked


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@each_page
@pytest.mark.parametrize("names", [METRIC, VARIABLE], ids=["metric", "variable"])
def test_every_metric_and_variable_is_named_in_the_code(page: Path, names: re.Pattern[str]) -> None:
    assert unknown(names.findall(page.read_text())) == []


@each_page
def test_every_command_is_one_of_stratops(page: Path) -> None:
    assert list(unknown_commands(page)) == []


@each_page
def test_every_target_is_one_of_make(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = "\n".join(CODE.findall(page.read_text()))
    assert set(TARGET.findall(shown)) - targets == set()
