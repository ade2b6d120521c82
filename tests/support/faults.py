"""Each fault of a desk under load: what is done, what it needs, and by what names it is told.

A fault strikes while the load trades, and is over when `strike` returns.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fault_desk import FaultDesk
from fault_load import Load
from hostile_bus import HostileBus, Manner

LINKS = (
    "runner-gateway", "gateway-venue", "gateway-nats", "venue-nats", "gateway-redis",
    "gateway-postgres",
)  # fmt: skip
HOUR_S = 3600
_SPOILT_S = 1.0
_DARK_S = {"gateway-venue": 7.0}  # longer than an order may wait behind a call
_USUALLY_DARK_S = 2.5  # longer than a runner may be silent
_STEPPED_S = 1.5  # it is looked at once a second
_SLOW_MS = 1_000
_LATE_MS = 150
LEAST_FREE = 48_000_000  # bytes, of the small disk
_NEARLY_FULL = 32_000_000  # more than is written before it is looked for room again


class Needs(StrEnum):
    """What the desk has to stand on."""

    NOTHING = "nothing"
    POSTGRES = "postgres"
    SMALL_DISK = "small disk"
    CLOCK = "clock"
    HOSTILE_BUS = "hostile bus"


async def _nobody_waits() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may lay hands on."""

    desk: FaultDesk
    load: Load
    clock: Path | None = None  # what libfaketime reads
    disk: Path | None = None
    bus: HostileBus | None = None
    told: Callable[[], Awaitable[None]] = _nobody_waits  # until one of the fault's signs was said


Strike = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    strike: Strike
    needs: Needs = Needs.NOTHING
    # One of these has to be said, by a verdict's reason, a log's event or an end that was seen.
    signs: tuple[str, ...] = ()


# ---- kill -9


async def _kill_gateway(scene: Scene) -> None:
    scene.desk.gateway.kill()


async def _kill_venue(scene: Scene) -> None:
    scene.desk.venue.kill()


async def _kill_nats(scene: Scene) -> None:
    await _restart(scene.desk.servers.nats)


async def _kill_postgres(scene: Scene) -> None:
    await _restart(scene.desk.servers.postgres)


async def _restart(server: Any) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(server.start)


# ---- links


def _latency(link: str) -> Strike:
    async def strike(scene: Scene) -> None:
        with scene.desk.links[link].spoilt("latency", latency=_LATE_MS, jitter=_LATE_MS // 2):
            await asyncio.sleep(_SPOILT_S)

    return strike


def _reset(link: str) -> Strike:
    """Each connection is reset as soon as something passes."""

    async def strike(scene: Scene) -> None:
        with scene.desk.links[link].spoilt("reset_peer", timeout=0):
            await asyncio.sleep(_SPOILT_S)
            await scene.told()

    return strike


def _black_hole(link: str) -> Strike:
    async def strike(scene: Scene) -> None:
        with scene.desk.links[link].spoilt("timeout", timeout=0):
            await asyncio.sleep(_DARK_S.get(link, _USUALLY_DARK_S))
            await scene.told()

    return strike


def _slow_close(link: str) -> Strike:
    """The near end goes, and the far end learns of it late."""

    async def strike(scene: Scene) -> None:
        with scene.desk.links[link].spoilt("slow_close", delay=_SLOW_MS):
            near_end = link.partition("-")[0]
            if near_end == "runner":
                scene.load.hang_up()
            else:
                {"gateway": scene.desk.gateway, "venue": scene.desk.venue}[near_end].kill()
            await asyncio.sleep(_SPOILT_S)

    return strike


# ---- disk, clock, fills


async def _fill_disk(scene: Scene) -> None:
    """First nearly, then wholly."""
    assert scene.disk is not None
    filler = scene.disk / "filler"
    with filler.open("wb") as file:
        _fill(file.fileno(), scene.disk, leave=_NEARLY_FULL)
        await asyncio.sleep(_SPOILT_S)
        await scene.told()
        _fill(file.fileno(), scene.disk, leave=0)
        await asyncio.sleep(_SPOILT_S)
    filler.unlink()


def _fill(file: int, disk: Path, leave: int) -> None:
    found = os.statvfs(disk)
    more = found.f_bavail * found.f_frsize - leave
    try:
        while more > 0:
            more -= os.write(file, bytes(min(more, 1 << 20)))
    except OSError:
        pass  # it is full, which was the aim


def _step_clock(seconds: int) -> Strike:
    async def strike(scene: Scene) -> None:
        assert scene.clock is not None
        for offset in (seconds, 0):
            scene.clock.write_text(f"{offset:+d}")
            await asyncio.sleep(_STEPPED_S)

    return strike


def _fills(manner: Manner) -> Strike:
    async def strike(scene: Scene) -> None:
        assert scene.bus is not None
        scene.bus.manner = manner
        await asyncio.sleep(_SPOILT_S)
        scene.bus.manner = Manner.AT_ONCE

    return strike


KINDS: Mapping[str, Callable[[str], Strike]] = {
    "latency": _latency, "reset": _reset, "black hole": _black_hole, "slow close": _slow_close,
}  # fmt: skip


# By what a broken link is told, where latency is told by nothing: it is no fault of anybody.
_BROKEN = ("reset", "black hole")
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "runner-gateway": ("runner_gone",),
    "gateway-venue": ("venue_unanswered", "venue_unavailable", "order_expired"),
    "gateway-nats": ("bus_disconnected", "bus_trouble", "venue_unavailable"),
    "venue-nats": ("fills_not_published",),
    "gateway-redis": ("feed_lost", "no_price", "stale_price"),
    "gateway-postgres": ("gateway ended",),
}


def _of_links() -> dict[str, Fault]:
    return {
        f"{kind}, {link}": Fault(
            make(link),
            Needs.POSTGRES if link.endswith("postgres") else Needs.NOTHING,
            _SIGNS[link] if kind in _BROKEN else (),
        )
        for link in LINKS
        for kind, make in KINDS.items()
    }


FAULTS: Mapping[str, Fault] = {
    "kill -9 gateway": Fault(_kill_gateway, signs=("gateway ended",)),
    "kill -9 venue": Fault(_kill_venue, signs=("venue ended",)),
    "kill -9 NATS": Fault(_kill_nats, signs=("bus_disconnected", "bus_trouble")),
    "kill -9 PostgreSQL": Fault(_kill_postgres, Needs.POSTGRES, signs=("gateway ended",)),
    **_of_links(),
    "disk full": Fault(_fill_disk, Needs.SMALL_DISK, signs=("journal_unavailable",)),
    "clock an hour on, and back": Fault(_step_clock(HOUR_S), Needs.CLOCK),
    "clock an hour back, and on": Fault(_step_clock(-HOUR_S), Needs.CLOCK),
    "fills twice": Fault(_fills(Manner.TWICE), Needs.HOSTILE_BUS),
    "fills out of order": Fault(_fills(Manner.SHUFFLED), Needs.HOSTILE_BUS),
    "fills late": Fault(_fills(Manner.LATE), Needs.HOSTILE_BUS),
}
