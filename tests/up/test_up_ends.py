"""However a desk ends, nothing of it stays: no process, no port, no file outside its folder."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from up_driver import Up

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
SOON_S = 10.0  # three on a machine of its own


def ports(up: Up) -> list[int]:
    running = up.running()
    urls = (running.gateway, running.venue, running.redis, running.nats)
    return [int(url.rpartition(":")[2]) for url in urls]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_ctrl_c_leaves_nothing(start_up: StartUp) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.fills > 0)
    children, opened = up.children(), ports(up)
    assert len(children) >= 7  # redis, nats, venue, gateway, two runners, feed
    assert up.stop() < SOON_S
    assert up.process.returncode == 0
    await up.until_true(lambda: not any(map(runs, children)))
    await up.until_true(lambda: not any(map(listens, opened)))


async def test_ctrl_c_while_it_starts_ends_it_too(start_up: StartUp) -> None:
    up = start_up()
    await up.until_true(lambda: bool(up.children()))
    children = up.children()
    assert up.stop() < SOON_S
    await up.until_true(lambda: not any(map(runs, children)))


async def test_kill_9_of_up_leaves_nothing(start_up: StartUp) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.fills > 0)
    children, opened = up.children(), ports(up)
    up.process.kill()
    up.process.wait()
    await up.until_true(lambda: not any(map(runs, children)))
    # One that is dead may have threads that are not yet.
    await up.until_true(lambda: not any(map(listens, opened)))


async def test_stopped_children_do_not_delay_the_end(start_up: StartUp) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.fills > 0)
    children = up.children()
    for child in children:
        child.suspend()
    assert up.stop() < 2 * SOON_S
    await up.until_true(lambda: not any(map(runs, children)))


async def test_nothing_is_written_outside_the_desks_folder(
    start_up: StartUp, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    temporary = tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    up = start_up("--speed", "10", "--for", "6s", environ={"HOME": home, "TMPDIR": temporary})
    up.process.wait(120)
    assert os.listdir(home) == []
    assert os.listdir(temporary) == []
    assert sorted(os.listdir(up.folder)) == ["desk", "err", "out"]
    assert "desk.json" not in os.listdir(up.state)


async def test_a_second_ctrl_c_ends_at_once(start_up: StartUp) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.fills > 0)
    children = up.children()
    up.process.send_signal(2)
    assert up.stop() < SOON_S
    await up.until_true(lambda: not any(map(runs, children)))
