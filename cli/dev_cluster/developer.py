"""The one cluster of a developer, which stays until it is taken down. Answers with exit codes."""

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec

from dev_cluster import cache, component_images, lifecycle, tools
from dev_cluster.binaries import BuildFailed
from dev_cluster.built import BuiltCluster, ClusterFailed
from dev_cluster.image_tools import ToolFailed
from dev_cluster.machine import MachineUnfit
from dev_cluster.provide import prepare
from dev_cluster.tools import ToolUnavailable
from dev_cluster.wheels import WheelUnavailable

NAME = "dev"
P = ParamSpec("P")


class NotThere(Exception):
    """No cluster, or no such image; the message says what would help."""


_EXPECTED = (
    BuildFailed,
    ClusterFailed,
    MachineUnfit,
    NotThere,
    ToolFailed,
    ToolUnavailable,
    WheelUnavailable,
)


def command(act: Callable[P, None]) -> Callable[P, int]:
    """What a person can do something about is one message, not a traceback."""

    @functools.wraps(act)
    def run(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            act(*arguments, **options)
        except _EXPECTED as error:
            sys.stderr.write(f"stratops: {error}\n")
            return 1
        return 0

    return run


@command
def up() -> None:
    programs = prepare()
    with cache.locked(cache.root() / "dev-cluster.lock"):
        cluster = _running() or lifecycle.start_to_stay(programs, NAME)
    sys.stdout.write(_next_steps(cluster))


@command
def down() -> None:
    cluster = _running()
    if cluster is not None:
        lifecycle.end(cluster)
    lifecycle.sweep()


@command
def status(*, as_json: bool) -> None:
    cluster = _running()
    facts = _facts(cluster)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(facts))


@command
def images() -> None:
    cluster = _needed()
    built = component_images.build()
    cluster.load(built.archive)
    sys.stdout.write(
        "helm install desk charts/stratops -n trading --create-namespace"
        " -f charts/stratops/values-demo.yaml --set"
        f" image.registry={component_images.REGISTRY},image.tag={built.tag}\n"
    )


@command
def load(images: Sequence[str]) -> None:
    cluster = _needed()
    for image in images:
        if Path(image).is_file():
            cluster.load(Path(image))
        else:
            _load_from_buildah(cluster, image)


def _needed() -> BuiltCluster:
    """Raises NotThere."""
    cluster = _running()
    if cluster is None:
        raise NotThere("no cluster runs here; start it: stratops dev cluster up")
    return cluster


def _running() -> BuiltCluster | None:
    return lifecycle.named(NAME)


def _next_steps(cluster: BuiltCluster) -> str:
    """Lines that can be pasted into a shell as they are."""
    programs = [] if shutil.which("helm") and shutil.which("kubectl") else [tools.helm().parent]
    path = "".join(f' PATH="$PATH:{folder}"' for folder in programs)
    return (
        f"export KUBECONFIG={cluster.kubeconfig}{path} no_proxy={cluster.no_proxy}\n"
        "kubectl get nodes\n"
        "stratops dev cluster images\n"
    )


def _facts(cluster: BuiltCluster | None) -> dict[str, object]:
    if cluster is None:
        return {"running": False}
    return {
        "running": True,
        "ready": cluster.is_ready(),
        "api": cluster.addresses.api,
        "kubeconfig": str(cluster.kubeconfig),
        "images": cluster.images(),
    }


def _lines(facts: dict[str, object]) -> list[str]:
    if not facts["running"]:
        return ["no cluster runs here; start it: stratops dev cluster up"]
    images = facts.pop("images")
    assert isinstance(images, list)
    return [f"{name:<12}{value}" for name, value in facts.items()] + [
        f"{'image':<12}{image}" for image in images
    ]


def _load_from_buildah(cluster: BuiltCluster, image: str) -> None:
    if shutil.which("buildah") is None:
        raise NotThere(f"{image}: no such file, and there is no buildah to have it as an image")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        pushed = subprocess.run(  # noqa: S603
            ["buildah", "push", image, f"docker-archive:{archive}:{image}"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if pushed.returncode:
            raise NotThere(f"{image}: no such file, nor image of buildah: {pushed.stderr.strip()}")
        cluster.load(archive)
