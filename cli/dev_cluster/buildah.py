"""buildah with a store of its own in the cache, and this machine's way to its package index.

The store keeps every layer, so that a change builds only what comes after it. It is thrown away
when it has grown too large: the base and finished archives are kept beside it.
"""

import ast
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev_cluster.image_tools import run

LARGEST_STORE = 4 * 1024**3
# How pip reaches its index; its other settings are about this machine's folders.
_INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "proxy")
_PIP_NAMES = {"default-timeout": "timeout"}  # the environment's word for a setting


@dataclass(frozen=True, slots=True)
class Buildah:
    folder: Path
    driver: str
    log: Path

    @classmethod
    def opened(cls, folder: Path, log: Path) -> "Buildah":
        """On overlay where the kernel and file system allow it: without, each layer is a copy."""
        overlay = cls(folder / "overlay", "overlay", log)
        (overlay.folder / "temporary").mkdir(parents=True, exist_ok=True)
        works = subprocess.run(  # noqa: S603  # our own words
            overlay._words("info"), capture_output=True, check=False
        )
        if works.returncode == 0:
            return overlay
        plain = cls(folder / "vfs", "vfs", log)
        (plain.folder / "temporary").mkdir(parents=True, exist_ok=True)
        return plain

    def _words(self, *words: object) -> list[str]:
        store = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        return [str(word) for word in ["buildah", *store, "--storage-driver", self.driver, *words]]

    def run(self, *words: object) -> None:
        """Raises ToolFailed."""
        # Cache mounts of a build lie in buildah's temporary folder.
        environment = {"TMPDIR": str(self.folder / "temporary")}
        run(*self._words(*words), log=self.log, environment=environment)

    def has(self, image: str) -> bool:
        words = self._words("inspect", "--type", "image", image)
        return subprocess.run(words, capture_output=True, check=False).returncode == 0  # noqa: S603

    def build(self, context: Path, name: str, target: str, arguments: Mapping[str, str]) -> None:
        """One target of the Dockerfile in `context`. Raises ToolFailed."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        how = ["--isolation", "chroot", "--network", "host", "--layers", "--pull-never"]
        wanted = ["--target", target] if target else []
        with _index_secrets() as secrets:
            self.run("bud", *how, *secrets, *given, *wanted, "--tag", name, context)

    def push(self, image: str, destination: str) -> None:
        """Uncompressed: it is read on this machine, once. Raises ToolFailed."""
        self.run("push", "--disable-compression", "--format", "oci", image, destination)

    def forget_unfinished(self) -> None:
        """Containers of a build that was killed. Raises ToolFailed."""
        self.run("rm", "--all")

    def size(self) -> int:
        words = ["du", "--summarize", "--block-size=1", str(self.folder)]
        said = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
        return int(said.stdout.split()[0])

    def remove(self) -> None:
        shutil.rmtree(self.folder)


@contextmanager
def _index_secrets() -> Iterator[list[str]]:
    """Options that lend a build this machine's index and certificates; no layer has them."""
    with tempfile.TemporaryDirectory() as folder:  # nobody else may read it
        certificates = _pip_settings().get("cert") or ssl.get_default_verify_paths().cafile
        has_certificates = certificates is not None and Path(certificates).is_file()
        settings = Path(folder) / "pip.conf"
        settings.write_text(_pip_conf("/run/secrets/ca.crt" if has_certificates else ""))
        lent = [f"--secret=id=pip.conf,src={settings}"]
        yield [*lent, f"--secret=id=ca.crt,src={certificates}"] if has_certificates else lent


def _pip_conf(certificates: str) -> str:
    found = {name: value for name, value in _pip_settings().items() if name in _INDEX_SETTINGS}
    found |= {"cert": certificates} if certificates else {}
    values = ((name, "\n    ".join(value.split())) for name, value in found.items())
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in values)


def _pip_settings() -> dict[str, str]:
    """What this machine's files and environment tell pip; what is named last wins, as in pip."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    settings: dict[str, str] = {}
    for line in said.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        settings[_PIP_NAMES.get(name, name)] = ast.literal_eval(value)
    return settings
