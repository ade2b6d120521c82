"""The desk as tools and screens see it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from handover.grants import Grants, RunnerView
from market_data import NO_LINK
from risk_gateway.archive import Archive, OrderPlaced
from risk_gateway.books import by_currency
from risk_gateway.concerns import Concerns
from risk_gateway.desk import Desk
from risk_gateway.metrics import Levels, Money, VenueLevel
from risk_gateway.opening import Opening
from risk_gateway.records import Adopted, Decided, body_of, last_modification
from risk_gateway.room import Room
from risk_gateway.strategy import Strategy
from risk_gateway.venue import Venue
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, ORDER_TYPES, SIDES, cause_to_proto, text_of
from stratops_wire.session import PHASES, counters_to_proto
from stratops_wire.signals import signal_to_proto, verdict_to_proto
from trading.orders import OrderState


@dataclass(frozen=True, slots=True)
class FeedView:
    session: Callable[[], str]
    age_ns: Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the desk does not own."""

    feed: FeedView = field(default_factory=lambda: FeedView(lambda: "", lambda: None))
    unpublished: Callable[[], int] = lambda: 0
    start_differences: Callable[[], Sequence[str] | None] = lambda: None


def desk_to_proto(desk: Desk, surroundings: Surroundings) -> pb.Desk:
    state = desk.state
    strategies = list(state.strategies.values())
    tallies = [strategy.tally for strategy in strategies]
    return pb.Desk(
        strategies=[_strategy(desk, strategy) for strategy in strategies],
        halted=state.halted,
        queued=desk.admission.queued,
        queue_limit=desk.admission.limit,
        handovers=sum(tally.handovers for tally in tallies),
        signals=sum(tally.signals for tally in tallies),
        accepted=sum(tally.accepted for tally in tallies),
        rejected=_rejected(desk, strategies),
        orders=sum(tally.orders for tally in tallies),
        fills=sum(tally.fills for tally in tallies),
        working=sum(len(strategy.account.orders) for strategy in strategies),
        feed=_feed(desk, surroundings.feed),
        unpublished=surroundings.unpublished(),
        halt_sources=dict(state.halts),
        term=state.term,
        start=_start(surroundings.start_differences()),
        standings=[
            pb.Standing(scope=str(scope), standing=stand.standing, why=stand.why)
            for scope, stand in state.standings.by_scope.items()
        ],
        breaches=_breaches(desk),
    )


def _breaches(desk: Desk) -> Sequence[pb.Breach]:
    return [
        pb.Breach(
            scope=str(scope),
            limit=limit,
            action=breach.action,
            why=breach.message,
            at_ns=breach.now_ns,
            until_next_day=breach.until_next_day,
            left=desk.breaches.left.get((scope, limit), ""),
        )
        for (scope, limit), breach in desk.state.breaches.items()
    ]


def _start(differences: Sequence[str] | None) -> pb.Reconciliation | None:
    if differences is None:
        return None
    return pb.Reconciliation(equal=not differences, differences=differences)


def levels(
    desk: Desk,
    room: Room | None,
    policies_followed: bool | None = None,
    venues: Iterable[Venue] = (),
    opening: Opening | None = None,
    feed: FeedView | None = None,
) -> Levels:
    state = desk.state
    strategies, known = state.strategies, state.instruments
    return Levels(
        queued=desk.admission.queued,
        queue_limit=desk.admission.limit,
        queued_by_priority=desk.admission.queued_by_priority,
        armed=sum(1 for strategy in strategies.values() if strategy.grants.epoch),
        halted=bool(state.halts),
        journal_waiting=state.journal.waiting,
        journal_records=state.journal.last,
        journal_bytes=room.journal_bytes() if room else None,
        journal_free_bytes=room.free_bytes() if room else None,
        bypassed={
            (name, check)
            for name, strategy in strategies.items()
            for check in strategy.account.terms.bypass
        },
        breaches={
            (str(scope), limit, breach.action) for (scope, limit), breach in state.breaches.items()
        },
        policies_followed=policies_followed,
        samples=len(state.pools.prospects.samples.kept),
        venues=tuple(map(venue_level, venues)),
        start_differences=opening.differences if opening else None,
        positions={
            (name, symbol): float(position.quantity)
            for name, strategy in strategies.items()
            for symbol, position in strategy.account.positions.items()
            if symbol in known  # somebody else's fill may name anything
        },
        money={name: _money(desk, strategy) for name, strategy in strategies.items()},
        received=state.market.received_by_stream,
        market=state.market.intake.dropped,
        market_age=state.market.age,
        concerns=_concerns(desk, room, feed),
    )


def _concerns(desk: Desk, room: Room | None, feed: FeedView | None) -> Concerns:
    state = desk.state
    strategies = state.strategies
    return Concerns(
        standings={
            (str(scope), stand.standing) for scope, stand in state.standings.by_scope.items()
        },
        handing_over=[name for name, each in strategies.items() if _hands_over(each.grants)],
        orders_unknown={name: _unknown(each) for name, each in strategies.items()},
        feed_age_s=_age_s(feed.age_ns()) if feed else None,
        journal_stuck_s=state.journal.stuck_s,
        least_free_bytes=room.least_free_bytes if room else None,
    )


def _hands_over(grants: Grants) -> bool:
    return bool(grants.revision and grants.target) and grants.target != grants.revision


