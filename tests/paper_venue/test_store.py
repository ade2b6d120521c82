"""The durable book by itself: what is asked sees what was recorded, and only what is on disk."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from paper_venue.orders import Fill, Order, Request, fill_id
from paper_venue.store import Store, StoreUnavailable
from trading.fills import Liquidity
from trading.orders import OrderState
from trading.signals import Cause, OrderType, Side

CAUSE = Cause("BTCUSDT", "tick", 2**64 - 1, 2**63 - 1)  # the largest of both
FILL = Fill(1, Decimal("101.50"), Decimal("0.1"), Decimal("0.00000001"), Liquidity.MAKER, 7)


def order(number: int, strategy: str = "s") -> Order:
    request = Request(
        f"c{number}", strategy, "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.10"), cause=CAUSE
    )
    return Order(number, request)


def filled(number: int) -> Order:
    return order(number).after(FILL)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "book.db")
    made.start()
    yield made
    made.stop()


async def test_an_order_comes_back_as_it_was_recorded(store: Store) -> None:
    store.record(order(1))
    store.record(filled(1), (FILL,))
    assert await store.orders(["c1", "c2"]) == [filled(1), None]


async def test_a_new_life_starts_from_what_was_recorded(store: Store, tmp_path: Path) -> None:
    store.record(order(1))
    store.record(filled(2), (FILL,))
    store.bury("c3")
    store.stop()
    again = Store(tmp_path / "book.db")
    found = again.load()
    assert (found.last_number, list(found.open_orders)) == (2, [order(1)])
    assert (set(found.known), set(found.buried)) == ({"c1", "c2"}, {"c3"})
    again.stop()


async def test_a_page_has_the_orders_asked_for(store: Store) -> None:
    for each in (order(1), filled(2), order(3, "other"), order(4), order(5)):
        store.record(each)
    page = await store.page(after=1, limit=2, strategy="s", open_only=True)
    assert page == [order(4), order(5)]


async def test_a_fill_stays_in_the_outbox_until_it_is_published(store: Store) -> None:
    for number in (1, 2, 3):
        store.record(filled(number), (FILL,))
    first, second = await store.unpublished(limit=2)
    assert (first.fill_id, second.fill_id) == ("c1-1", fill_id(filled(2), FILL))
    await store.published([first])
    assert [fill.fill_id for fill in await store.unpublished(limit=9)] == ["c2-1", "c3-1"]


async def test_word_of_a_fill_comes_when_it_is_on_disk(store: Store) -> None:
    heard: list[str] = []
    store.on_fills = lambda: heard.append("fills")
    store.record(filled(1), (FILL,))
    assert not heard
    await store.orders([])
    assert heard == ["fills"]


async def test_a_book_that_cannot_be_written_answers_nobody_any_more(store: Store) -> None:
    heard: list[str] = []
    store.on_failure = lambda: heard.append("failed")
    store.record(filled(1), (FILL, FILL))  # the same fill id twice
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="fill_id"):
            await store.orders(["c1"])
    assert heard == ["failed"]


async def test_a_book_is_held_by_one_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="locked"):
        Store(tmp_path / "book.db")


async def test_a_cancelled_order_is_open_no_more(store: Store) -> None:
    store.record(order(1))
    store.record(replace(order(1), state=OrderState.CANCELLED))
    assert await store.page(0, 9, "", open_only=True) == []
