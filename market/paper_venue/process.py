"""Wires the venue's process: settings from the environment, until SIGTERM or SIGINT."""

import asyncio
import os
import time
from typing import NoReturn

import grpc.aio

from market_data import Intake, Subscription, catalogue
from paper_venue.book import Book
from paper_venue.feed import Feed
from paper_venue.fence import Fence
from paper_venue.holdings import Holdings
from paper_venue.log import Log, open_log
from paper_venue.metrics import Counts, Figures
from paper_venue.orders import Fill, Order
from paper_venue.publisher import Publisher
from paper_venue.service import OrderService, make_server
from paper_venue.settings import Settings
from paper_venue.store import Store, StoreUnavailable
from paper_venue.venue import PaperVenue
from stratops_process import ending
from stratops_process.cancelling import hurries
from stratops_process.environment import InvalidSettings
from stratops_process.pages import serving, standard
from trading.instruments import InvalidCatalogue
from trading.market import Tape

NAME = "paper_venue"

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
        counts = Counts(book)

        def record(order: Order, fills: tuple[Fill, ...]) -> None:
            counts.note(order, fills)
            store.record(order, fills)

        depth = max(_LEAST_TAPE, _TAPE_MESSAGES // len(settings.symbols))
        fence = Fence(contents.generations, store.note_generation)
        venue = PaperVenue(
            instruments, settings.rules, record, book, Tape(depth), Holdings(contents.held), fence
        )
        venue.resume(contents.open_orders, time.monotonic())
        log("book_opened", orders=contents.last_number, open=book.open_count)
        await _run(settings, venue, store, contents.session, log, counts)
    finally:
        store.stop()
        if store.failure is not None:  # whatever else fell with it
            raise store.failure


async def _run(
    settings: Settings, venue: PaperVenue, store: Store, session: str, log: Log, counts: Counts
) -> None:
    stopped = _stop_event(store)
    store.on_failure = stopped.set
    intake = Intake(settings.symbols)
    feed = Feed(intake, venue, behind=session)
    publisher = Publisher(store, settings.nats_url, log)
    store.on_fills = publisher.wake
    subscription = _subscription(settings, feed, intake, log)
    pages = standard(
        lambda: "" if subscription.connected else f"feed {subscription.trouble or 'not yet'}",
        Figures(counts, intake, publisher).page,
    )
    server = make_server(OrderService(venue, store, time.monotonic))
    _listen(server, settings.listen)
    async with serving(settings.metrics_host, settings.metrics_port, pages):
        await server.start()
        log("listening", address=settings.listen, fill_model=settings.rules.fill_model)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(subscription.run())
                tasks.create_task(publisher.run())
                tasks.create_task(_look_after(venue, feed))
                tasks.create_task(_note_session(subscription, store, session, log))
                tasks.create_task(_raise_when(stopped))
                tasks.create_task(hurries())
        except* _Stopped:
            log("stopping", dropped=dict(intake.dropped))
        finally:
            await server.stop(_GRACE_S)


def _listen(server: grpc.aio.Server, address: str) -> None:
    """Raises InvalidSettings."""
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise InvalidSettings(
            f"STRATOPS_LISTEN: {address!r}, expected a free address: {error}"
        ) from error


def _subscription(settings: Settings, feed: Feed, intake: Intake, log: Log) -> Subscription:
    def take(payload: bytes) -> None:
        feed.take(payload)
        subscription.note_progress()

    subscription = Subscription(
        settings.redis_url,
        settings.channels,
        on_payload=take,
        on_subscribed=lambda count: log("feed_subscribed", subscription=count),
        on_lost=lambda reason: log("feed_lost", reason=reason),
        consumer=settings.consumer,
        progress=lambda: intake.sequences,
        symbols=settings.symbols,
        dropped=intake.dropped,
    )
    return subscription


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


def _stop_event(store: Store) -> asyncio.Event:
    stopped = asyncio.Event()
    ending.orderly(asyncio.get_running_loop(), stopped.set, lambda _: _late(store))
    return stopped


def _late(store: Store) -> NoReturn:
    """What the book has is on disk."""
    if store.failure is not None:
        ending.leave(NAME, str(store.failure), 1)
    ending.leave(NAME, "asked to end", 0)


async def _raise_when(stopped: asyncio.Event) -> None:
    await stopped.wait()
    raise _Stopped


def main() -> NoReturn:
    """Its last line says why it ended."""
    try:
        settings = Settings.from_environment(os.environ)
        log = open_log(settings.log_level)
        asyncio.run(serve(settings, log))
    except (InvalidSettings, InvalidCatalogue, StoreUnavailable, OSError) as error:
        ending.leave(NAME, str(error), 1)
    ending.leave(NAME, "asked to end", 0)
