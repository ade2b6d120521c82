"""The session with the gateway, on a real stream."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any

import pytest

from dark_relay import Relay
from handover.messages import Alive, GatewayMessage, Hello, Welcome
from own_time import Watch
from strategy_runner.desk import Gateway
from strategy_runner.session import GatewaySession, NotWanted, Timing
from stratops_wire.leader import NOT_WANTED

pytestmark = pytest.mark.servers

HELLO = Hello("probe", "r", "i")
QUICK = Timing(backoff_s=0.01, backoff_most_s=0.02, refused_s=0.2, refused_most_s=0.5)


class Client:
    def __init__(self, address: str) -> None:
        self.heard: list[GatewayMessage] = []
        self.ends: list[str] = []
        self.session = GatewaySession(
            lambda: Gateway(address, "token"),
            on_open=lambda gateway: self.session.send(HELLO),
            on_message=self.heard.append,
            on_closed=self.ends.append,
            timing=QUICK,
        )
        self.task = asyncio.create_task(self.session.run())


@pytest.fixture
async def client(gateway: Any) -> Any:
    made = Client(gateway.address)
    yield made
    made.task.cancel()
    await asyncio.wait({made.task})


async def test_messages_go_both_ways_in_their_order(gateway: Any, client: Client) -> None:
    await gateway.until(lambda: client.heard == [Welcome(0, 0)])
    for _ in range(3):
        client.session.send(Alive())
    await gateway.until(lambda: gateway.heard == [HELLO, Alive(), Alive(), Alive()])


async def test_a_stream_that_ends_is_opened_again(gateway: Any, client: Client) -> None:
    await gateway.until(lambda: client.heard)
    address = gateway.address
    await gateway.stop()
    await gateway.until(lambda: client.ends)
    await gateway.start(address)
    await gateway.until(lambda: gateway.of(Hello)[1:] != [])


async def test_without_a_stream_a_message_is_forgotten(gateway: Any) -> None:
    client = Client(gateway.address)
    client.session.send(Alive())
    await gateway.until(lambda: client.heard)
    assert gateway.heard == [HELLO]
    client.task.cancel()


@pytest.fixture
def refusing(gateway: Any) -> Iterator[None]:
    gateway.refuses = True
    yield
    gateway.refuses = False


@pytest.mark.usefixtures("refusing")
async def test_who_stays_unknown_asks_less_often_and_is_served_when_it_is_known(
    gateway: Any, client: Client
) -> None:
    await gateway.until(lambda: len(client.ends) > 3)
    await asyncio.sleep(5 * QUICK.refused_s)
    before, asked = monotonic(), len(client.ends)
    await gateway.until(lambda: len(client.ends) >= asked + 3)
    assert monotonic() - before > 2 * QUICK.refused_most_s / 2
    assert {"UNAUTHENTICATED" in end for end in client.ends} == {True}
    gateway.refuses = False
    await gateway.until(lambda: client.heard)


async def test_what_is_wanted_no_more_ends(gateway: Any) -> None:
    gateway.refuses, gateway.refusal = True, NOT_WANTED
    client = Client(gateway.address)
    with pytest.raises(NotWanted, match="unknown_caller"):
        await asyncio.wait_for(client.task, 60)


@pytest.mark.usefixtures("refusing")
async def test_who_becomes_known_in_time_is_served(gateway: Any, client: Client) -> None:
    await gateway.until(lambda: client.ends)
    gateway.refuses = False
    await gateway.until(lambda: client.heard)


@pytest.fixture
async def relay(gateway: Any) -> AsyncIterator[Relay]:
    made = Relay(int(gateway.address.rpartition(":")[2]))
    made.url = await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def far_client(relay: Relay) -> AsyncIterator[Client]:
    made = Client(relay.url)
    yield made
    made.task.cancel()
    await asyncio.wait({made.task})


@pytest.mark.parametrize("talks", [True, False], ids=["while it talks", "while it is silent"])
async def test_a_link_gone_dark_is_noticed_within_fifteen_seconds(
    gateway: Any, relay: Relay, far_client: Client, talks: bool
) -> None:
    await gateway.until(lambda: far_client.heard)
    relay.dark = True
    with Watch() as watch:
        while not far_client.ends:
            assert watch.seconds < 15
            if talks:
                far_client.session.send(Alive())
            await asyncio.sleep(0.05)
    assert "ping timeout" in far_client.ends[0]
    relay.dark = False
    await gateway.until(lambda: len(far_client.heard) > 1)


@pytest.mark.servers
@pytest.mark.parametrize("talks", [True, False], ids=["while it talks", "while it is silent"])
async def test_a_gateway_with_nothing_to_say_is_not_taken_for_dead(
    gateway: Any, client: Client, talks: bool
) -> None:
    """Nor does it mind being asked for a sign of life."""
    for _ in range(400):
        if talks:
            client.session.send(Alive())
        await asyncio.sleep(0.1)
    assert (client.ends, gateway.sessions) == ([], 1)
