"""Images as files and as processes, without a cluster: what is in an archive, run in a chroot."""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev_cluster.component_images import Images
from own_time import Watch

# What a pod under restricted Pod Security gets: a PID namespace, a root nobody can write, /tmp.
_IN_ROOT = """
mount -t overlay overlay -o "lowerdir=$LAYERS:$EMPTY" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount --rbind /dev "$ROOT/dev"
exec "$@"
"""
_USER = "10001"
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Image:
    """One of an archive, its layers unpacked."""

    reference: str
    config: Mapping[str, Any]
    layers: Sequence[Path]  # lowest first
    scratch: Path

    @property
    def settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.config["config"]
        return found

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file's path in the image, and where it is now."""
        for layer in self.layers:
            for where, _, names in os.walk(layer):
                for name in names:
                    path = Path(where, name)
                    yield f"/{path.relative_to(layer)}", path

    def command(self, *words: str) -> list[str]:
        """Runs in the image as its user: no capability, a root that cannot be written."""
        root, empty = self.scratch / "root", self.scratch / "empty"
        for folder in (root, empty):
            folder.mkdir(parents=True, exist_ok=True)
        layers = ":".join(str(layer) for layer in reversed(self.layers))
        places = [f"LAYERS={layers}", f"EMPTY={empty}", f"ROOT={root}"]
        inside = ["chroot", str(root), "setpriv", f"--reuid={_USER}", f"--regid={_USER}"]
        inside += ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
        return ["env", *places, *own, "sh", "-euc", _IN_ROOT, "sh", *inside, *words]

    def environment(self, **extra: str) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.settings["Env"]) | extra

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = self._with_environment(words, environment)
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    @contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """PID 1 of a PID namespace, as in a pod."""
        command = self._with_environment(words, environment)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as outer:
            try:
                yield outer
            finally:
                outer.kill()

    def _with_environment(self, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        variables = [f"{key}={value}" for key, value in self.environment(**environment).items()]
        return self.command("env", "-i", *variables, *words)


def first_process(outer: subprocess.Popen[str]) -> int:
    """PID 1 of the namespace that `unshare` made, by its number here."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if numbers := children.read_text().split():
            return int(numbers[0])
        time.sleep(_POLL_S)
    raise AssertionError("nothing runs")


def wait_until_caught(process: int) -> None:
    """Until it is the program itself, and has a handler for SIGTERM."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(_POLL_S)
    raise AssertionError("it never caught SIGTERM")


def seconds_to_end(outer: subprocess.Popen[str]) -> float:
    """From SIGTERM to the end of the whole namespace, of a machine that runs."""
    first = first_process(outer)
    with Watch() as watch:
        os.kill(first, signal.SIGTERM)
        outer.wait(timeout=60)
        return watch.seconds


def unpacked(images: Images, folder: Path) -> dict[str, Image]:
    """By component; what images share is unpacked once."""
    _extract(images.archive, folder / "layout")
    index = json.loads((folder / "layout" / "index.json").read_text())
    names = {images.reference(component): component for component in images.components}
    return {
        names[name]: _image(folder, name, each["digest"])
        for each in index["manifests"]
        for name in [each["annotations"]["org.opencontainers.image.ref.name"]]
    }


def _image(folder: Path, name: str, manifest_digest: str) -> Image:
    manifest = json.loads(_blob(folder, manifest_digest).read_text())
    layers = []
    for layer in manifest["layers"]:
        target = folder / "layers" / layer["digest"].removeprefix("sha256:")[:12]
        if not target.exists():
            _extract(_blob(folder, layer["digest"]), target)
        layers.append(target)
    config = json.loads(_blob(folder, manifest["config"]["digest"]).read_text())
    return Image(name, config, layers, folder / "scratch")


def _blob(folder: Path, digest: str) -> Path:
    return folder / "layout" / "blobs" / digest.replace(":", "/")


def _extract(archive: Path, target: Path) -> None:
    target.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="fully_trusted")  # our own, with owners and modes
