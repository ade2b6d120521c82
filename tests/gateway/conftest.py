"""A desk to drive: the real one on a real journal (see tests/support/desk_driver.py)."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desk_driver import DeskDriver
from gateway_driver import Stack
from held_ports import free_port
from postgres_driver import PostgresMissing, PostgresServer, running
from risk_gateway.settings import Clock
from stratops_wire import gateway_client


@pytest.fixture(autouse=True)
def _patient_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call has two seconds; a machine may stand still for longer."""
    monkeypatch.setattr(gateway_client, "CALL_S", 20.0)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        with running() as server:
            yield server
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"PostgreSQL: {missing}")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    driver = DeskDriver(tmp_path)
    yield driver
    driver.close()


@pytest.fixture
async def bound_desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    """One that asks for risk policies."""
    driver = DeskDriver(tmp_path, asks_for_policies=True)
    yield driver
    driver.close()


@pytest.fixture
async def wall_desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    driver = DeskDriver(tmp_path, Clock.WALL)
    yield driver
    driver.close()


@pytest.fixture
async def stack(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any
) -> AsyncIterator[Stack]:
    started = Stack(tmp_path, port, redis_server, nats_server)
    yield started
    await started.hang_up()
    started.close()


@pytest.fixture(scope="module")
def long_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("shared")
    away = SimpleNamespace(url="redis://127.0.0.1:1", port=1)
    bus = SimpleNamespace(url="nats://127.0.0.1:1")
    started = Stack(folder, free_port, away, bus)
    yield started
    started.close()


@pytest.fixture
async def shared_stack(long_running: Stack) -> AsyncIterator[Stack]:
    """For what changes nothing that another test would see. Neither Redis nor NATS is there."""
    yield long_running
    await long_running.hang_up()
