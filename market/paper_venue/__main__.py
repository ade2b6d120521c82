"""Wires the venue's process: `python -m paper_venue`, settings from the environment."""

import asyncio
import os
import signal
import sys
import time

from market_data import Intake, Subscription, catalogue
from paper_venue.book import Book
from paper_venue.feed import Feed
from paper_venue.log import Log, open_log
from paper_venue.publisher import Publisher
from paper_venue.service import OrderService, make_server
from paper_venue.settings import InvalidSettings, Settings
from paper_venue.store import Store, StoreUnavailable
from paper_venue.venue import PaperVenue
from trading.instruments import InvalidCatalogue
from trading.market import Tape

_LOOK_S = 0.1  # for what waited too long, and for the feed's session
_GRACE_S = 0.3  # for calls in flight at the end
# Messages kept for orders that come late, shared among the symbols: some tens of megabytes.
_TAPE_MESSAGES = 131_072
_LEAST_TAPE = 4_096  # the window of a replay


class _Stopped(Exception):
    """Somebody asked the process to end, or the book cannot be written."""


async def serve(settings: Settings, log: Log) -> None:
    """Until SIGTERM or SIGINT. Raises StoreUnavailable, InvalidCatalogue or OSError."""
    instruments = catalogue.load(settings.catalogue)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    store = Store(settings.state_dir / "book.db")
    contents = store.load()
    store.start()
    try:
        book = Book(contents.last_number, contents.known, contents.buried)
        depth = max(_LEAST_TAPE, _TAPE_MESSAGES // len(settings.symbols))
        venue = PaperVenue(instruments, settings.rules, store.record, book, Tape(depth))
        venue.resume(contents.open_orders, time.monotonic())
        log("book_opened", orders=contents.last_number, open=book.open_count)
        await _run(settings, venue, store, contents.session, log)
    finally:
        store.stop()
    if store.failure is not None:
        raise store.failure


async def _run(settings: Settings, venue: PaperVenue, store: Store, session: str, log: Log) -> None:
    stopped = _stop_event()
    store.on_failure = stopped.set
    intake = Intake(settings.symbols)
    feed = Feed(intake, venue, behind=session)
    publisher = Publisher(store, settings.nats_url, log)
    store.on_fills = publisher.wake
    subscription = Subscription(
        settings.redis_url,
        settings.channels,
        on_payload=lambda payload: _take(feed, subscription, payload),
        on_subscribed=lambda count: log("feed_subscribed", subscription=count),
        on_lost=lambda reason: log("feed_lost", reason=reason),
        consumer=settings.consumer,
        progress=lambda: intake.sequences,
        symbols=settings.symbols,
        dropped=intake.dropped,
    )
    server = make_server(OrderService(venue, store, time.monotonic))
    server.add_insecure_port(settings.listen)
    await server.start()
    log("listening", address=settings.listen, fill_model=settings.rules.fill_model)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(subscription.run())
            tasks.create_task(publisher.run())
            tasks.create_task(_look_after(venue, feed))
            tasks.create_task(_note_session(subscription, store, session, log))
            tasks.create_task(_raise_when(stopped))
    except* _Stopped:
        log("stopping", dropped=dict(intake.dropped))
    finally:
        await server.stop(_GRACE_S)


def _take(feed: Feed, subscription: Subscription, payload: bytes) -> None:
    feed.take(payload)
    subscription.note_progress()


async def _look_after(venue: PaperVenue, feed: Feed) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        venue.give_up(time.monotonic())
        feed.look(time.monotonic())


async def _note_session(subscription: Subscription, store: Store, known: str, log: Log) -> None:
    """For a next life: a replay that is still in this session will go back for it."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if subscription.session not in ("", known):
            known = subscription.session
            store.note_session(known)
            log("feed_session", session=known)


def _stop_event() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _raise_when(stopped: asyncio.Event) -> None:
    await stopped.wait()
    raise _Stopped


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        log = open_log(settings.log_level)
        asyncio.run(serve(settings, log))
    except (InvalidSettings, InvalidCatalogue, StoreUnavailable, OSError, RuntimeError) as error:
        print(f"paper_venue: {error}", file=sys.stderr)  # noqa: T201  # the one line before the end
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
