"""What the gateway says of a strategy, as `reconcile` takes it, and when two answers differ in what
counts.

Counters and ages change all the time: they are told apart from what calls for a look.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from strategy_operator.conditions import FEED_ALIVE_S
from strategy_operator.observed import FEED_LOST, GatewayView, RunnerSeen
from stratops_api.v1 import risk_gateway_pb2 as pb

_NS = 1e9


def view_of(status: pb.StrategyStatus, halted: str) -> GatewayView:
    armed = status.role == "armed"
    return GatewayView(
        known=True,
        wanted=status.wanted_revision,
        runner_pods=frozenset(status.runner_pods),
        armed=status.revision if armed else "",
        epoch=status.epoch,
        none_reason=status.none_reason,
        given_up=status.given_up,
        policy=status.policy,
        flattening=status.flattening,
        at_work=frozenset(status.revisions_at_work),
        runners=tuple(_runner(each) for each in status.runners),
        handovers=status.handovers,
        signals=status.signals,
        accepted=status.accepted,
        orders=status.orders,
        fills=status.fills,
        positions={symbol: _decimal(text) for symbol, text in sorted(status.positions.items())},
        # In several currencies its worth moves with their rates, and would be written each minute.
        realized_pnl=None if status.by_currency else _decimal(status.realized_pnl),
        halted=halted,
    )


def _runner(status: pb.RunnerStatus) -> RunnerSeen:
    return RunnerSeen(
        pod=status.instance.rpartition(".")[0],
        revision=status.revision,
        armed=status.role == "armed",
        connected=status.connected,
        ready=status.ready,
        feed_age_s=_feed_age_s(status.counters.feed_age_ns),
    )


def _feed_age_s(age_ns: int) -> float | None:
    if age_ns < 0:
        return FEED_LOST
    return age_ns / _NS if age_ns else None  # 0: it has not told yet


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text or 0)
    except InvalidOperation:
        return Decimal(0)


def calls_for_a_look(before: GatewayView, now: GatewayView) -> bool:
    return _settled(before) != _settled(now)


def counts_differ(before: GatewayView, now: GatewayView) -> bool:
    return _counts(before) != _counts(now)


def in_flight(view: GatewayView) -> bool:
    """Something is about to happen there."""
    waits = bool(view.wanted) and view.wanted not in (view.armed, view.given_up)
    return waits or bool(view.flattening) or (bool(view.armed) and not view.wanted)


def _counts(view: GatewayView) -> tuple[int, int, int, int, Mapping[str, Decimal], Decimal | None]:
    return (
        view.signals,
        view.accepted,
        view.orders,
        view.fills,
        view.positions,
        view.realized_pnl,
    )


def _settled(view: GatewayView) -> GatewayView:
    """Without what changes all the time; of a feed's age only whether it is stale."""
    return replace(
        view,
        runners=tuple(replace(each, feed_age_s=_coarse(each.feed_age_s)) for each in view.runners),
        signals=0,
        accepted=0,
        orders=0,
        fills=0,
        positions={},
        realized_pnl=Decimal(0),
    )


def _coarse(age_s: float | None) -> float | None:
    return None if age_s is None else float(age_s >= FEED_ALIVE_S)
