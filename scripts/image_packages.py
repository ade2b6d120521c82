"""Installs what the image of a component needs; the Dockerfile runs it, nobody else.

    python image_packages.py lists FOLDER            each extra of pyproject.toml as a file
    python image_packages.py install ROOT WHAT...    what the images' environment lacks, below ROOT

A list changes with what it says only, so a pyproject.toml that changed elsewhere installs nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ENVIRONMENT = Path("/opt/stratops")
OWN_EXTRAS = re.compile(r"stratops\[([a-z,]+)\]")  # an extra that names others


def write_lists(folder: str) -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    lists = {extra: requirements(extras, extra) for extra in extras}
    lists["build"] = project["build-system"]["requires"]
    for name, lines in lists.items():
        path = Path(folder, f"{name}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in sorted(lines)))
        os.utime(path, (0, 0))  # some builders take a new time for a new file


def requirements(extras: dict[str, list[str]], extra: str) -> set[str]:
    found = set()
    for line in extras[extra]:
        own = OWN_EXTRAS.fullmatch(line)
        found |= set() if own else {line}
        for name in own[1].split(",") if own else ():
            found |= requirements(extras, name)
    return found


def install(root: str, *what: str) -> None:
    """What pip takes for that, below `root`, unless the environment has it."""
    # What has no wheel would need a compiler, and no image has one.
    options = ["--quiet", "--only-binary=:all:", "--no-cache-dir", "--no-compile"]
    python = ENVIRONMENT / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    call(*pip, *options, "--root", root, "--no-warn-script-location", *what)
    # Once and for all: nothing compares times at run time, and nothing is written then.
    library = Path(root, *ENVIRONMENT.parts[1:], "lib")
    how = ["-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/"]
    call(python, "-m", "compileall", *how, library)


def call(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)  # noqa: S603


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    write_lists(*arguments) if verb == "lists" else install(*arguments)
