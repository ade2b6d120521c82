"""A venue as a process of its own, on a real Redis and a real NATS."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
import redis

from held_ports import free_port
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1 import types_pb2 as types
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub

READY_S = 90.0


class Server(Protocol):
    port: int
    url: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


class VenueProcess:
    """`start` it again after `kill`: port and book are the same."""

    def __init__(
        self, folder: Path, port: int, redis_url: str, nats_url: str, model: str, pages: str = ""
    ) -> None:
        self.address = f"127.0.0.1:{port}"
        self.environment = {
            "STRATOPS_LISTEN": self.address,
            "STRATOPS_STATE_DIR": str(folder),
            "STRATOPS_REDIS_URL": redis_url,
            "STRATOPS_NATS_URL": nats_url,
            "STRATOPS_SYMBOLS": "BTCUSDT,ETHUSDT",
            "STRATOPS_CLOCK": "market",
            "STRATOPS_FILL_MODEL": model,
            "STRATOPS_METRICS_PORT": pages,
        }
        self.log = folder.parent / f"{folder.name}.log"
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "paper_venue"],
                env={**os.environ, **self.environment},
                stderr=log,
            )
        self._channel = grpc.insecure_channel(self.address)
        grpc.channel_ready_future(self._channel).result(READY_S)
        self.stub = OrderExecutionStub(self._channel)

    def kill(self, number: int = signal.SIGKILL) -> int:
        self._channel.close()
        self.process.send_signal(number)
        return self.process.wait(60)

    def submit(self, **fields: Any) -> pb.OrderResponse:
        return self.stub.SubmitOrder(order(**fields), timeout=60)

    def get(self, client_order_id: str) -> pb.OrderResponse:
        return self.stub.GetOrder(pb.GetOrderRequest(client_order_id=client_order_id), timeout=60)

    def reaches(self, client_order_id: str, state: str, within_s: float = 60) -> pb.OrderResponse:
        """The order once it is in that state."""
        number = types.OrderState.Value(f"ORDER_STATE_{state}")
        until(lambda: self.get(client_order_id).state, lambda state: state == number, within_s)
        return self.get(client_order_id)


class Market:
    """Publishes quotes; each has reached whoever is subscribed before it returns."""

    def __init__(self, port: int) -> None:
        self.redis = redis.Redis(port=port)

    def quote(
        self, sequence: int, ask: float, size: float = 10, symbol: str = "BTCUSDT",
        session: str = "run-1",
    ) -> None:  # fmt: skip
        tick = {
            "type": "tick", "symbol": symbol, "sequence": sequence, "timestamp": sequence * 10**9,
            "session": session,
            "bid_price": ask - 2, "bid_size": size, "ask_price": ask, "ask_size": size,
        }  # fmt: skip
        self.send(f"market:{symbol.lower()}", json.dumps(tick))

    def send(self, channel: str, message: str | bytes) -> None:
        until(lambda: self.redis.publish(channel, message), bool)
        # Redis answers whoever publishes first, and whoever subscribed after that.
        self.redis.ping()


def order(client_order_id: str = "c", cause: Any = 0, **fields: Any) -> pb.OrderRequest:
    """A market order to buy 1 BTCUSDT, unless the fields say otherwise."""
    usual: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": types.SIDE_BUY,
        "order_type": types.ORDER_TYPE_MARKET,
        "quantity": "1",
        "strategy_id": "s",
        "client_order_id": client_order_id,
    }
    if isinstance(cause, types.Cause):
        usual["cause"] = cause
    elif cause:
        usual["cause"] = types.Cause(symbol="BTCUSDT", type="tick", sequence=cause)
    return pb.OrderRequest(**{**usual, **fields})


def until(look: Callable[[], Any], holds: Callable[[Any], bool], within_s: float = 60) -> Any:
    """What `look` answers once it holds; fails at the deadline."""
    deadline = time.monotonic() + within_s
    while not holds(found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {within_s} s"
        time.sleep(0.02)
    return found


@pytest.fixture
def market(redis_server: Server) -> Iterator[Market]:
    made = Market(redis_server.port)
    yield made
    made.redis.close()


@pytest.fixture
def make_venue(
    tmp_path: Path, port: Callable[[], int], redis_server: Server, nats_server: Server
) -> Iterator[Callable[..., VenueProcess]]:
    made: list[VenueProcess] = []

    def make(model: str = "touch") -> VenueProcess:
        folder = tmp_path / f"venue{len(made)}"
        urls = redis_server.url, nats_server.url
        made.append(VenueProcess(folder, port(), *urls, model, pages=str(port())))
        return made[-1]

    yield make
    for venue in made:
        venue.kill()


@pytest.fixture
def venue(make_venue: Callable[..., VenueProcess]) -> VenueProcess:
    return make_venue()


@pytest.fixture(scope="module")
def shared_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    """For what needs no market: neither Redis nor NATS is there."""
    venue = _alone(tmp_path_factory.mktemp("shared") / "venue")
    yield venue
    venue.kill()


@pytest.fixture
def alone() -> Callable[[Path], VenueProcess]:
    """Makes one in that folder, with neither Redis nor NATS."""
    return _alone


def _alone(folder: Path) -> VenueProcess:
    nowhere = "127.0.0.1:1"
    return VenueProcess(folder, free_port(), f"redis://{nowhere}", f"nats://{nowhere}", "touch")


@pytest.fixture
def request_of() -> Callable[..., pb.OrderRequest]:
    return order


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until
