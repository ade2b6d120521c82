"""One fault, under load, and all that has to be true after it; and the desk for it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from dev_cluster import tools
from dev_cluster.wheels import WheelUnavailable
from fault_desk import FaultDesk, NotHere, Servers, small_disk
from fault_load import Load, Tally
from faults import FAULTS, LEAST_FREE, Needs, Scene
from gateway_driver import until
from hostile_bus import between
from toxiproxy_driver import Toxiproxy

AGREED_WITHIN_S = 90.0
TOLD_WITHIN_S = 15.0
DISK_MB = 256  # twenty rounds of records, and 16 MB that are not in their place yet


@dataclass(slots=True)
class Round:
    fault: str
    tally: Tally
    trading_again_s: float = 0.0  # after the fault's end
    agreed_s: float = 0.0  # likewise, all that was under way included
    differences: list[str] = field(default_factory=list)
    named: Counter[str] = field(default_factory=Counter)

    @property
    def silent(self) -> bool:
        """Whether nothing said what happened."""
        signs = FAULTS[self.fault].signs
        return bool(signs) and not any(sign in self.named for sign in signs)


@asynccontextmanager
async def scene(fault: str, folder: Path, servers: Servers, chance: Random) -> AsyncIterator[Scene]:
    """Raises NotHere."""
    needs = FAULTS[fault].needs
    async with AsyncExitStack() as stack:
        folder.mkdir(exist_ok=True)
        state = clock = bus = None
        preload: dict[str, str] = {}
        settings: dict[str, str] = {}
        if needs is Needs.SMALL_DISK:
            state = stack.enter_context(small_disk(folder / "disk", DISK_MB))
            settings["LEAST_FREE_BYTES"] = str(LEAST_FREE)
        if needs is Needs.CLOCK:
            clock = folder / "clock"
            preload, settings = _faked(clock), {"CLOCK": "wall"}
        if needs is Needs.HOSTILE_BUS:
            ends = between(servers.venue_nats.url, servers.nats.url, chance)
            bus = await stack.enter_async_context(ends)
        toxiproxy = stack.enter_context(_toxiproxy())
        desk = FaultDesk(folder, servers, toxiproxy, state, preload, **settings)
        stack.push_async_callback(desk.close)
        load = Load(desk)
        trading = asyncio.create_task(load.run())
        stack.push_async_callback(_ended, trading)
        yield Scene(desk, load, clock, state, bus)


@contextmanager
def _toxiproxy() -> Iterator[Toxiproxy]:
    try:
        tools.toxiproxy()
    except (tools.ToolUnavailable, WheelUnavailable) as error:
        raise NotHere(str(error)) from error
    toxiproxy = Toxiproxy()
    try:
        yield toxiproxy
    finally:
        toxiproxy.close()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _faked(clock: Path) -> dict[str, str]:
    try:
        library = tools.libfaketime()
    except tools.ToolUnavailable as error:
        raise NotHere(str(error)) from error
    clock.write_text("+0")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds; without, each look at the clock reads the file
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def play(fault: str, scene: Scene, chance: Random) -> Round:
    """Strikes once, at some moment of the trading."""
    desk, load = scene.desk, scene.load
    listening = _Listening(desk)
    load.trading.set()
    load.taken()
    await until(load.accepted, AGREED_WITHIN_S)
    await asyncio.sleep(chance.uniform(0.2, 0.6))
    await FAULTS[fault].strike(replace(scene, told=lambda: _told(fault, listening, load)))
    over = time.monotonic()
    before = load.taken()
    await until(load.accepted, AGREED_WITHIN_S)
    found = Round(fault, before, trading_again_s=time.monotonic() - over)
    load.trading.clear()
    found.differences = await _settled(desk)
    found.agreed_s = time.monotonic() - over
    found.differences += filter(None, [await desk.verified()])
    found.tally = _sum(before, load.taken())
    found.named = listening.heard() + found.tally.refused
    return found


async def _told(fault: str, listening: "_Listening", load: Load) -> None:
    """A machine that has other work notices late; at the deadline it is said that nothing was."""
    signs = FAULTS[fault].signs
    deadline = time.monotonic() + TOLD_WITHIN_S
    while signs and time.monotonic() < deadline:
        await load.accepted()  # it counts what it was refused
        if any(sign in listening.heard() + load.tally.refused for sign in signs):
            return
        await asyncio.sleep(0.1)


class _Listening:
    """To what the desk's processes say, and whether they end, from now on."""

    def __init__(self, desk: FaultDesk) -> None:
        processes = {"gateway": desk.gateway, "venue": desk.venue}
        self._since = {name: (each, each.said()[1], each.ended) for name, each in processes.items()}

    def heard(self) -> Counter[str]:
        named: Counter[str] = Counter()
        for name, (process, place, ended) in self._since.items():
            named += process.said(place)[0]
            named += Counter({f"{name} ended": process.ended - ended})
        return named


async def _settled(desk: FaultDesk) -> list[str]:
    """What still differs at the deadline; empty: nothing."""
    deadline = time.monotonic() + AGREED_WITHIN_S
    working = -1
    while True:
        found = await desk.agreement()
        if found.whole:
            return []
        if time.monotonic() > deadline:
            return found.differences or [f"{found.working} orders at work"]
        if found.working == working:  # nothing moves: what is left is what rests
            await desk.cancel_all()
        working = found.working
        await asyncio.sleep(0.3)


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.orders + other.orders,
        one.sessions + other.sessions,
        one.accepted + other.accepted,
        one.refused + other.refused,
        one.seconds + other.seconds,
    )


def row(rounds: Sequence[Round]) -> str:
    """Of one fault: for docs/long-runs.md."""
    orders = sum(each.tally.orders for each in rounds)
    seconds = sum(each.tally.seconds for each in rounds)
    named: Counter[str] = sum((each.named for each in rounds), Counter())
    told = ", ".join(f"{name} {n}" for name, n in named.most_common(5))
    differing = sum(bool(each.differences) for each in rounds)
    cells = (
        rounds[0].fault,
        len(rounds),
        orders,
        f"{orders / max(seconds, 0.001):.0f}",
        f"{max(each.trading_again_s for each in rounds):.1f} s",
        f"{max(each.agreed_s for each in rounds):.1f} s",
        differing or "none",
        told,
    )
    return f"| {' | '.join(map(str, cells))} |"
