"""A port that somebody else takes first is given up for another one."""

import socket
from collections.abc import Callable, Iterator

import pytest

from up_driver import Up

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]

# The command, with one port of its first choice taken already.
PROGRAM = """
import sys
from stratops import main, ports, up
free, chosen = ports.free_ports, []
def choose(count):
    found = list(free(count))
    if not chosen:
        found[{place}] = {port}
    chosen.append(found)
    return tuple(found)
up.free_ports = choose
main.app()
"""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


@pytest.mark.parametrize("place", range(4), ids=["redis", "nats", "gateway", "venue"])
async def test_a_taken_port_is_given_up_for_another(
    start_up: StartUp, taken: int, place: int
) -> None:
    program = ("-c", PROGRAM.format(place=place, port=taken))
    up = start_up("--speed", "10", program=program)
    await up.until(lambda desk: desk.fills > 0)
    assert f":{taken}" not in up.running().gateway + up.running().venue
