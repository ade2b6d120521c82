"""The images of every component, built from this checkout for the test cluster.

    python -m dev_cluster.component_images [COMPONENT...]

One archive has them all, what they share once. It is kept in the cache under the hash of what it
is made of; building what is there already builds nothing.
"""

import fcntl
import os
import platform
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dev_cluster import image_base
from dev_cluster.buildah import LARGEST_STORE, Buildah
from dev_cluster.image_context import snapshot
from dev_cluster.image_tools import ImagesUnavailable, Say, ToolFailed, require, run

COMPONENTS = ("operator", "gateway", "runner", "venue", "feed", "servers")
REGISTRY = "localhost/stratops"  # what the chart's `image.registry` is on the test cluster
PROJECT = Path(__file__).resolve().parents[2]
_KEPT_ARCHIVES = 2
_TAG_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Images:
    """An OCI archive for `ctr images import` or `kind load image-archive`."""

    archive: Path
    tag: str
    components: tuple[str, ...]

    def reference(self, component: str) -> str:
        return f"{REGISTRY}/{component}:{self.tag}"


def build(components: Sequence[str] = COMPONENTS, say: Say = lambda line: None) -> Images:
    """The archive of those images, built if it is not there.

    Raises ImagesUnavailable or ToolFailed.
    """
    cache = _cache()
    with tempfile.TemporaryDirectory() as folder, _alone(cache, say):
        tag = _tag(snapshot(PROJECT, Path(folder)))
        images = Images(cache / _archive_name(tag, components), tag, tuple(components))
        if not image_base.is_whole(images.archive):
            require(say)
            _build(images, Path(folder), cache, say)
        images.archive.touch()
        _forget_old(cache)
    return images


def _tag(context: str) -> str:
    made_of = f"{context} {image_base.RECIPE} {platform.machine()}"
    return sha256(made_of.encode()).hexdigest()[:_TAG_LENGTH]


def _archive_name(tag: str, components: Sequence[str]) -> str:
    some = "" if tuple(components) == COMPONENTS else "-".join(["", *components])
    return f"images-{tag}{some}.tar"


def _build(images: Images, context: Path, cache: Path, say: Say) -> None:
    log = cache / "images.log"
    log.write_text("")
    buildah = Buildah.opened(cache / "store", log)
    buildah.forget_unfinished()
    arguments = {"BASE": _base(buildah, cache, say), "VERSION": _version(context)}
    for component in images.components:
        say(f"building {images.reference(component)}")
        buildah.build(context, images.reference(component), component, arguments)
    with tempfile.TemporaryDirectory(dir=cache, prefix="archive-") as folder:
        _pack(images, buildah, Path(folder))
    if buildah.size() > LARGEST_STORE:
        buildah.remove()


def _base(buildah: Buildah, cache: Path, say: Say) -> str:
    """The name of the base, in the store from now on."""
    name = f"{REGISTRY}/base:{image_base.RECIPE}"
    archive = image_base.base_archive(cache, say, buildah.log)
    if not buildah.has(name):
        with tempfile.TemporaryDirectory(dir=cache, prefix="base-") as folder:
            os.link(archive, Path(folder) / "base.tar")
            Path(folder, "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
            buildah.build(Path(folder), name, "", {})
    return name


def _version(context: Path) -> str:
    version: str = tomllib.loads((context / "pyproject.toml").read_text())["project"]["version"]
    return version


def _pack(images: Images, buildah: Buildah, folder: Path) -> None:
    """One folder in the OCI layout, each layer once, as one file."""
    layout, packed = folder / "layout", folder / "packed.tar"
    for component in images.components:
        name = images.reference(component)
        buildah.push(name, f"oci:{layout}:{name}")
    run("tar", "-C", layout, "--sort=name", "-cf", packed, ".", log=buildah.log)
    image_base.keep(packed, images.archive)


def _cache() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "stratops" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(cache: Path, say: Say) -> Iterator[None]:
    """Builds take turns; what a killed one left half made is removed."""
    with (cache / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build of the images")
            fcntl.flock(file, fcntl.LOCK_EX)
        for half_made in [*cache.glob("base-*/"), *cache.glob("archive-*/")]:
            shutil.rmtree(half_made)
        yield


def _forget_old(cache: Path) -> None:
    """The archives used last are kept; one that is being read meanwhile stays readable."""
    archives = sorted(cache.glob("images-*.tar"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-_KEPT_ARCHIVES]:
        old.unlink()
        old.with_name(old.name + ".sha256").unlink(missing_ok=True)


def main(components: Sequence[str]) -> int:
    unknown = sorted(set(components) - set(COMPONENTS))
    if unknown:
        sys.stderr.write(f"no component {', '.join(unknown)}; there are: {', '.join(COMPONENTS)}\n")
        return 2
    begun = time.monotonic()
    try:
        images = build(components or COMPONENTS, lambda line: print(line, file=sys.stderr))
    except (ImagesUnavailable, ToolFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for component in images.components:
        print(images.reference(component))  # noqa: T201  # the answer
    size = images.archive.stat().st_size / 1e6
    took = time.monotonic() - begun
    print(f"{images.archive} ({size:.0f} MB) in {took:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
