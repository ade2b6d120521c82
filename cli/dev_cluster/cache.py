"""Folders that are made once, by whoever needs them first, and checked before each use.

A folder appears under its name only when it is whole, with a mark of each file in
`manifest.json`; what does not agree with that is made again.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dev_cluster.notices import say

_MANIFEST = "manifest.json"


def root() -> Path:
    """STRATOPS_CACHE, else `stratops` in the user's cache folder."""
    chosen = os.environ.get("STRATOPS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stratops"


def provide(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, as `make` filled it, now or some time before; one process makes it."""
    if difference(folder) is None:
        return folder
    with locked(folder.with_name(f"{folder.name}.lock")):
        different = difference(folder)
        if different is not None:  # another process may have made it meanwhile
            if folder.exists():
                say(f"{folder}: {different}; making it again")
            _make(folder, make)
    return folder


def difference(folder: Path) -> str | None:
    """What does not agree with the manifest; None where all does."""
    try:
        wanted = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError):
        return "no manifest"
    for name, mark in wanted.items():
        path = folder / name
        if not path.is_file() or _mark(path) != mark:
            return f"{name} is not what was put there"
    return None


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    """Whoever has the lock is alone: what another one was killed over is in nobody's use."""
    for unfinished in folder.parent.glob(f"{folder.name}.*/"):
        shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        make(made)
        files = [path for path in sorted(made.rglob("*")) if path.is_file()]
        manifest = {str(path.relative_to(made)): _mark(path) for path in files}
        (made / _MANIFEST).write_text(json.dumps(manifest, indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While another process has the lock, this one waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process makes {path.stem}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mark(path: Path) -> str:
    """The SHA-256 of a file; of a link, where it leads: its file has a mark of its own."""
    if path.is_symlink():
        return f"-> {path.readlink()}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
