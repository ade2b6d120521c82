"""One gateway, wired: journal, desk, market, venue, bus and servers, from start to stop."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from handover.timing import Timing
from market_data import Intake, Subscription
from risk_gateway.archive import Archive
from risk_gateway.bus import Bus
from risk_gateway.callers import Callers, SharedTokens
from risk_gateway.desk import Desk
from risk_gateway.desk_currency import check_currency, check_quotes, currencies_of
from risk_gateway.fills import FillReader
from risk_gateway.halt_file import HaltFile
from risk_gateway.home import Postgres
from risk_gateway.journal import Journal
from risk_gateway.listening import listen, made_server, most_connections
from risk_gateway.market_view import MarketView
from risk_gateway.metrics import DeskCollector, exposition
from risk_gateway.opening import Opening
from risk_gateway.policies import Policies
from risk_gateway.policy_file import PolicyFile
from risk_gateway.positions import PositionPublisher
from risk_gateway.report import FeedView, Surroundings, levels
from risk_gateway.requests import ReadRequests
from risk_gateway.restore import Restoration, last_started
from risk_gateway.room import Room
from risk_gateway.roster import Roster
from risk_gateway.sealing import Sealer
from risk_gateway.service import Service
from risk_gateway.settings import Settings
from risk_gateway.standby import led_journal
from risk_gateway.start_note import note_start
from risk_gateway.state import State
from risk_gateway.venue_file import routes_of
from risk_gateway.venues import Venues, check_orders, check_symbols
from stratops_api.v1.risk_gateway_pb2_grpc import add_RiskGatewayServicer_to_server
from stratops_process import pages
from stratops_process.ending import cause
from trading.instruments import Instrument

if TYPE_CHECKING:
    from risk_gateway.cluster import ClusterSide

log = structlog.get_logger()

TICK_S = 0.02
_GRACE_S = 0.2
_STUCK_S = 10.0
_TIMING = Timing()


class Fault(Exception):
    """Something that no rule here covers. The journal has all that was told: start again."""


class Gateway:
    """`async with opened(...)`, then `run()` until cancelled."""

    def __init__(
        self,
        settings: Settings,
        instruments: Mapping[str, Instrument],
        journal: Journal,
        archive: Archive,
        timing: Timing,
    ) -> None:
        loop = asyncio.get_running_loop()
        intake = Intake(settings.symbols)
        self.settings = settings
        market = MarketView(intake, settings.clock)
        currencies = currencies_of(settings.currency, instruments, settings.symbols)
        policies = _policies(settings)
        self.state = State(
            journal, archive, market, instruments, policies=policies, currencies=currencies
        )
        before = last_started(archive)
        check_currency(settings.currency, before)
        Restoration(self.state, timing).run()
        check_quotes(instruments, before, self.state.strategies.values())
        check_symbols(settings.venues, instruments)
        check_orders(settings.venues, self.state.strategies.values())
        note_start(self.state, settings)
        self.desk = Desk(self.state, loop, allow_live=settings.allow_live, timing=timing)
        self.halt_file = self._halt_file()
        self.room = _room(journal, settings)
        self._look_at_room()
        self.halt_file.look()  # before anything leaves
        self.policy_file = self._policy_file()
        self._look_at_policies()
        self.venues = Venues(settings.venues, may_resubmit=lambda: not self.state.halted)
        self.bus = Bus(settings.nats_url, settings.nats_dir)
        self.opening = self._opening()
        self.fills = FillReader(self.bus, self.desk.fill_book.take, self.on_fault)
        self.positions = PositionPublisher(self.bus)
        self.subscription = self._subscription(intake)
        self.fault: asyncio.Future[None] = loop.create_future()
        self.address = ""
        self.broken = ""  # why it ends, when it was not asked to
        self._listening = False
        self._cluster = self._cluster_side()
        self.callers = self._known_callers()
        loop.set_exception_handler(self._on_loop_fault)

    def _halt_file(self) -> HaltFile:
        folder, replicas = self.settings.state_dir, self.settings.postgres is not None
        return HaltFile(folder, self.state, self.desk.bounds, replicas=replicas)

    def _policy_file(self) -> PolicyFile | None:
        path = self.settings.policies
        return PolicyFile(path, self.desk.bounds) if path else None

    def _opening(self) -> Opening:
        return Opening(
            self.state,
            self.desk.bounds,
            self.desk.fill_book,
            self.venues,
            self.settings.on_difference,
            lambda: self.bus.connected,
        )

    def _known_callers(self) -> Callers:
        if self._cluster is not None:
            return self._cluster.callers
        return SharedTokens(self.settings.operator_token, Roster(self.settings.roster))

    def _cluster_side(self) -> "ClusterSide | None":
        if self.settings.cluster is None:
            return None
        from risk_gateway.cluster import ClusterSide  # its packages are not on every laptop

        return ClusterSide(self.settings.cluster, self.settings.state_dir, self.desk.bounds)

    def _subscription(self, intake: Intake) -> Subscription:
        market = self.state.market

        def on_payload(payload: bytes) -> None:
            market.on_payload(payload)
            subscription.note_progress()

        subscription = Subscription(
            self.settings.redis_url,
            self.settings.channels,
            on_payload=on_payload,
            on_drained=self.desk.admission.on_market,
            on_lost=lambda reason: log.warning("feed_lost", reason=reason),
            on_subscribed=lambda number: log.info("feed_subscribed", number=number),
            consumer=self.settings.consumer,
            progress=lambda: intake.sequences,
            symbols=self.settings.symbols,
            dropped=intake.dropped,
        )
        return subscription

    async def run(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Until cancelled; what is `beside` is so with it. Raises what ended it, in a group."""
        outside = self.state.outside
        async with asyncio.TaskGroup() as tasks:
            outside.leave = self.venues.run(self.state, tasks, self.desk.execution)
            outside.publish = self.positions.publish
            outside.venue_available = self.venues.available
            self.desk.fill_book.resume()
            self.desk.fill_book.publish_positions()
            for work in (
                self.subscription.run(),
                self.bus.run(),
                self.fills.run(),
                self.positions.run(),
                Sealer(self.state).run(),
                self.opening.run(),
                self._tick(),
                self._serve(),
                self._watch(),
                *beside,
            ):
                tasks.create_task(self._noted(work))
            if self._cluster is not None:
                tasks.create_task(self._noted(self._cluster.run()))

    async def _noted(self, work: Coroutine[Any, Any, None]) -> None:
        """Why the desk ends is known before it has ended, which may take its time."""
        try:
            await work
        except Exception as error:
            first = cause(error)
            self.broken = self.broken or str(first) or repr(first)
            raise

    async def _tick(self) -> None:
        while True:
            self.halt_file.look()
            self._look_at_room()
            self._look_at_policies()
            self.desk.tick(time.monotonic())
            await asyncio.sleep(TICK_S)

    def _look_at_room(self) -> None:
        before = self.state.no_room
        self.state.no_room = self.room.objection() if self.room else ""
        if bool(before) != bool(self.state.no_room):
            log.warning("journal_room", objection=self.state.no_room)

    def _look_at_policies(self) -> None:
        if self.policy_file is not None:
            self.policy_file.look()

    async def _watch(self) -> None:
        """Raises when the journal or the desk can no longer be relied on."""
        done, _ = await asyncio.wait(
            {self.fault, self.state.journal.failed}, return_when=asyncio.FIRST_COMPLETED
        )
        for failed in done:
            failed.result()

    async def _serve(self) -> None:
        surroundings = Surroundings(
            self._feed_view(),
            lambda: self.positions.unpublished,
            lambda: self.opening.differences,
        )
        server = made_server(most_connections(self.settings), interceptors=(ReadRequests(),))
        service = Service(
            self.desk, self.venues, self.callers, surroundings, self.on_fault, self.settings.most
        )
        add_RiskGatewayServicer_to_server(service, server)
        self.address = listen(server, self.settings)
        host = self.settings.pages_host
        async with pages.serving(host, self.settings.metrics_port, self._pages()):
            await server.start()
            self._listening = True
            log.info("listening", address=self.address)
            try:
                await server.wait_for_termination()
            finally:
                await server.stop(_GRACE_S)

    def _feed_view(self) -> FeedView:
        return FeedView(lambda: self.subscription.session, lambda: self.subscription.age_ns)

    def _pages(self) -> dict[str, pages.Page]:
        cluster = self._cluster
        collector = DeskCollector(
            self.state.counts,
            lambda: levels(
                self.desk,
                self.room,
                cluster.following if cluster else None,
                self.venues,
                self.opening,
                self._feed_view(),
            ),
        )
        return pages.standard(self._missing, lambda: exposition(collector))

    def _missing(self) -> str:
        """What keeps callers from being served.

        Neither venue, feed nor bus: a pod that is not ready is cut from its Service, and without
        them the gateway still holds grants, halts, closes its books and answers why it refuses.
        """
        if not self._listening:
            return "not listening yet"
        stuck_s = self.state.journal.stuck_s
        return f"journal: stuck for {stuck_s:.0f} s" if stuck_s > _STUCK_S else ""

    def on_fault(self, error: BaseException) -> None:
        if not self.fault.done():
            log.error("fault", error=repr(error), exc_info=error)
            self.fault.set_exception(Fault(f"{type(error).__name__}: {error}"))

    def _on_loop_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised: the desk may have stopped half-way through a change."""
        error = context.get("exception")
        if error is None:
            log.warning("loop", message=context.get("message"))
        else:
            self.on_fault(error)


@asynccontextmanager
async def opened(
    settings: Settings, instruments: Mapping[str, Instrument], timing: Timing = _TIMING
) -> AsyncIterator[Gateway]:
    """Raises JournalLocked, JournalUnusable, NotProven."""
    journal = await led_journal(settings)
    try:
        archive = Archive(journal.home)
        try:
            gateway = Gateway(settings, instruments, journal, archive, timing)
            try:
                yield gateway
            finally:
                await gateway.venues.close()
        finally:
            archive.close()
    finally:
        journal.close()


def _policies(settings: Settings) -> Policies:
    """Of this desk, none read yet."""
    return Policies(
        asked_for=settings.cluster is not None or settings.policies is not None,
        may_be_missing=settings.cluster is None,
        routes=routes_of(settings.venues),
    )


def _room(journal: Journal, settings: Settings) -> Room | None:
    """None: the disk is the database's."""
    if isinstance(journal.home, Postgres):
        return None
    return Room(journal.home, settings.least_free_bytes)
