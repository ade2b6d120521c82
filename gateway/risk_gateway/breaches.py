"""Breaches of limits by what stands, looked for while anything is held, and what is done then.

A breach is journalled with its numbers, and the standing that comes of it holds from then on; what
leaves because of it (cancels, closing orders) waits until it is on disk. It acts once, until it is
taken back. What there is to do follows from the breaches in force: so a restart goes on.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import structlog

from risk_gateway.bounds import Bounds
from risk_gateway.closing import ORIGIN, Closer, Purpose
from risk_gateway.journal import Record
from risk_gateway.market_view import View
from risk_gateway.records import Breached, Kind, Marked, breach_source, record
from risk_gateway.state import State
from risk_gateway.strategy import BREACH, Strategy
from trading.breaches import (
    Actions,
    Answer,
    Breach,
    BreachAction,
    Worth,
    breaches,
    excess,
    kept,
    measured_from,
    together,
)
from trading.days import Days
from trading.limits import Limits
from trading.scopes import DESK, Level, Scope
from trading.standings import Standing
from trading.watermarks import Watermarks

log = structlog.get_logger()

LOOK_S = 0.1
_MOST_SHARE = 0.05  # of one processor, for looking: a desk of thousands is looked at less often
_MARK_S = 5.0
_CLOSING = (BreachAction.REDUCE, BreachAction.STOP)

Key = tuple[Scope, str]  # of a breach: whose, and of which limit


@dataclass(frozen=True, slots=True)
class _Subject:
    """Who can breach a limit that a policy acts on, as it stands."""

    scope: Scope
    limits: Limits
    actions: Actions
    worth: Worth


@dataclass(frozen=True, slots=True)
class _Left:
    """What a strategy has still to do, in words; done: nothing that could be done."""

    words: str = ""
    done: bool = True


class BreachWatch:
    """Call nothing concurrently. `tick` with the time awake."""

    def __init__(self, state: State, bounds: Bounds, closer: Closer) -> None:
        self._state = state
        self._bounds = bounds
        self._closer = closer
        self._writing: set[Key] = set()  # not on disk yet
        self._next_look = 0.0
        self._acted = False
        self._marks = _Marks(state)
        self.left: dict[Key, str] = {}  # what there is still to do

    def tick(self, now: float) -> None:
        if now >= self._next_look:
            began = time.thread_time()
            self.look(now)
            took = time.thread_time() - began
            self._next_look = now + max(LOOK_S, took / _MOST_SHARE)
        self._carry_out(now)

    # ---- looking

    def look(self, now: float) -> None:
        state = self._state
        acts = bool(state.policies.act or state.breaches)
        if self._acted and not acts:
            self._marks.keep(now, at_once=True)  # no look will
        self._acted = acts
        view = state.market.now() if acts else None
        if view is None:
            return
        with self._marks.being_moved():
            subjects = list(self._subjects(view))
        self._begin_the_day(view.now_ns)
        found = [
            (subject, breach)
            for subject in subjects
            for breach in breaches(subject.limits, subject.worth, subject.actions)
            if (subject.scope, breach.limit) not in state.breaches
        ]
        self._marks.keep(now, at_once=bool(found))  # before what was measured from them
        for subject, breach in found:
            self._act(subject, breach, subject.actions[breach.limit], view.now_ns)

    def _subjects(self, view: View) -> Iterator[_Subject]:
        """Of what holds anything: who holds nothing can only come to do so by an order."""
        worths: dict[str, Worth] = {}

        def worth_of(strategy: Strategy) -> Worth:
            if strategy.name not in worths:
                worths[strategy.name] = strategy.account.worth(view.market, view.now_ns)
            return worths[strategy.name]

        for strategy in self._state.strategies.values():
            if strategy.actions and _holds(strategy):
                scope = Scope(Level.STRATEGY, strategy.name)
                limits = strategy.account.terms.limits
                yield _Subject(scope, limits, strategy.actions, worth_of(strategy))
        for scope, actions in self._state.policies.actions.items():
            members = list(self._covered(scope))
            if any(map(_holds, members)):
                worth = together(each.account.worth_of_funds(worth_of(each)) for each in members)
                marks = self._state.pools.note(scope, worth.equity, view.now_ns)
                if marks is not None:
                    measured = measured_from(worth, marks.day_start, marks.peak)
                    yield _Subject(scope, self._state.pools.limits(scope), actions, measured)

    def _covered(self, scope: Scope) -> Iterable[Strategy]:
        """Many strategies may have one each: a strategy's own is looked up."""
        strategies = self._state.strategies
        if scope.level is Level.STRATEGY:
            return [strategies[scope.name]] if scope.name in strategies else []
        return [each for each in strategies.values() if _covers(scope, each)]

    # ---- acting

    def _act(self, subject: _Subject, breach: Breach, answer: Answer, now_ns: int) -> None:
        scope = subject.scope
        body = Breached(
            limit=breach.limit,
            action=answer.action,
            found=breach.found,
            allowed=breach.allowed,
            message=breach.message,
            now_ns=now_ns,
            level=scope.level,
            name=scope.name,
            until_next_day=answer.until_next_day,
            share=answer.share if answer.action is BreachAction.REDUCE else None,
            kept=self._kept(scope, breach, answer),
        )
        key = (scope, breach.limit)
        self._state.take_breach(body)
        for strategy in self._covered(scope):
            strategy.lowering.begin_anew()
        self._writing.add(key)
        written = record(Kind.BREACHED, body, self._state.wall_ns())
        self._state.journal.append([written], lambda: self._writing.discard(key))
        self._state.counts.breaches[scope.level, breach.limit, answer.action] += 1
        log.warning(
            "breach", scope=str(scope), limit=breach.limit, action=answer.action,
            message=breach.message,
        )  # fmt: skip

    def _kept(
        self, scope: Scope, breach: Breach, answer: Answer
    ) -> Mapping[str, Mapping[str, Decimal]]:
        """By strategy and symbol, what REDUCE leaves of what made the breach."""
        if answer.action is not BreachAction.REDUCE:
            return {}
        return {
            strategy.name: _reduced(strategy, breach.symbols, answer.share)
            for strategy in self._covered(scope)
            if _holds(strategy)
        }

    # ---- taking back

    def lift(self, scope: Scope, reason: str, by: str) -> int:
        """By a person. How many breaches of that scope were in force."""
        limits = [limit for of, limit in self._state.breaches if of == scope]
        for limit in limits:
            self._bounds.resume(reason, scope, breach_source(limit), by)
        return len(limits)

    def _begin_the_day(self, now_ns: int) -> None:
        for (scope, limit), breach in tuple(self._state.breaches.items()):
            days = self._days(scope)
            over = breach.until_next_day and days.of(now_ns) > days.of(breach.now_ns)
            if over and self._is_finished(scope, breach):
                self._bounds.resume("the next day has begun", scope, breach_source(limit))

    def _is_finished(self, scope: Scope, breach: Breached) -> bool:
        """What is being closed is closed first."""
        return (
            breach.action is not BreachAction.STOP
            or self._standing(scope, breach) is Standing.HALTED
        )

    def _days(self, scope: Scope) -> Days:
        strategy = self._state.strategies.get(scope.name)
        if scope.level is Level.STRATEGY and strategy is not None:
            return strategy.account.days
        return self._state.policies.days

    # ---- going on

    def _carry_out(self, now: float) -> None:
        acting = {
            (scope, limit): breach
            for (scope, limit), breach in self._state.breaches.items()
            if breach.action in _CLOSING and (scope, limit) not in self._writing
        }
        self.left = {}
        if not acting:
            return
        mine: dict[str, list[Breached]] = {}
        for (scope, _), breach in acting.items():
            for strategy in self._covered(scope):
                mine.setdefault(strategy.name, []).append(breach)
        strategies = self._state.strategies
        left = {name: self._go_on(strategies[name], each, now) for name, each in mine.items()}
        for (scope, limit), breach in acting.items():
            mine_left = {each.name: left[each.name] for each in self._covered(scope)}
            words = (f"{name}: {each.words}" for name, each in mine_left.items() if each.words)
            self.left[scope, limit] = "; ".join(words)
            if breach.action is BreachAction.STOP:
                self._stand(scope, breach, done=all(each.done for each in mine_left.values()))

    def _go_on(self, strategy: Strategy, mine: Sequence[Breached], now: float) -> _Left:
        """Does what can be done now."""
        stops = any(each.action is BreachAction.STOP for each in mine)
        beyond = dict(_beyond(strategy, mine))
        everything = stops or bool(beyond)
        lowering, orders = strategy.lowering, strategy.account.orders
        self._closer.cancel(strategy, lowering, now, lambda each: everything or not each.closing)
        if any(submission.is_own for submission in strategy.submissions):
            return _Left("an order on its way", done=False)
        if orders and everything:
            return _Left(f"orders at work: {len(orders)}", done=False)
        purpose = _purpose(mine)
        words = [
            self._closer.close(strategy, lowering, purpose, symbol, quantity, now)
            for symbol, quantity in beyond.items()
        ]
        done = all(self._closer.is_remainder(strategy, *each) for each in beyond.items())
        return _Left("; ".join(words), done)

    def _stand(self, scope: Scope, breach: Breached, *, done: bool) -> None:
        """Halted once nothing is left; a late fill is closed as well."""
        wanted = Standing.HALTED if done else Standing.REDUCING
        if self._standing(scope, breach) is not wanted:
            self._bounds.halt(breach.message, scope, wanted, breach_source(breach.limit))

    def _standing(self, scope: Scope, breach: Breached) -> Standing:
        found = self._state.latches.get((scope, breach_source(breach.limit)))
        return found.standing if found else Standing.ACTIVE


