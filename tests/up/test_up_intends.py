"""A strategy that says a direction, from its runner to the venue's fills and back."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from stratops_api.v1 import risk_gateway_pb2 as pb
from up_driver import Up, manifest, strategy

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]

# It goes on only when it was told how large its order is, and that is filled.
CODE = """
from decimal import Decimal
from strategy_sdk import Direction, Strategy

class Intends(Strategy):
    def start(self):
        self.told = Decimal(0)
        self.waits = False

    def on_order_sized(self, sized):
        self.told += sized.quantity * sized.side.sign
        self.waits = False
        if self.position(sized.symbol) != self.told:
            raise ValueError(f"position {self.position(sized.symbol)}, told {self.told}")

    def on_market_data(self, event):
        symbol = event.symbol
        if not self.waits and self.settled(symbol) == self.told:
            self.waits = True
            direction = Direction.CLOSE if self.told else Direction.LONG
            self.intend(symbol, direction, confidence=Decimal("0.8"))
"""
POLICY = """apiVersion: stratops.dev/v1alpha1
kind: RiskPolicy
metadata: {name: sized}
spec:
  sizing: {fixedFraction: {fraction: 0.1}}
  aggregation: {method: unanimous}
"""


async def test_what_is_intended_is_sized_filled_told_and_closed(
    start_up: StartUp, tmp_path: Path
) -> None:
    (tmp_path / "intends.py").write_text(CODE)
    text = manifest("probe", "{source: {file: intends.py}}", parameters="{}")
    written = text.replace("risk: {", "risk: {policy: sized, ")
    (tmp_path / "desk.yaml").write_text(f"{written}---\n{POLICY}")
    up = start_up("-f", str(tmp_path / "desk.yaml"), "--speed", "10", "-o", "json")
    desk = await up.until(lambda desk: strategy(desk, "probe").fills >= 6)
    meant = {each.signal.direction: each.signal for each in strategy(desk, "probe").recent}
    assert meant.keys() == {pb.DIRECTION_LONG, pb.DIRECTION_CLOSE}
    assert all(Decimal(signal.quantity) > 0 for signal in meant.values())
    up.stop()
    report = up.report()
    assert report["ledger_equals_venue"]
    probe = report["strategies"]["probe"]
    assert (probe["errors"], probe["rejected"]) == (0, {})
