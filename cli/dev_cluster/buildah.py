"""buildah, with a store of its own in the cache.

The store keeps every layer, so that a change builds only what comes after it. One that has grown
too large is thrown away: the base and finished archives are kept beside it.
"""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev_cluster import package_index
from dev_cluster.image_tools import run
from dev_cluster.notices import say

LARGEST_STORE = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Buildah:
    folder: Path
    driver: str
    log: Path

    def build(
        self, context: Path, name: str, target: str = "", arguments: Mapping[str, str] | None = None
    ) -> None:
        """The Dockerfile of `context`, or one target of it. Raises ToolFailed."""
        given = [f"--build-arg={key}={value}" for key, value in (arguments or {}).items()]
        how = ["--isolation", "chroot", "--network", "host", "--layers", "--pull-never"]
        wanted = ["--target", target] if target else []
        with package_index.lent() as secrets:
            self._run("bud", *how, *secrets, *given, *wanted, "--tag", name, context)

    def write(self, image: str, folder: Path) -> None:
        """Manifest and blobs, not compressed: they are read on this machine. Raises ToolFailed."""
        self._run("push", "--disable-compression", "--format", "oci", image, f"dir:{folder}")

    def has(self, image: str) -> bool:
        return self._answers("inspect", "--type", "image", image)

    def works(self) -> bool:
        return self._answers("info")

    def forget_unfinished(self) -> None:
        """What a build that was killed left."""
        self._run("rm", "--all")
        shutil.rmtree(self._temporary)
        self._temporary.mkdir()

    def size(self) -> int:
        words = ["du", "--summarize", "--block-size=1", str(self.folder)]
        said = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
        return int(said.stdout.split()[0])

    def _run(self, *words: object) -> None:
        run(*self._words(*words), log=self.log, environment={"TMPDIR": str(self._temporary)})

    def _answers(self, *words: object) -> bool:
        asked = self._words(*words)
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603

    def _words(self, *words: object) -> list[str]:
        store = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        return [str(word) for word in ["buildah", *store, "--storage-driver", self.driver, *words]]

    @property
    def _temporary(self) -> Path:
        return self.folder / "temporary"


@contextmanager
def opened(folder: Path, log: Path) -> Iterator[Buildah]:
    """The store in `folder`, for one build at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds images; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        log.write_text("")
        buildah = _with_driver(folder, log)
        buildah.forget_unfinished()
        yield buildah
        if buildah.size() > LARGEST_STORE:
            shutil.rmtree(buildah.folder)


def _with_driver(folder: Path, log: Path) -> Buildah:
    """On overlay where kernel and file system allow it: without, each layer is a whole copy."""
    for driver in ("overlay", "vfs"):
        buildah = Buildah(folder / driver, driver, log)
        (buildah.folder / "temporary").mkdir(parents=True, exist_ok=True)
        if buildah.works():
            break
    return buildah
