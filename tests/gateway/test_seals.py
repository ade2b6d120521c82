"""A seal and the records after it are the desk that the whole journal is."""

import asyncio
import dataclasses
import json
import re
import sqlite3
import tempfile
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from desk_driver import DeskDriver, buy, fill
from desk_story import ALL_STEPS, Story
from examples import examples
from risk_gateway import snapshot
from risk_gateway.archive import Archive
from risk_gateway.journal import Seal
from risk_gateway.proof import NotProven
from risk_gateway.recollection import recollected
from risk_gateway.restore import Restoration
from risk_gateway.sealing import Sealer, seal_record
from risk_gateway.snapshot import taken, to_json
from risk_gateway.told import Told
from trading.lines import Line
from trading.rates import SECOND_NS
from trading.reservations import Working

# What only shortens the way to the journal, or is not the desk's own.
NOT_LOOKED_AT = {
    "archive", "_archive", "journal", "market", "outside", "counts", "_policies", "_view",
    "_batches", "_succession", "_out", "ended", "instruments", "_outcomes", "_verdicts",
    "_counted", "terms", "judged", "_members", "_pools", "_told", "_looked_at", "_taken",
}  # fmt: skip
NOTHING: tuple[object, ...] = (Working(), Line(), {}, 0)  # not to be there is to be none


