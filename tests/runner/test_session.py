"""The session with the gateway, on a real stream."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from handover.messages import Alive, GatewayMessage, Hello, Welcome
from strategy_runner.desk import Gateway
from strategy_runner.session import GatewaySession, Refused, Timing

pytestmark = pytest.mark.servers

HELLO = Hello("probe", "r", "i")
QUICK = Timing(backoff_s=0.01, refused_s=0.2)


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
async def test_who_stays_unknown_gives_up(client: Client) -> None:
    with pytest.raises(Refused, match="UNAUTHENTICATED"):
        await asyncio.wait_for(client.task, 5)


@pytest.mark.usefixtures("refusing")
async def test_who_becomes_known_in_time_is_served(gateway: Any, client: Client) -> None:
    await gateway.until(lambda: client.ends)
    gateway.refuses = False
    await gateway.until(lambda: client.heard)
