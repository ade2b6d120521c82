"""The desk's own folder: one `up` at a time, nothing for other eyes."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stratops.folder import DeskIsRunning, FolderUnusable, NoDesk, Running, running_in, taken
from stratops.ports import free_ports

RUNNING = Running(1, "run-1", "g", "v", "r", "n", "secret")


def test_two_desks_do_not_share_a_folder(tmp_path: Path) -> None:
    with taken(tmp_path), pytest.raises(DeskIsRunning, match="another `stratops up`"):
        taken(tmp_path).__enter__()


def test_a_file_is_no_folder_for_a_desk(tmp_path: Path) -> None:
    (tmp_path / "dip.py").touch()
    with pytest.raises(FolderUnusable, match=r"--state: '.*dip\.py', expected a folder"):
        taken(tmp_path / "dip.py").__enter__()


def test_the_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), taken(tmp_path):
        raise KeyError
    with taken(tmp_path):
        pass


def test_a_desk_that_was_killed_does_not_run_any_more(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with taken(tmp_path) as folder:
        folder.announce(replace(RUNNING, pid=ended.pid))
        with pytest.raises(NoDesk, match=f"process {ended.pid} was killed"):
            running_in(tmp_path)


def test_no_session_is_named_twice(tmp_path: Path) -> None:
    with taken(tmp_path) as folder:
        assert [folder.next_session(), folder.next_session()] == ["run-1", "run-2"]
    with taken(tmp_path) as folder:
        assert folder.next_session() == "run-3"


def test_a_running_desk_is_found_by_its_owner_only(tmp_path: Path) -> None:
    with taken(tmp_path) as folder:
        folder.announce(RUNNING)
        assert running_in(tmp_path) == RUNNING
        assert (tmp_path / "desk.json").stat().st_mode & 0o777 == 0o600


def test_after_the_run_no_desk_and_no_token_is_left(tmp_path: Path) -> None:
    with taken(tmp_path) as folder:
        folder.announce(RUNNING)
    with pytest.raises(NoDesk, match="no desk runs here"):
        running_in(tmp_path)


def test_what_a_killed_up_announced_is_not_believed(tmp_path: Path) -> None:
    with taken(tmp_path) as folder:
        folder.announce(RUNNING)
        kept = (tmp_path / "desk.json").read_bytes()
    (tmp_path / "desk.json").write_bytes(kept)
    with taken(tmp_path), pytest.raises(NoDesk):
        running_in(tmp_path)


def test_a_namespace_makes_no_folder_in_the_specs(tmp_path: Path) -> None:
    with taken(tmp_path) as folder:
        path = folder.write_spec("desk-a/probe", "0123456789", b"{}")
    assert path.name == "desk-a.probe-0123456789.json"


def test_ports_are_different_and_not_those_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768
