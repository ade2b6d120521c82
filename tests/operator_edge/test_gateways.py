"""The operator's side of a desk's gateway, against a real one: terms, silence, what it knows."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from desk_driver import content
from gateway_driver import Process
from identity_driver import NAMESPACE, OPERATOR, KeyServer, Signer
from strategy_operator import gateways
from strategy_operator.gateways import _CHUNK, Gateway, Ties
from strategy_operator.observed import GatewayView
from strategy_operator.queue import Key
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient, GatewayUnavailable, LowerTerm

pytestmark = pytest.mark.servers

SIGNER = Signer()
BTC = (NAMESPACE, "btc")
REVISION = "0123456789"


@dataclass
class World:
    """What the gateway's answers are held against."""

    strategies: list[Key] = field(default_factory=lambda: [BTC])
    looked_at: list[Key] = field(default_factory=list)

    def add(self, key: Key, after_s: float = 0.0) -> None:
        if not after_s:
            self.looked_at.append(key)

    async def orphaned(self, key: Key) -> bool:
        return key not in self.strategies

    def ties(self) -> Ties:
        return Ties(self, lambda _: self.strategies, self.orphaned)


@pytest.fixture
async def server(tmp_path: Path, port: Callable[[], int]) -> AsyncIterator[KeyServer]:
    started = KeyServer(tmp_path / "api", port(), SIGNER)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def process(
    tmp_path: Path, port: Callable[[], int], server: KeyServer
) -> AsyncIterator[Process]:
    access = server.access
    away = {"REDIS_URL": "redis://127.0.0.1:1", "NATS_URL": "nats://127.0.0.1:1"}
    started = await asyncio.to_thread(
        lambda: Process(
            "risk_gateway", tmp_path / "gateway", port(), server.bundle.ca,
            IDENTITY="cluster", OPERATORS=OPERATOR, NAMESPACE=NAMESPACE,
            API_SERVER=access.server, API_CA=str(access.ca), API_TOKEN_FILE=str(access.token_file),
            TLS_DIR=str(server.folder), VENUE="127.0.0.1:1", **away,
        )
    )  # fmt: skip
    yield started
    started.kill()


def client(process: Process) -> GatewayClient:
    return GatewayClient(process.address, lambda: SIGNER.token(OPERATOR), process.ca)


@contextlib.asynccontextmanager
async def serving(process: Process, world: World, holder: str = "one") -> AsyncIterator[Gateway]:
    gateway = Gateway(NAMESPACE, client(process), holder, world.ties())
    task = asyncio.create_task(gateway.serve())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fact: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _flattening(gateway: Gateway) -> str:
    view, _ = gateway.view("btc")
    return view.flattening if view else "?"


def wanted(gateway: Gateway) -> str:
    view, _ = gateway.view("btc")
    return view.wanted if view else "?"


async def test_a_strategy_that_the_gateway_does_not_know_has_an_empty_view(
    process: Process,
) -> None:
    world = World()
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        assert gateway.view("btc") == (GatewayView(), None)
        assert world.looked_at == [BTC]


async def test_what_it_was_told_is_seen_at_once_and_stays(process: Process) -> None:
    async with serving(process, World()) as gateway:
        await until(lambda: gateway.reachable)
        await gateway.deploy("btc", REVISION, content(), ("uid-1",))
        view, _ = gateway.view("btc")
        assert view is not None
        assert (view.known, view.wanted, view.runner_pods) == (True, REVISION, frozenset({"uid-1"}))
        await asyncio.sleep(1.0)  # through several answers of the gateway
        assert wanted(gateway) == REVISION


@pytest.mark.parametrize("flatten", [False, True])
async def test_a_withdrawal_is_seen_at_once_and_stays(process: Process, flatten: bool) -> None:
    async with serving(process, World()) as gateway:
        await until(lambda: gateway.reachable)
        await gateway.deploy("btc", REVISION, content(), ())
        await gateway.withdraw("btc", "deleted", flatten=flatten)
        view, _ = gateway.view("btc")
        assert view is not None
        assert (view.wanted, bool(view.flattening)) == ("", True)
        await until(lambda: not _flattening(gateway))
        assert wanted(gateway) == ""


async def test_nothing_is_asked_for_before_there_is_a_term(process: Process) -> None:
    gateway = Gateway(NAMESPACE, client(process), "one", World().ties())
    with pytest.raises(LowerTerm):
        await gateway.deploy("btc", REVISION, content(), ())


