"""A gateway with two paper venues, a for BTCUSDT and b for ETHUSDT, each a real process."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from desk_driver import OPERATOR, SECOND_NS, content, tick
from gateway_driver import Process, Stack, until
from stratops_api.v1 import order_execution_pb2 as venue_pb
from stratops_api.v1.order_execution_pb2_grpc import OrderExecutionStub
from trading.signals import Cause, Signal

BTC, ETH = "BTCUSDT", "ETHUSDT"


def venues(a: str, b: str, btc_at: str = "a") -> str:
    at = {btc_at: BTC, "b" if btc_at == "a" else "a": ETH}
    return "\n".join(
        f'[{name}]\naddress = "{address}"\nkind = "paper"\nsymbols = ["{at[name]}"]'
        for name, address in (("a", a), ("b", b))
    )


class TwoVenues(Stack):
    """`venue` is a; the gateway's environment names the file, so a test may write another one."""

    def __init__(
        self, folder: Path, ports: Callable[[], int], redis_: Any, nats: Any, **settings: str
    ) -> None:
        urls = {"REDIS_URL": redis_.url, "NATS_URL": nats.url}
        self.b = Process(
            "paper_venue", folder / "venue-b", ports(), FILL_MODEL="touch", CONSUMER="b", **urls
        )
        self.file = folder / "venues.toml"
        super().__init__(folder, ports, redis_, nats, b"", OPERATOR_TOKEN=OPERATOR, **settings)
        self.market.subscribers = 3

    def write_venues(self, **more: str) -> None:
        self.file.write_text(venues(self.venue.address, self.b.address, **more))

    def venue_settings(self) -> dict[str, str]:
        self.write_venues()
        return {"VENUES": str(self.file)}

    async def trading(self, instance: str = "x") -> Any:
        document = json.loads(content()) | {"symbols": [BTC, ETH]}
        await self.deploy(json.dumps(document))
        return await self.armed(instance)

    async def eth(self, sequence: int, bid: float = 100.0) -> Cause:
        """A tick of ETHUSDT, as a cause."""
        payload = tick(sequence, bid, ETH)

        async def arrives() -> bool:
            return int(self.market._redis.publish("market:ethusdt", payload)) >= 3

        await until(arrives)
        return Cause(ETH, "tick", sequence, sequence * SECOND_NS)

    def stub_of(self, venue: Process) -> Any:
        self._channels.append(venue.channel())
        return OrderExecutionStub(self._channels[-1])

    async def orders_at(self, venue: Process) -> dict[str, venue_pb.OrderResponse]:
        page = await self.stub_of(venue).ListOrders(venue_pb.ListOrdersRequest(), timeout=60)
        return {order.client_order_id: order for order in page.orders}

    def close(self) -> None:
        super().close()
        if self.b.process.poll() is None:
            self.b.kill()


def eth_order(name: str, cause: Cause, **fields: Any) -> Signal:
    usual: dict[str, Any] = {"symbol": ETH, "quantity": Decimal(1), "at_ns": cause.at_ns}
    return Signal(id=name, cause=cause, **{**usual, **fields})
