"""`stratops check`: whether manifests are right, without running anything of them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from market_data import catalogue
from platform_spec.problems import Problem
from stratops.manifests import Checked, read
from trading.instruments import InvalidCatalogue


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


def check(paths: Sequence[Path]) -> list[Problem]:
    """What is wrong with these manifests; empty when nothing is. Raises InvalidCatalogue."""
    return list(_read(paths).problems)


def check_command(
    manifests: Annotated[list[Path], typer.Argument(help="Manifest files.")],
    output: Annotated[
        Output, typer.Option("-o", "--output", help="How to print the result.")
    ] = Output.TEXT,
) -> None:
    """Check manifests, their strategies' code and parameters, without running them."""
    try:
        checked = _read(manifests)
    except InvalidCatalogue as error:
        typer.echo(f"stratops check: {error}", err=True)
        raise typer.Exit(1) from error
    if output is Output.JSON:
        typer.echo(json.dumps(as_json(checked), indent=2))
    else:
        _print(checked)
    raise typer.Exit(1 if checked.problems else 0)


def _read(paths: Sequence[Path]) -> Checked:
    known = catalogue.load(os.environ.get("STRATOPS_CATALOGUE") or None)
    return read(paths, here=False, instruments=known)


def _print(checked: Checked) -> None:
    for strategy in checked.strategies:
        typer.echo(f"ok {strategy.ref} revision {strategy.revision}")
    for other in checked.elsewhere:
        typer.echo(f"ok {other.ref} revision unknown: its code is on the cluster")
    for warning in checked.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for problem in checked.problems:
        typer.echo(str(problem), err=True)


def as_json(checked: Checked) -> dict[str, object]:
    """The result of a check as `-o json` prints it."""
    revisions: dict[str, object] = {
        strategy.ref: {"revision": strategy.revision} for strategy in checked.strategies
    }
    return {
        "ok": not checked.problems,
        "strategies": revisions | {other.ref: {"revision": None} for other in checked.elsewhere},
        "warnings": [str(warning) for warning in checked.warnings],
        "problems": [asdict(problem) | {"message": str(problem)} for problem in checked.problems],
    }
