"""`stratops dev cluster`, as a developer types it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dev_cluster import cache, images

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """With a folder of running clusters of its own: the developer's may be running too."""
    root = tmp_path_factory.mktemp("cache")
    for entry in cache.root().iterdir():
        if entry.name != "running":
            (root / entry.name).symlink_to(entry)
    environment = os.environ | {"STRATOPS_CACHE": str(root)}
    yield environment
    run(environment, "down")


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stratops", "dev", "cluster", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def status(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(environment, "status", "-o", "json").stdout)
    return found


def test_a_cluster_is_started_used_and_ended(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    assert status(environment) == {"running": False}
    started = run(environment, "up")
    assert in_a_shell(started.stdout) == "node/node1"
    assert run(environment, "up").stdout == started.stdout  # it is there already

    archive = tmp_path / "thing.tar"
    archive.write_bytes(images.of_one_file("localhost/thing:1", "thing", b"content"))
    assert run(environment, "load", str(archive)).returncode == 0
    now = status(environment)
    assert (now["running"], now["ready"]) == (True, True)
    assert now["images"] == ["localhost/stratops-pause:1", "localhost/thing:1"]

    refused = run(environment, "load", "localhost/nobody:1")
    assert refused.returncode == 1
    assert "localhost/nobody:1: no such file" in refused.stderr

    assert run(environment, "down").returncode == 0
    assert run(environment, "down").returncode == 0
    assert status(environment) == {"running": False}


def in_a_shell(printed: str) -> str:
    """What comes of typing the first line that `up` prints, and then a question."""
    export = printed.splitlines()[0]
    script = f"{export}\nkubectl get nodes -o name"
    return subprocess.run(["sh", "-ec", script], capture_output=True, text=True).stdout.strip()
