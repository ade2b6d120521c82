"""What is in the cache is whole and unchanged, or it is made again."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev_cluster import cache


def make(folder: Path) -> None:
    (folder / "program").write_text("right")
    (folder / "alias").symlink_to("program")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return cache.provide(tmp_path / "cache" / "things", make)


def test_what_is_there_is_not_made_again(folder: Path) -> None:
    before = (folder / "program").stat().st_ino
    assert cache.provide(folder, make) == folder
    assert (folder / "program").stat().st_ino == before


def test_a_changed_file_is_noticed_and_made_again(folder: Path) -> None:
    (folder / "program").write_text("wrong")
    assert cache.difference(folder) == "program is not what was put there"
    assert (cache.provide(folder, make) / "program").read_text() == "right"


def test_a_link_that_leads_elsewhere_is_noticed(folder: Path) -> None:
    (folder / "alias").unlink()
    (folder / "alias").symlink_to("/bin/true")
    assert cache.difference(folder) == "alias is not what was put there"


def test_a_missing_file_is_noticed(folder: Path) -> None:
    (folder / "alias").unlink()
    assert cache.difference(folder) == "alias is not what was put there"


def test_a_folder_that_was_never_finished_is_made_again(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    cache.provide(folder, make)
    assert cache.difference(folder) is None


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cache.provide(tmp_path / "things", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["things.lock"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "things.left" / "made").mkdir(parents=True)
    cache.provide(tmp_path / "things", make)
    assert not (tmp_path / "things.left").exists()


@pytest.mark.servers
def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    makers = [subprocess.Popen([sys.executable, "-c", MAKE_SLOWLY, tmp_path]) for _ in range(2)]
    assert [maker.wait(120) for maker in makers] == [0, 0]
    assert (tmp_path / "count").read_text() == "made\n"


MAKE_SLOWLY = """
import sys, time
from pathlib import Path
from dev_cluster import cache
root = Path(sys.argv[1])
def make(folder):
    with (root / "count").open("a") as count:
        count.write("made\\n")
    time.sleep(0.5)
    (folder / "thing").touch()
cache.provide(root / "things", make)
"""


def test_the_root_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOPS_CACHE", "/somewhere")
    assert cache.root() == Path("/somewhere")
    monkeypatch.delenv("STRATOPS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache.root() == Path("/caches/stratops")
