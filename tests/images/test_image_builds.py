"""What a build is lent for its work stays out of what it makes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster_driver import wait_for
from dev_cluster import buildah, cache, image_base
from dev_cluster.buildah import Buildah
from dev_cluster.component_images import Images

# A first build is no matter of seconds.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

CANARY = "canary-7c1f.invalid"
DOCKERFILE = """
FROM scratch AS base
ADD base.tar /
FROM base AS builder
RUN --mount=type=secret,id=pip.conf \\
    grep canary- /run/secrets/pip.conf && test -n "$ftp_proxy" && touch /built
FROM base
COPY --from=builder /built /built
"""
NAME = "localhost/stratops/probe:1"


@pytest.fixture
def builder(built: Images, tmp_path: Path) -> Iterator[Buildah]:
    with buildah.opened(tmp_path / "store", tmp_path / "log") as builder:
        yield builder


def test_index_and_proxy_of_the_machine_are_in_no_layer(
    builder: Buildah, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://user:secret@{CANARY}/simple")
    monkeypatch.setenv("ftp_proxy", f"http://{CANARY}")
    archive = image_base.archive(cache.root() / "images", builder.log)
    context = tmp_path / "context"
    context.mkdir()
    shutil.copyfile(archive, context / "base.tar")
    (context / "Dockerfile").write_text(DOCKERFILE)
    builder.build(context, NAME)
    assert not list(mentions(builder.folder, CANARY))


def test_a_killed_build_s_programs_end(built: Images, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from dev_cluster.image_tools import run;"
    code += "run('sh', '-c', 'echo begun; exec sleep 3600', log=Path(sys.argv[1]))"
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", code, str(log)]) as build:
        wait_for(lambda: log.exists() and "begun" in log.read_text().splitlines())
        (tool,) = psutil.Process(build.pid).children(recursive=True)[-1:]
        build.kill()
    wait_for(lambda: not tool.is_running())


def mentions(folder: Path, text: str) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes():
            yield path
