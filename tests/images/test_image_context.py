"""What decides whether images are built anew."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dev_cluster.component_images import build, forget_old
from dev_cluster.image_context import snapshot
from dev_cluster.machine import MachineUnfit

NOW = 1_000_000.0
IGNORED = """# What images are made of.
*
!code
!pyproject.toml
**/__pycache__
**/*.pyc
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for name, content in {
        ".dockerignore": IGNORED,
        "Dockerfile": "FROM scratch",
        "pyproject.toml": "",
        "code/package/module.py": "x = 1",
        "code/package/__pycache__/module.pyc": "compiled",
        "tests/test_module.py": "",
    }.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return project


@pytest.fixture
def digest(project: Path, tmp_path: Path) -> Callable[[], str]:
    def now() -> str:
        target = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"
        target.mkdir()
        return snapshot(project, target)

    return now


def test_a_snapshot_has_what_the_ignore_file_lets_through(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    snapshot(project, copy)
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert names == {".dockerignore", "Dockerfile", "pyproject.toml", "code/package/module.py"}


@pytest.mark.parametrize("name", ["code/package/module.py", "Dockerfile", ".dockerignore"])
def test_what_is_in_images_changes_the_hash(
    name: str, project: Path, digest: Callable[[], str]
) -> None:
    before = digest()
    (project / name).write_text((project / name).read_text() + "\n# and more")
    assert digest() != before


def test_a_renamed_module_changes_the_hash(project: Path, digest: Callable[[], str]) -> None:
    before = digest()
    module = project / "code" / "package" / "module.py"
    module.rename(module.with_name("other.py"))
    assert digest() != before


def test_nothing_else_does(project: Path, digest: Callable[[], str]) -> None:
    before = digest()
    (project / "tests" / "test_module.py").write_text("def test(): ...")
    (project / "code" / "package" / "__pycache__" / "other.pyc").write_text("")
    module = project / "code" / "package" / "module.py"
    os.utime(module, (1, 1))
    module.chmod(0o600)
    assert digest() == before


def test_a_copy_has_one_time_and_one_mode(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    snapshot(project, copy)
    states = [path.stat() for path in copy.rglob("*") if path.is_file()]
    assert len({(state.st_mtime, state.st_mode) for state in states}) == 1


def test_the_last_two_bases_and_archives_are_kept(tmp_path: Path) -> None:
    for age, name in enumerate(["base-3", "base-2", "base-1", "ccc", "bbb-runner", "aaa", "store"]):
        used(tmp_path / name, NOW - 10_000 - age)
    forget_old(tmp_path, NOW)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"base-3", "base-2", "ccc", "bbb-runner", "store"}


def test_what_was_used_just_now_is_kept(tmp_path: Path) -> None:
    for age, name in enumerate(["ddd", "ccc", "bbb", "aaa"]):
        used(tmp_path / name, NOW - age)
    forget_old(tmp_path, NOW)
    assert len(list(tmp_path.iterdir())) == 4


def test_what_was_abandoned_half_made_is_removed(tmp_path: Path) -> None:
    used(tmp_path / "aaa.x1y2", NOW - 100_000)
    used(tmp_path / "bbb.x1y2", NOW - 100)
    forget_old(tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["bbb.x1y2"]


def test_without_a_checkout_there_is_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(MachineUnfit, match="no Dockerfile"):
        build(project=tmp_path)


def used(folder: Path, at: float) -> None:
    folder.mkdir()
    os.utime(folder, (at, at))
