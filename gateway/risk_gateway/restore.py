"""The desk as the journal left it: read once, at the start, before anybody connects."""

from collections.abc import Callable, Mapping
from typing import Any

from handover.effects import GrantChange, change_from_json
from handover.grants import Grants
from handover.timing import Timing
from risk_gateway.archive import Row
from risk_gateway.callers import Runners
from risk_gateway.content import parse_content
from risk_gateway.execution import EVENT_OF_END
from risk_gateway.records import (
    BatchTaken,
    Decided,
    Deployed,
    Flatten,
    Kind,
    Latch,
    OrderEnded,
    Stray,
    Term,
    body_of,
    outcome_of,
)
from risk_gateway.state import State
from risk_gateway.strategy import CANCELS_ONLY, Deployment, Flattening, LastTrade, Strategy
from risk_gateway.told import Told, batch_of
from trading.fills import Fill
from trading.ids import client_order_id
from trading.orders import OrderEvent
from trading.standings import ACTIVE


class Restoration:
    """One reading of the whole log into an empty state."""

    def __init__(self, state: State, timing: Timing) -> None:
        self._state = state
        self._timing = timing
        self._changes: dict[str, list[GrantChange]] = {}

    def run(self) -> None:
        """Orders whose end is not known are UNKNOWN afterwards: the venue has to be asked.

        An accepted cancel of one may not have been sent: it is to be sent again.
        """
        for row in self._state.archive.read():
            _STEPS[row.kind](self, row)
        for strategy in self._state.strategies.values():
            self._finish(strategy)

    def _finish(self, strategy: Strategy) -> None:
        changes = self._changes.get(strategy.name, [])
        strategy.grants = Grants.restore(strategy.name, strategy.told, changes, self._timing)
        strategy.cancelling.intersection_update(strategy.account.orders)
        for order in tuple(strategy.account.orders.values()):
            if order.is_open:
                strategy.account.on_event(order.client_order_id, OrderEvent.LOSE)

    # ---- one record each

    def _term(self, row: Row) -> None:
        term: Term = body_of(row)
        self._state.term = term.term

    def _deployed(self, row: Row) -> None:
        body: Deployed = body_of(row)
        content = parse_content(body.content)
        runners = Runners(body.runner_token_sha256, body.runner_pods)
        deployment = Deployment(body.revision, body.content, content, runners)
        strategy = self._state.strategies.get(row.strategy) or self._new(row.strategy, deployment)
        strategy.deploy(deployment)

    def _new(self, name: str, first: Deployment) -> Strategy:
        told = Told(name, self._state.archive)
        grants = Grants(name, told, self._timing)  # replaced once all changes are read
        state = self._state
        strategy = Strategy(
            name, first, told, grants, state.instruments, state.policies, state.pools
        )
        self._state.strategies[name] = strategy
        return strategy

    def _grant(self, row: Row) -> None:
        change = change_from_json(row.body)
        self._changes.setdefault(row.strategy, []).append(change)
        self._state.strategies[row.strategy].change(change)

    def _halted(self, row: Row) -> None:
        latch: Latch = body_of(row)
        self._state.latch(latch.scope, latch.source, latch.stand)

    def _resumed(self, row: Row) -> None:
        latch: Latch = body_of(row)
        self._state.latch(latch.scope, latch.source, ACTIVE)

    def _policy(self, row: Row) -> None:
        self._state.take_policy(body_of(row))

    def _withdrawn(self, row: Row) -> None:
        self._state.strategies[row.strategy].flattening = Flattening(CANCELS_ONLY)

    def _flatten(self, row: Row) -> None:
        strategy = self._state.strategies[row.strategy]
        body: Flatten = body_of(row)
        strategy.flattenings = body.number
        strategy.flattening = Flattening(body.number)

    def _batch(self, row: Row) -> None:
        strategy = self._state.strategies[row.strategy]
        body: BatchTaken = body_of(row)
        again = self._state.market.may_begin_again
        strategy.decides_in(body.mark.session, begins_again=again)
        strategy.told.batch(batch_of(row))
        strategy.tally.reached(body.mark.count)
        if body.watermarks is not None:
            strategy.account.watermarks = body.watermarks
        self._state.pools.restore(body.together)

    def _decided(self, row: Row) -> None:
        strategy = self._state.strategies[row.strategy]
        body: Decided = body_of(row)
        strategy.tally.decided(body)
        strategy.recent.append(body)
        if strategy.flattening is not None and not body.epoch:
            strategy.flattening.attempts[body.signal.symbol] += 1
        if body.order is not None:
            strategy.tally.orders += 1
            strategy.account.reserve(body.order)
            strategy.told.order(body.order)
        elif body.reason is None and body.signal.cancels:
            strategy.cancelling.add(client_order_id(body.signal.cancels))
        self._outcome(strategy, row)

    def _ended(self, row: Row) -> None:
        strategy = self._state.strategies[row.strategy]
        body: OrderEnded = body_of(row)
        order = strategy.account.on_event(body.client_order_id, EVENT_OF_END[body.state])
        strategy.keep_ended(order)
        strategy.told.order(order)
        self._outcome(strategy, row)

    def _fill(self, row: Row) -> None:
        strategy = self._state.strategies[row.strategy]
        fill: Fill = body_of(row)
        self._state.fills.add(fill.fill_id)
        order = strategy.order(fill.client_order_id)
        booking = strategy.account.on_fill(fill)
        assert booking is not None
        strategy.tally.filled(booking)
        strategy.traded[fill.symbol] = LastTrade(row.outcome or 0, fill.at_ns)
        strategy.told.position(fill.symbol, booking.position.quantity)
        if order is not None:
            after = strategy.account.orders.get(order.client_order_id) or order.after_fill(fill)
            strategy.told.order(after)
            if not after.is_open:
                strategy.keep_ended(after)
        self._outcome(strategy, row)

    def _outcome(self, strategy: Strategy, row: Row) -> None:
        if row.outcome is not None:
            strategy.last_outcome = row.outcome
            strategy.told.outcome(outcome_of(row))

    def _stray(self, row: Row) -> None:
        """Kept for people: it moves no books."""
        stray: Stray = body_of(row)
        self._state.fills.add(stray.fill.fill_id)


_STEPS: Mapping[str, Callable[[Any, Row], None]] = {
    Kind.TERM: Restoration._term,
    Kind.DEPLOYED: Restoration._deployed,
    Kind.GRANT: Restoration._grant,
    Kind.HALTED: Restoration._halted,
    Kind.RESUMED: Restoration._resumed,
    Kind.POLICY: Restoration._policy,
    Kind.WITHDRAWN: Restoration._withdrawn,
    Kind.FLATTEN: Restoration._flatten,
    Kind.BATCH: Restoration._batch,
    Kind.DECIDED: Restoration._decided,
    Kind.ENDED: Restoration._ended,
    Kind.FILL: Restoration._fill,
    Kind.STRAY: Restoration._stray,
}
