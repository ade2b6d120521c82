"""The image that tests build on: Debian with its Python, made here, since a test pulls nothing.

It is kept as a tar, under the hash of the recipe.
"""

import hashlib
import os
from pathlib import Path

from dev_cluster import cache
from dev_cluster.image_tools import run
from dev_cluster.notices import say

RELEASE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
MIRROR = "http://deb.debian.org/debian"
# The host's own (debootstrap copies resolver and name), what apt downloaded, and what nobody reads.
LEFT_OUT = (
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/*",
    "var/lib/apt/lists/*",
    "var/log/*",
)
RECIPE = hashlib.sha256(repr((RELEASE, PACKAGES, LEFT_OUT)).encode()).hexdigest()[:12]
_FILE = "base.tar"


def archive(folder: Path, log: Path) -> Path:
    """A tar of the base's files, kept in `folder`. Raises ToolFailed."""
    kept = cache.provide(folder / f"base-{RECIPE}", lambda made: _make(made, log))
    return kept / _FILE


def _make(made: Path, log: Path) -> None:
    say(f"making a base of Debian {RELEASE} with Python (once, about 90 s)")
    root = made.parent / "root"
    mirror = os.environ.get("STRATOPS_DEBIAN_MIRROR", MIRROR)
    packages = ",".join(PACKAGES)
    run("debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, root, mirror, log=log)
    left_out = [f"--exclude=./{one}" for one in LEFT_OUT]
    how = ["--numeric-owner", "--sort=name", *left_out]
    run("tar", "-C", root, *how, "-cf", made / _FILE, ".", log=log)
