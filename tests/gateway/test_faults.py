"""Each fault once, under load: ledger equals venue, the journal proves, and something said so.

`make long` has each twenty times: see docs/long-runs.md.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chance import SEED
from fault_desk import NotHere, Servers
from fault_round import Round, play, row, scene
from faults import FAULTS, Needs

TIMES = 20

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


@pytest.fixture
def servers(
    request: pytest.FixtureRequest, fault: str, redis_server: Any, nats_server: Any
) -> Servers:
    needs = FAULTS[fault].needs
    postgres = request.getfixturevalue("postgres_server") if needs is Needs.POSTGRES else None
    hostile = needs is Needs.HOSTILE_BUS
    other = request.getfixturevalue("another_nats_server") if hostile else None
    return Servers(redis_server, nats_server, other, postgres)


@pytest.mark.parametrize("seed", [SEED], ids=str)
@pytest.mark.parametrize("fault", FAULTS)
async def test_after_a_fault_all_agree_again(
    fault: str, seed: int, servers: Servers, tmp_path: Path, record_property: Any
) -> None:
    found = await _struck(fault, 1, seed, servers, tmp_path)
    record_property("row", row(found))
    _hold(found)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [SEED], ids=str)
@pytest.mark.parametrize("fault", FAULTS)
async def test_after_the_same_fault_again_and_again_all_agree(
    fault: str, seed: int, servers: Servers, tmp_path: Path, record_property: Any
) -> None:
    found = await _struck(fault, TIMES, seed, servers, tmp_path)
    record_property("row", row(found))
    _hold(found)


async def _struck(fault: str, times: int, seed: int, servers: Servers, folder: Path) -> list[Round]:
    chance = Random(seed)
    try:
        async with scene(fault, folder / "desk", servers, chance) as struck:
            return [await play(fault, struck, chance) for _ in range(times)]
    except NotHere as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{fault}: {missing}")


def _hold(rounds: Sequence[Round]) -> None:
    for each in rounds:
        assert each.tally.orders > 0
        assert each.differences == []
        assert not each.silent, each.named