def picture(value: Any) -> Any:
    """All that an object consists of, to any depth, but for what is not looked at."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        return str(value)  # an enum's word, too
    if isinstance(value, int | float | Enum | NoneType | bytes):
        return repr(value)
    if isinstance(value, Mapping):
        some = [(key, each) for key, each in value.items() if each not in NOTHING]
        return sorted(((picture(key), picture(each)) for key, each in some), key=repr)
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, list | tuple | deque):
        return [picture(each) for each in value]
    if callable(value):
        return None
    names = [*getattr(type(value), "__slots__", ()), *getattr(value, "__dict__", ())]
    assert names, f"{value!r} cannot be looked into"
    return [(name, picture(getattr(value, name))) for name in names if name not in NOT_LOOKED_AT]


def told(desk: Told) -> Any:
    return (desk.outcomes_after(0), desk.last_outcome(), desk.holdings(), desk.newest_batch)


def desk_of(restoration: Restoration) -> Any:
    state = restoration.state
    grants = {name: restoration.grants[name] for name in sorted(restoration.grants)}
    return picture(state), picture(grants), [told(each.told) for each in state.strategies.values()]


def sealed_at(archive: Archive, number: int) -> tuple[Restoration, Seal]:
    """What the records up to that one make, and a seal of it."""
    restoration = recollected(archive)
    rows = list(archive.read(0, number))
    for row in rows:
        restoration.take(row)
    text = to_json(taken(restoration.state, restoration.grants))
    return restoration, Seal(number, rows[-1].hash, text)


def gone_on(archive: Archive, seal: Seal) -> Restoration:
    restoration = recollected(archive)
    made = snapshot.from_json(seal.snapshot)
    assert made is not None
    restoration.grants = snapshot.put_back(made, restoration.state, restoration.timing)
    restoration.read(seal, archive.head())
    return restoration


async def law(steps: list[tuple[str, str]], folder: Path, share: float) -> None:
    desk = DeskDriver(folder)
    await Story(desk).play(steps)
    head = desk.archive.head()
    whole, at_the_end = sealed_at(desk.archive, head.number)
    _, before = sealed_at(desk.archive, max(1, round(head.number * share)))
    for seal in (at_the_end, before):
        assert desk_of(gone_on(desk.archive, seal)) == desk_of(whole)
    desk.close()


@given(ALL_STEPS, st.floats(0, 1))
@example([("buy", "fill"), ("sell", "nothing"), ("buy", "nothing")], 0.0)  # both sides at work
@examples(25)
def test_a_seal_and_the_rest_are_the_whole(steps: list[tuple[str, str]], share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(law(steps, Path(folder), share))


async def traded_and_sealed(desk: DeskDriver) -> Seal:
    """An order that was filled, the seal, and one that is at work."""
    runner = await desk.armed()
    await runner.decide(buy("before"))
    await desk.filled(fill("before"))
    _, seal = sealed_at(desk.archive, desk.archive.head().number)
    desk.journal.append([seal_record(seal, 7)])
    desk.feed_next()
    await runner.decide(buy("after", cause=2))
    return seal


def changed(desk: DeskDriver, statement: str) -> None:
    """By somebody else; then the desk starts again."""
    connection = sqlite3.connect(desk.journal.path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    desk.again()


async def test_a_start_reads_the_seal_and_what_came_after_it(desk: DeskDriver) -> None:
    seal = await traded_and_sealed(desk)
    changed(desk, f"DELETE FROM log WHERE number < {seal.number}")
    account, tally = desk.strategy.account, desk.strategy.tally
    assert account.positions["BTCUSDT"].quantity == 1
    assert list(account.orders) == ["after-0"]
    assert (tally.orders, tally.fills, desk.strategy.last_outcome) == (2, 1, 1)


async def test_ids_from_before_a_seal_are_still_known(desk: DeskDriver) -> None:
    await traded_and_sealed(desk)
    desk.again()
    assert await desk.filled(fill("before")) == ["before-0-1"]
    await desk.filled(fill("before", number=2, quantity="0.5"))
    await desk.settled(3)
    fresh = await desk.armed(instance="b")
    fresh.count = 2
    for _ in range(2):
        desk.feed_next()
    (verdict,) = await fresh.decide(buy("before", cause=3))
    assert verdict.reason == "duplicate"
    assert desk.strategy.account.positions["BTCUSDT"].quantity == Decimal("1.5")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE seals SET snapshot = replace(snapshot, '101', '1')", "its snapshot is"),
        ("UPDATE seals SET hash = x'00'", "its hash is"),
        ("DELETE FROM log WHERE kind = 'sealed'", "no record of it"),
        ("DELETE FROM log WHERE key = 'after'", "missing"),
        ("UPDATE log SET body = replace(body, '1', '2') WHERE key = 'after'", "(decided)"),
    ],
)
async def test_a_start_refuses_a_journal_that_was_changed(
    desk: DeskDriver, statement: str, named: str
) -> None:
    await traded_and_sealed(desk)
    with pytest.raises(NotProven, match=re.escape(named)):
        changed(desk, statement)


async def test_a_snapshot_of_another_layout_is_not_read(desk: DeskDriver) -> None:
    seal = await traded_and_sealed(desk)
    other = dataclasses.replace(
        seal, snapshot=seal.snapshot.replace(f'"layout":{snapshot.LAYOUT}', '"layout":0')
    )
    assert other != seal
    assert snapshot.from_json(other.snapshot) is None


async def test_a_snapshot_with_buckets_for_rates_is_read(desk: DeskDriver) -> None:
    """A journal that was cut at one could not be read otherwise."""
    seal = await traded_and_sealed(desk)
    older = json.loads(seal.snapshot) | {"layout": 4}
    limit, then_ns = desk.strategy.account.terms.limits.max_orders_per_second, 9 * SECOND_NS
    three_taken = {"level": (limit - 3) * SECOND_NS + 1, "at_ns": then_ns}
    older["strategies"][0]["account"]["second"] = three_taken
    none_taken = {"level": 2**62 * SECOND_NS, "at_ns": None}
    bound = {"watermarks": None, "second": none_taken, "minute": none_taken}
    older["pools"]["bounds"] = {"desk": bound}
    text = json.dumps(older)
    restoration = gone_on(desk.archive, dataclasses.replace(seal, snapshot=text))
    assert restoration.state.strategies["s"].account._second.left(then_ns) == limit - 3


@pytest.mark.servers
async def test_a_process_of_its_own_makes_the_same_seal(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await runner.decide(buy("before"))
    _, expected = sealed_at(desk.archive, desk.archive.head().number)
    assert await Sealer(desk.state).seal() == expected
    assert desk.again().strategy.account.orders.keys() == {"before-0"}
