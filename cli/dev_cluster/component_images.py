"""The images of every component, built from this checkout for the test cluster.

    python -m dev_cluster.component_images [COMPONENT...]

One archive has them all. It is kept in the cache under the hash of what it is made of; building
what is there already builds nothing.
"""

import os
import platform
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from dev_cluster import buildah, cache, image_base, image_context, oci_archive
from dev_cluster.buildah import Buildah
from dev_cluster.image_tools import ToolFailed, require
from dev_cluster.machine import MachineUnfit
from dev_cluster.notices import say

COMPONENTS = ("operator", "gateway", "runner", "venue", "feed", "servers")
REGISTRY = "localhost/stratops"  # what the chart's `image.registry` is on the test cluster
PROJECT = Path(__file__).resolve().parents[2]
_FILE = "images.tar"
_TAG_LENGTH = 12
_KEPT = 2  # bases, and archives
_IN_USE_S = 600  # what was asked for so lately may still be read
_ABANDONED_AFTER_S = 86_400  # what is half made for longer than that: its maker was killed


@dataclass(frozen=True, slots=True)
class Images:
    """An OCI archive, for `Cluster.load`, `ctr images import` or `kind load image-archive`."""

    archive: Path
    tag: str
    components: tuple[str, ...]

    def reference(self, component: str) -> str:
        return f"{REGISTRY}/{component}:{self.tag}"


def build(components: Sequence[str] = COMPONENTS, project: Path = PROJECT) -> Images:
    """The images of these components, built if need be. Raises MachineUnfit or ToolFailed."""
    if not (project / "Dockerfile").exists():
        raise MachineUnfit(f"{project}: no Dockerfile; images are built from a checkout")
    folder = cache.root() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary)
        tag = _tag(image_context.snapshot(project, context))
        kept = folder / "-".join([tag, *(components if set(components) != set(COMPONENTS) else ())])
        images = Images(kept / _FILE, tag, tuple(components))
        cache.provide(kept, partial(_build, images, context, folder))
    os.utime(kept)
    forget_old(folder, time.time())
    return images


def _tag(context: str) -> str:
    made_of = f"{context} {image_base.RECIPE} {platform.machine()}"
    return sha256(made_of.encode()).hexdigest()[:_TAG_LENGTH]


def _build(images: Images, context: Path, folder: Path, made: Path) -> None:
    require()
    with buildah.opened(folder / "store", folder / "build.log") as builder:
        arguments = {"BASE": _base(builder, folder), "VERSION": _version(context)}
        writers = {}
        for component in images.components:
            name = images.reference(component)
            say(f"building {name}")
            builder.build(context, name, component, arguments)
            writers[name] = partial(builder.write, name)
        oci_archive.pack(writers, made / _FILE, made.parent, builder.log)


def _base(builder: Buildah, folder: Path) -> str:
    """The name of the base, in the store from now on."""
    name = f"{REGISTRY}/base:{image_base.RECIPE}"
    archive = image_base.archive(folder, builder.log)
    if not builder.has(name):
        with tempfile.TemporaryDirectory(dir=archive.parent) as context:
            os.link(archive, Path(context, "base.tar"))
            Path(context, "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
            builder.build(Path(context), name)
    return name


def _version(context: Path) -> str:
    version: str = tomllib.loads((context / "pyproject.toml").read_text())["project"]["version"]
    return version


def forget_old(folder: Path, now: float) -> None:
    """Keeps what was used last, and what may be in use."""
    kept = [path for path in folder.iterdir() if path.is_dir() and path.name != "store"]
    half_made = [path for path in kept if "." in path.name]
    bases = [path for path in kept if path.name.startswith("base-") and path not in half_made]
    archives = [path for path in kept if path not in half_made and path not in bases]
    old = [*_unused(half_made, now - _ABANDONED_AFTER_S)]
    for each in (bases, archives):
        old += _unused(sorted(each, key=_used)[:-_KEPT], now - _IN_USE_S)
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def _unused(paths: Sequence[Path], since: float) -> list[Path]:
    return [path for path in paths if _used(path) < since]


def _used(path: Path) -> float:
    return path.stat().st_mtime


def main(components: Sequence[str]) -> int:
    unknown = sorted(set(components) - set(COMPONENTS))
    if unknown:
        say(f"no component {', '.join(unknown)}; there are {', '.join(COMPONENTS)}")
        return 2
    began = time.monotonic()
    try:
        images = build(components or COMPONENTS)
    except (MachineUnfit, ToolFailed) as error:
        say(str(error))
        return 1
    took = time.monotonic() - began
    for component in images.components:
        print(images.reference(component))  # noqa: T201  # the answer
    say(f"{images.archive}: {images.archive.stat().st_size / 1e6:.0f} MB, after {took:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
