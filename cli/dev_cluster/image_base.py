"""The image that tests build on: Debian with its Python, made here, since a test pulls nothing.

It is kept as one tar in the cache, under the hash of the recipe, and used only while its own hash
is the one written beside it.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from dev_cluster.image_tools import Say, run

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


def base_archive(cache: Path, say: Say, log: Path) -> Path:
    """A tar of the base's files; made if it is not there, or not what was made."""
    archive = cache / f"base-{RECIPE}.tar"
    if not is_whole(archive):
        say(f"making a base of Debian {RELEASE} with Python (once, about 90 s)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="base-") as folder:
            _make(Path(folder), archive, log)
    for old in cache.glob("base-*.tar*"):
        if not old.name.startswith(archive.name):
            old.unlink()
    return archive


def _make(folder: Path, archive: Path, log: Path) -> None:
    mirror = os.environ.get("STRATOPS_DEBIAN_MIRROR", MIRROR)
    root, packed = folder / "root", folder / "base.tar"
    included = ",".join(PACKAGES)
    run("debootstrap", "--variant=minbase", f"--include={included}", RELEASE, root, mirror, log=log)
    left_out = [f"--exclude=./{one}" for one in LEFT_OUT]
    numbers = ["--numeric-owner", "--sort=name"]
    run("tar", "-C", root, *numbers, *left_out, "-cf", packed, ".", log=log)
    keep(packed, archive)


def keep(made: Path, archive: Path) -> None:
    """Puts a finished file into the cache, its hash beside it; what is half written has no hash."""
    _hash_file(archive).unlink(missing_ok=True)
    made.replace(archive)
    _hash_file(archive).write_text(_hash(archive))


def is_whole(archive: Path) -> bool:
    """Whether it is there, and is byte for byte what was put there."""
    try:
        return _hash_file(archive).read_text() == _hash(archive)
    except FileNotFoundError:
        return False


def _hash_file(archive: Path) -> Path:
    return archive.with_name(archive.name + ".sha256")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
