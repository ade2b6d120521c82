"""The programs that images are made with: found or installed, run, and heard when they fail."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

# Debian's packages, by the program that shows that one is there.
PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "setpriv": "util-linux",
    "tar": "tar",
    "unshare": "util-linux",
}
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # debootstrap checks signatures by it
# Mounts, processes and all end with us, also when we are killed.
_CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
_SHOWN_LINES = 40

Say = Callable[[str], None]


class ImagesUnavailable(Exception):
    """This machine cannot make images; the message says what it lacks."""


class ToolFailed(Exception):
    """A program ended with an error; the message has the end of what it said."""


def require(say: Say) -> None:
    """Installs what is missing where that is possible. Raises ImagesUnavailable."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise ImagesUnavailable(
            "images are made by buildah and debootstrap, which need root on Linux; elsewhere:"
            " docker build --target runner --tag localhost/stratops/runner:dev ."
        )
    missing = _missing()
    if missing and shutil.which("apt-get"):
        say(f"installing {' '.join(missing)} with apt-get")
        _install(missing)
        missing = _missing()
    if missing:
        raise ImagesUnavailable(f"images cannot be made here without: {' '.join(missing)}")


def _missing() -> list[str]:
    packages = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if not KEYS.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


def _install(packages: list[str]) -> None:
    """Failing is no error yet: what is still missing then is named."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "--no-install-recommends", "-y"]
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", *options, *packages]):
        subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)  # noqa: S603


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