def _unknown(strategy: Strategy) -> int:
    orders = strategy.account.orders.values()
    return sum(1 for order in orders if order.state is OrderState.UNKNOWN)


def _age_s(age_ns: int | None) -> float:
    return math.inf if age_ns is None else age_ns / 1e9


def venue_level(venue: Venue) -> VenueLevel:
    breaker = venue.breaker
    return VenueLevel(venue.name, breaker.state, breaker.opened, venue.calls)


def _money(desk: Desk, strategy: Strategy) -> Money:
    pnl = strategy.account.pnl(desk.state.market.latest)
    unrealized = None if pnl.unrealized is None else float(pnl.unrealized)
    tally = strategy.tally
    realized = None if pnl.realized is None else float(pnl.realized)
    books = strategy.account.books(desk.state.market.latest)
    each = {currency: float(made.realized) for currency, made in books.items() if currency}
    return Money(realized, unrealized, tally.fills, tally.success_rate, each)


def order_to_proto(archive: Archive, placed: OrderPlaced) -> pb.DeskOrder:
    """On the terms that it has now."""
    made: Decided | Adopted = body_of(placed.made)
    order, now = made.order, placed.order
    assert order is not None
    modified = last_modification(archive, order.client_order_id)
    return pb.DeskOrder(
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        revision=order.revision,
        epoch=order.epoch,
        symbol=order.symbol,
        side=SIDES.number(order.side),  # type: ignore[arg-type]  # the stubs' own enum type
        order_type=ORDER_TYPES.number(order.order_type),  # type: ignore[arg-type]  # as above
        quantity=text_of(modified.quantity if modified else order.quantity),
        price=text_of(modified.price if modified else order.price),
        state=ORDER_STATES.number(OrderState(now.state)),  # type: ignore[arg-type]  # as above
        filled_quantity=text_of(now.filled_quantity),
        filled_notional=text_of(now.filled_notional),
        fee=text_of(now.fee),
        cause=cause_to_proto(order.cause),
    )


def _strategy(desk: Desk, strategy: Strategy) -> pb.StrategyStatus:
    grants, tally = strategy.grants, strategy.tally
    pnl = strategy.account.pnl(desk.state.market.latest)
    return pb.StrategyStatus(
        strategy=strategy.name,
        wanted_revision=grants.wanted,
        revision=grants.revision,
        epoch=grants.epoch,
        role="armed" if grants.epoch else "none",
        none_reason=grants.none_reason,
        runners=[_runner(runner) for runner in grants.runners],
        ticks=tally.ticks_before + tally.ticks,
        signals=tally.signals,
        accepted=tally.accepted,
        rejected=tally.rejected,
        orders=tally.orders,
        fills=tally.fills,
        positions={
            symbol: text_of(position.quantity)
            for symbol, position in strategy.account.positions.items()
        },
        realized_pnl=text_of(pnl.realized),
        unrealized_pnl=text_of(pnl.unrealized),
        fees=text_of(pnl.fees),
        recent=[_recent(decided) for decided in reversed(strategy.recent)],
        handovers=tally.handovers,
        mode=strategy.mode,
        runner_pods=_pods(strategy),
        given_up=grants.given_up,
        withdrawn=not grants.wanted,
        flattening=strategy.flattening.left if strategy.flattening else "",
        policy=_policy(strategy),
        closing_only=strategy.closing_only,
        account=strategy.account.account,
        bypassed=sorted(strategy.account.terms.bypass),
        revisions_at_work=sorted({each.revision for each in strategy.account.orders.values()}),
        by_currency=by_currency(strategy, desk.state.market.latest),
    )


def _pods(strategy: Strategy) -> Sequence[str]:
    wanted = strategy.deployments.get(strategy.wanted_revision)
    return wanted.runners.pods if wanted else ()


def _policy(strategy: Strategy) -> str:
    revision = strategy.wanted_revision or strategy.armed_revision
    deployment = strategy.deployments.get(revision)
    return deployment.content.policy if deployment else ""


def _runner(runner: RunnerView) -> pb.RunnerStatus:
    return pb.RunnerStatus(
        instance=runner.instance,
        revision=runner.revision,
        role=runner.role,
        phase=PHASES.number(runner.phase),  # type: ignore[arg-type]  # the stubs' own enum type
        epoch=runner.epoch,
        connected=runner.connected,
        ready=runner.ready,
        counters=counters_to_proto(runner.counters),
    )


def _recent(decided: Decided) -> pb.RecentSignal:
    return pb.RecentSignal(
        signal=signal_to_proto(decided.signal),
        verdict=verdict_to_proto(decided.verdict),
        epoch=decided.epoch,
    )


def _rejected(desk: Desk, strategies: Sequence[Strategy]) -> dict[str, int]:
    total: dict[str, int] = {}
    for strategy in strategies:
        for reason, count in strategy.tally.rejected.items():
            total[reason] = total.get(reason, 0) + count
    refused = desk.state.counts.unknown_callers
    if refused:
        total["unknown_caller"] = refused.total()
    return total


def _feed(desk: Desk, feed: FeedView) -> pb.FeedStatus:
    market, age_ns = desk.state.market, feed.age_ns()
    return pb.FeedStatus(
        session=feed.session(),
        received=market.received,
        dropped=market.intake.dropped,
        age_ns=NO_LINK if age_ns is None else age_ns,
    )
