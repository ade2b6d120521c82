"""The journal of a desk, proven, copied, explained: by a process of the gateway's own code."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Prove or copy the journal of a gateway.")
STATE = Path(".stratops")
Where = Annotated[
    Path, typer.Argument(help="journal.db, its folder, a copy, or the folder of a desk.")
]
AsJson = Annotated[bool, typer.Option("--json", help="A document, for programs.")]


@app.command()
def verify(
    journal: Where = STATE,
    contains: Annotated[
        str, typer.Option(help="A hash noted earlier: some record must have it.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Prove the chain, and that orders and ledger follow from it; name what is wrong first."""
    more = [f"--contains={contains}"] if contains else []
    audit("verify", journal, *more, as_json=as_json)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to make.")], journal: Where = STATE
) -> None:
    """Copy the journal, also while its gateway runs, and prove the copy."""
    audit("backup", journal, str(target))


@app.command()
def prune(
    keep_days: Annotated[int, typer.Option(help="What is younger stays whole.", min=1)],
    journal: Where = STATE,
) -> None:
    """Delete old records up to a seal, while no gateway runs; every id is kept."""
    audit("prune", journal, f"--keep-days={keep_days}")


def audit(command: str, journal: Path, *more: str, as_json: bool = False) -> None:
    """Ends the command with its exit code."""
    json = ["--json"] if as_json else []
    place = str(_place(journal))
    argv = [sys.executable, "-P", "-m", "risk_gateway.audit", command, place, *more, *json]
    raise typer.Exit(subprocess.run(argv, check=False).returncode)  # noqa: S603  # our own module


def _place(path: Path) -> Path:
    """The folder of a desk stands for its gateway's."""
    return path / "gateway" if (path / "gateway").is_dir() else path
