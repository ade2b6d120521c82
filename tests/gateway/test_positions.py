"""Positions while NATS is away: a state, so older ones give way."""

from decimal import Decimal

from risk_gateway.bus import Bus
from risk_gateway.positions import PositionPublisher, PositionUpdate

ZERO = Decimal(0)


def update(number: int, symbol: str = "BTCUSDT") -> PositionUpdate:
    return PositionUpdate("s", symbol, number, Decimal(number), None, None, ZERO, None, 7)


async def test_what_waits_is_bounded_by_the_number_of_positions() -> None:
    publisher = PositionPublisher(Bus("nats://127.0.0.1:1"), most=10)
    for number in range(1, 1_000):
        publisher.publish(update(number, f"S{number % 3}"))
    assert publisher.unpublished <= 10
    assert [each.number for each in publisher.waiting][-3:] == [997, 998, 999]


def test_a_flat_position_has_no_direction() -> None:
    assert b'"side":"flat","quantity":"0"' in update(0).payload()


def test_a_short_position_is_a_quantity_and_a_side() -> None:
    assert b'"side":"short","quantity":"5"' in update(-5).payload()
