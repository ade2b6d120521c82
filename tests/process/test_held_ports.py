"""What tests' servers listen on: nobody else is given it, also while its server is down."""

import socket

import pytest

from held_ports import free_port


def listening(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_server_listens_there_and_again() -> None:
    port = free_port()
    for _ in range(2):
        with listening(port), socket.create_connection(("127.0.0.1", port)):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_kernel_gives_it_to_nobody_else() -> None:
    ports = {free_port() for _ in range(50)}
    for _ in range(5_000):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            assert other.getsockname()[1] not in ports
