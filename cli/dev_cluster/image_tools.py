"""The programs that images are made with: found or installed, run, and heard when they fail."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dev_cluster.machine import MachineUnfit
from dev_cluster.notices import say

# Debian's packages, by the program that shows that one is there.
_PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "setpriv": "util-linux",
    "tar": "tar",
    "unshare": "util-linux",
}
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # what debootstrap trusts
# Mounts, processes and all end with us, also when we are killed.
_CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
_SHOWN_LINES = 40


class ToolFailed(Exception):
    """A program ended with an error; the message has the end of what it said."""


def require() -> None:
    """Installs what a Debian lacks. Raises MachineUnfit for the rest."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise MachineUnfit(
            "images are made by buildah and debootstrap, which need root on Linux (with Docker:"
            " docker build --target runner --tag localhost/stratops/runner:dev .)"
        )
    if _missing() and shutil.which("apt-get"):
        _install(_missing())
    if _missing():
        raise MachineUnfit(f"images cannot be made without: {', '.join(_missing())}")


def _missing() -> list[str]:
    packages = {package for program, package in _PACKAGES.items() if not shutil.which(program)}
    if not _KEYS.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


def _install(packages: list[str]) -> None:
    """What is still missing then is named by the caller."""
    say(f"installing Debian's {', '.join(packages)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        words = ["apt-get", "-qq", *command]
        subprocess.run(words, env=environment, stdout=sys.stderr, check=False)  # noqa: S603


def run(*command: object, log: Path, environment: Mapping[str, str] | None = None) -> None:
    """To its end, what it says appended to `log`. Raises ToolFailed."""
    words = [str(word) for word in command]
    with log.open("a+") as output:
        begin = output.tell()
        done = subprocess.run(  # noqa: S603  # our own words, and no shell
            [*_CONTAINED, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
        )
        if done.returncode:
            output.seek(begin)
            end = "".join(output.readlines()[-_SHOWN_LINES:])
            raise ToolFailed(f"{' '.join(words)} ended with {done.returncode}:\n{end}")
