"""`stratops init`: a folder with a strategy, its test and its manifest, which run at once."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

_LONGEST = 40
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class CannotCreate(Exception):
    """Nothing was written that stood there before; the message says what is in the way."""


class InvalidName(CannotCreate):
    pass


def create(name: str, folder: Path) -> tuple[Path, ...]:
    """Writes `folder/name` and answers its files. Raises CannotCreate; nothing is overwritten."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        expected = f"lower-case letters, digits and '-' within, a letter first, at most {_LONGEST}"
        raise InvalidName(f"name: {name!r}, expected {expected}")
    target = folder / name
    try:
        target.mkdir()
        return tuple(_write(target / file, text) for file, text in _texts(name).items())
    except FileExistsError:
        raise CannotCreate(f"{target}: exists, expected a name that is free") from None
    except OSError as error:
        raise CannotCreate(f"{target}: {error.strerror}, expected a writable folder") from None


def _texts(name: str) -> dict[str, str]:
    words = {"name": name, "class_name": class_name(name)}
    test = f"test_{name.replace('-', '_')}.py"
    kinds = {"strategy.py": "strategy.py", test: "test.py", "strategy.yaml": "strategy.yaml"}
    return {
        file: _filled(kind, words) for file, kind in {**kinds, "README.md": "README.md"}.items()
    }


def class_name(name: str) -> str:
    """`btc-dip` is BtcDipStrategy."""
    return "".join(part.capitalize() for part in name.split("-")) + "Strategy"


def _filled(template: str, words: dict[str, str]) -> str:
    text = files("stratops").joinpath("templates", f"{template}.tmpl").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _write(file: Path, text: str) -> Path:
    with file.open("x", encoding="utf-8") as opened:
        opened.write(text)
    return file


def init_command(
    name: Annotated[str, typer.Argument(help="Name of the strategy and of its folder.")],
    directory: Annotated[
        Path, typer.Option("--dir", help="Where the folder is made.", file_okay=False)
    ] = Path(),
) -> None:
    """Make a folder with a strategy, its test and its manifest, which run at once."""
    try:
        written = create(name, directory)
    except CannotCreate as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2 if isinstance(error, InvalidName) else 1) from None
    for file in written:
        typer.echo(f"wrote {file}")
    folder = directory / name
    typer.echo(
        f"next: stratops check {folder}/strategy.yaml; stratops up -f {folder}/strategy.yaml"
    )