class _Marks:
    """Watermarks that a look has moved: no batch's record will say so."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._kept = self._now()
        self._kept_at = 0.0
        # By name, what looks have moved since; back, perhaps, from where a batch's record left it.
        self._strategies: set[str] = set()
        self._together: set[str] = set()

    @contextmanager
    def being_moved(self) -> Iterator[None]:
        """By a look."""
        before = self._now()
        yield
        now = self._now()
        self._strategies.update(_moved(before.strategies, now.strategies))
        self._together.update(_moved(before.together, now.together))

    def keep(self, now: float, *, at_once: bool) -> None:
        """Also at once where a day began; what only moved, now and then."""
        if at_once or self._a_day_began() or now - self._kept_at >= _MARK_S:
            self._kept_at = now
            if changed := self._changed():
                self._state.journal.append(changed)

    def _changed(self) -> list[Record]:
        """Since the last time; to be appended."""
        before, self._kept = self._kept, self._now()
        strategies = _moved(before.strategies, self._kept.strategies, self._strategies)
        pools = _moved(before.together, self._kept.together, self._together)
        self._strategies, self._together = set(), set()
        if not strategies and not pools:
            return []
        return [record(Kind.MARKED, Marked(strategies, pools), self._state.wall_ns())]

    def _a_day_began(self) -> bool:
        before, now = self._kept, self._now()
        return any(
            _began(were) != _began(are)
            for were, are in (
                (before.strategies, now.strategies), (before.together, now.together)
            )
        )  # fmt: skip

    def _now(self) -> Marked:
        strategies = self._state.strategies.items()
        marks = {name: strategy.account.watermarks for name, strategy in strategies}
        return Marked(marks, dict(self._state.pools.all_watermarks))


def _moved(
    before: Mapping[str, Watermarks],
    now: Mapping[str, Watermarks],
    besides: Collection[str] = (),
) -> Mapping[str, Watermarks]:
    return {
        name: marks for name, marks in now.items() if name in besides or before.get(name) != marks
    }


def _began(marks: Mapping[str, Watermarks]) -> Mapping[str, int]:
    return {name: each.began_ns for name, each in marks.items()}


def _covers(scope: Scope, strategy: Strategy) -> bool:
    """An account or the desk."""
    return scope in (DESK, Scope(Level.ACCOUNT, strategy.account.account))


def _holds(strategy: Strategy) -> bool:
    return any(position.quantity for position in strategy.account.positions.values())


def _reduced(strategy: Strategy, symbols: Sequence[str], share: Decimal) -> Mapping[str, Decimal]:
    instruments, positions = strategy.account.instruments, strategy.account.positions
    return {
        symbol: kept(positions[symbol].quantity, share, instruments[symbol])
        for symbol in symbols
        if symbol in instruments and symbol in positions and positions[symbol].quantity
    }


def _beyond(strategy: Strategy, mine: Sequence[Breached]) -> Iterator[tuple[str, Decimal]]:
    """By symbol, what is to be closed, signed like what is held: the most that a breach asks."""
    for symbol, position in strategy.account.positions.items():
        asked = (_most(each, strategy.name, symbol) for each in mine)
        each = [excess(position.quantity, most) for most in asked if most is not None]
        found = max(each, key=abs, default=Decimal(0))
        if found:
            yield symbol, found


def _most(breach: Breached, strategy: str, symbol: str) -> Decimal | None:
    """What may be kept; None: everything."""
    if breach.action is BreachAction.STOP:
        return Decimal(0)
    return breach.kept.get(strategy, {}).get(symbol)


def _purpose(mine: Sequence[Breached]) -> Purpose:
    why = "; ".join(f"{each.limit} of the {each.scope}: {each.message}" for each in mine)
    return Purpose(BREACH, metadata=ORIGIN | {BREACH: why})
