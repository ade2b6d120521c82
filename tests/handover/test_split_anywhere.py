"""A run that is handed over at any tick decides what the undivided run decides: ids and all."""

from collections.abc import Iterator
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from handover.messages import Phase
from handover_market import MEMORY
from handover_world import World
from market_data.catalogue import load
from strategy_library.sma_crossover import SmaCrossover
from strategy_runner.guard import Guard
from strategy_runner.host import StrategyHost
from strategy_sdk.seat import Seat
from trading.signals import Signal

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def at_every_tick(world: World, splits: int, key: str = "key") -> list[Signal]:
    """Publishes tick by tick, and hands over behind each."""
    for number in range(splits):
        world.publish(1)
        world.deploy(f"r{number}", key)
        world.start(f"r{number}")
        world.settle()
        assert world.armed.revision == f"r{number}"
        if number % 7 == 0:
            world.fill()
        world.sit(0.24)  # the old one leaves
    return accepted(world)


def accepted(world: World) -> list[Signal]:
    return [signal for batch in world.accepted() for signal in batch.signals]


@pytest.mark.parametrize(
    "splits", [600, pytest.param(8_000, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_a_hand_over_behind_every_tick_changes_nothing(splits: int) -> None:
    world = World.beginning()
    divided = at_every_tick(world, splits)
    assert world.grants.handovers == splits
    assert len(divided) > splits / 5
    assert divided == world.alone()


@examples(40)
@given(
    split=st.integers(0, 120),
    old_lags=st.integers(0, 15),
    new_lags=st.integers(0, 15),
    fills=st.sets(st.integers(0, 119), max_size=20),
)
def test_neither_needs_to_be_where_the_other_one_is(
    split: int, old_lags: int, new_lags: int, fills: set[int]
) -> None:
    world = World.beginning()
    old = world.armed
    for place in range(120):
        if place == split:
            world.deploy("r1", "key")
            new = world.start("r1")
        world.publish(1)
        if place in fills:
            world.fill()
        if place % (old_lags + 1) == 0:
            old.read(1_000)
        if place >= split and place % (new_lags + 1) == 0:
            new.read(1_000)
        _deliver_all_but_ticks(world)
    world.go_on(120)
    assert (world.armed is old) == (split == 120)
    assert accepted(world) == world.alone()


def _deliver_all_but_ticks(world: World) -> None:
    for _ in range(8):
        world.commit()
        for runner in world.runners.values():
            while runner.up:
                world.hear(runner)
            while runner.down:
                runner.hear()


def test_a_warmed_up_successor_decides_no_tick_twice_and_none_is_missed() -> None:
    world = World.beginning()
    for number in range(60):
        world.deploy(f"r{number}", key=f"kind {number}")
        runner = world.start(f"r{number}")
        while not (world.armed is runner and runner.replica.phase is Phase.ARMED):
            world.go_on(1)
        world.sit(0.24)
    world.go_on(MEMORY)
    world.judge_order()
    assert world.grants.mark.count == len(world.published)
    assert accepted(world) == world.alone()  # its memory is short: warm, it decides alike


def crossover() -> StrategyHost:
    """The real thing, as a runner hosts it."""

    def make_seat() -> Seat:
        strategy = SmaCrossover(short_period=3, long_period=8, quantity="0.1")
        return Seat(strategy, name="sma", symbols=SYMBOLS, instruments=load())

    return StrategyHost(make_seat, SYMBOLS, Guard(), lambda hook, error: None)


def quotes() -> Iterator[bytes]:
    """Two symbols that wander about in cents."""
    price, step = 5_000, 1
    for sequence in count(1):
        step = (step * 48_271) % 2_147_483_647
        price += step % 7 - 3
        yield msgspec.json.encode(
            {
                "type": "tick",
                "symbol": SYMBOLS[step % 5 == 0],
                "sequence": sequence,
                "timestamp": sequence,
                "session": "run-1",
                "bid_price": price / 100,
                "ask_price": (price + 1) / 100,
            }
        )


@pytest.mark.parametrize(
    ("splits", "key"),
    [(150, "key"), (10, ""), pytest.param(3_000, "key", marks=pytest.mark.long)],
    ids=["snapshots", "warm-up", "long"],
)
def test_sma_crossover_makes_the_same_orders_split_anywhere(splits: int, key: str) -> None:
    world = World.beginning(key=key, make_host=crossover, market=quotes())
    for number in range(splits):
        world.deploy(f"r{number}", key)
        runner = world.start(f"r{number}")
        while not runner.decides:
            world.go_on(1)
            world.fill()
        world.sit(0.24)
        world.go_on(1)
    made = accepted(world)
    assert len(made) > splits / 5
    assert made == world.alone()
    assert world.grants.mark.session == "run-1"