async def test_a_desk_that_obeys_a_higher_term_is_closed(process: Process) -> None:
    first, second = World(), World()
    async with serving(process, first) as gateway:
        await until(lambda: gateway.reachable)
        async with serving(process, second, "two") as follower:
            await until(lambda: follower.reachable)
            await until(lambda: not gateway.reachable)
            with pytest.raises(LowerTerm):
                await gateway.deploy("btc", REVISION, content(), ())
            await follower.deploy("btc", REVISION, content(), ())
            assert follower.reachable


async def test_who_still_leads_a_while_after_a_higher_term_begins_a_new_one(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "_FOLLOWED_S", 1.0)
    async with serving(process, World()) as gateway:
        await until(lambda: gateway.reachable)
        async with client(process) as stranger:
            await stranger.begin_term("stranger")
        with pytest.raises(LowerTerm):
            await gateway.deploy("btc", REVISION, content(), ())
        await _deployed(gateway)
        assert gateway.reachable


async def test_a_gateway_that_falls_silent_is_lost_after_a_while_and_comes_back(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "_LOST_S", 8.0)
    world = World()
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        await gateway.deploy("btc", REVISION, content(), ())
        process.kill()
        killed_at = time.monotonic()
        await asyncio.sleep(1.0)
        assert gateway.reachable  # a moment of silence is none
        await until(lambda: not gateway.reachable)
        _, lost_at = gateway.view("btc")
        assert lost_at == pytest.approx(killed_at, abs=10.0)
        with pytest.raises(GatewayUnavailable):
            await gateway.withdraw("btc", "deleted", flatten=False)
        await process.start_again()
        await until(lambda: gateway.reachable)
        assert wanted(gateway) == REVISION  # its journal has it


async def test_a_gateway_that_lost_its_journal_gets_a_new_term(process: Process) -> None:
    world = World()
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        process.kill()
        for file in process.folder.glob("journal*"):
            file.unlink()
        await process.start_again()
        await until(lambda: wanted(gateway) == "")
        await _deployed(gateway)


async def test_what_a_gateway_lost_is_known_no_more_and_looked_at(process: Process) -> None:
    world = World()
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        await gateway.deploy("btc", REVISION, content(), ())
        process.kill()
        for file in process.folder.glob("journal*"):
            file.unlink()
        world.looked_at.clear()
        await process.start_again()
        await until(lambda: gateway.view("btc") == (GatewayView(), None))
        assert BTC in world.looked_at


async def test_a_gateway_is_believed_only_when_its_answer_was_read_to_the_end(
    process: Process,
) -> None:
    many = [f"btc-{number}" for number in range(_CHUNK + 1)]
    world = World([(NAMESPACE, name) for name in many])
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        await asyncio.gather(*(gateway.deploy(name, REVISION, content(), ()) for name in many))
    async with serving(process, world, "two") as gateway, asyncio.timeout(120):
        while not gateway.reachable:
            await asyncio.sleep(0)
        views = [gateway.view(name)[0] for name in many]
        assert [view.wanted for view in views if view] == [REVISION] * len(many)


async def _deployed(gateway: Gateway) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                await gateway.deploy("btc", REVISION, content(), ())
            except (GatewayUnavailable, LowerTerm):
                await asyncio.sleep(0.1)
            else:
                return


async def test_what_has_no_strategy_any_more_is_withdrawn(process: Process) -> None:
    world = World()
    async with serving(process, world) as gateway:
        await until(lambda: gateway.reachable)
        await gateway.deploy("btc", REVISION, content(), ())
        world.strategies.clear()
        await until(lambda: wanted(gateway) == "")


class AmongOthers(GatewayClient):
    """While it waits for an answer, the loop is busy with other strategies."""

    def __init__(self, *who: Any) -> None:
        super().__init__(*who)
        self.pauses: list[float] = []  # from one answer to the next question
        self._answered_at = time.monotonic()

    async def get_desk(self, **options: Any) -> pb.Desk:
        self.pauses.append(time.monotonic() - self._answered_at)
        until_s = time.thread_time() + 1.0
        while time.thread_time() < until_s:
            pass
        try:
            return await super().get_desk(**options)
        finally:
            self._answered_at = time.monotonic()


async def test_what_the_loop_did_for_others_is_not_held_against_the_gateway(
    process: Process,
) -> None:
    """Fifty that started together were looked at once in 15 seconds."""
    busy = AmongOthers(process.address, lambda: SIGNER.token(OPERATOR), process.ca)
    gateway = Gateway(NAMESPACE, busy, "one", World().ties())
    task = asyncio.create_task(gateway.serve())
    await until(lambda: len(busy.pauses) > 3)
    assert max(busy.pauses[1:]) < 9  # else 10 s from one to the next
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
