"""A desk to drive: the real one on a real journal (see tests/support/desk_driver.py)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from desk_driver import DeskDriver
from risk_gateway.settings import Clock


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    driver = DeskDriver(tmp_path)
    yield driver
    driver.close()


@pytest.fixture
async def wall_desk(tmp_path: Path) -> AsyncIterator[DeskDriver]:
    driver = DeskDriver(tmp_path, Clock.WALL)
    yield driver
    driver.close()
