"""A cluster of kind (Kubernetes in Docker), where Docker runs."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev_cluster import tools
from dev_cluster.cluster import Cluster
from dev_cluster.notices import say

_ANSWERS_WITHIN_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCluster(Cluster):
    name: str

    def load(self, archive: Path) -> None:
        _kind("load", "image-archive", str(archive), "--name", self.name)


def is_possible() -> bool:
    """Whether kind is installed and a Docker daemon answers."""
    if not all(map(shutil.which, ("docker", "kind"))):
        return False
    asked = ["docker", "info"]
    try:
        done = subprocess.run(  # noqa: S603
            asked, capture_output=True, timeout=_ANSWERS_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@contextmanager
def cluster() -> Iterator[KindCluster]:
    name = f"stratops-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        say(f"creating the kind cluster {name}")
        try:
            _kind("create", "cluster", "--name", name, f"--kubeconfig={kubeconfig}", "--wait=3m")
            yield KindCluster(kubeconfig=kubeconfig, kubectl_program=tools.kubectl(), name=name)
        finally:
            _kind("delete", "cluster", "--name", name)


def _kind(*arguments: str) -> None:
    subprocess.run(["kind", *arguments], check=True)  # noqa: S603, S607
