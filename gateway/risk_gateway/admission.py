"""Signals, from the fence to the journal: queued, judged, made durable, and only then told.

A submission is judged signal by signal as the queue lets them through, and journalled whole, in the
order in which its strategy's submissions came.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from time import perf_counter_ns

from handover.messages import Batch, Outcome
from risk_gateway.journal import Record
from risk_gateway.judge import decided, judge
from risk_gateway.lanes import Leaving
from risk_gateway.queue import PriorityQueue, has_room
from risk_gateway.records import (
    BatchTaken,
    Decided,
    Kind,
    batch_key,
    order_row,
    record,
    terse_decision,
    verdict_outcome,
)
from risk_gateway.state import State
from risk_gateway.strategy import Strategy, Submission, SubmissionDone, Waiting
from risk_gateway.venue import order_request
from trading.ids import client_order_id
from trading.limits import NAMES as LIMIT_NAMES
from trading.orders import Modification
from trading.pools import Pools
from trading.reasons import Reason
from trading.risk import Rejection
from trading.signals import Action, Signal, Verdict

CAUSE_WAIT_S = 1.0
# Submissions being written; beyond it signals stay in the queue, so that a slow disk fills the
# queue, and not the memory.
_MOST_WRITING = 256
_AT_A_TIME = 25  # decisions, before the loop may turn to others: who asks for books, or halts


class Admission:
    """Call nothing concurrently. `tick` with the time awake, `on_market` after new market data."""

    def __init__(
        self, state: State, loop: asyncio.AbstractEventLoop, queue: PriorityQueue[Waiting]
    ) -> None:
        self._state = state
        self._loop = loop
        self._queue = queue
        self._scheduled = False
        # By id: how many signals are taken and not yet on disk. Two strategies may use one id.
        self._undurable: Counter[str] = Counter()
        self._parked: dict[str, Strategy] = {}
        self._parked_signals = 0
        self._waiting: Counter[str] = Counter()  # signals queued or parked, by strategy
        self._freed = asyncio.Event()
        self._now = 0.0
        self._noted: set[str] = set()  # digests of terms that the journal has

    @property
    def queued(self) -> int:
        return self._queue.size + self._parked_signals

    @property
    def limit(self) -> int:
        return self._queue.limit

    @property
    def queued_by_priority(self) -> Counter[int]:
        """Ever."""
        return self._queue.queued

    def has_room(self, strategy: Strategy, more: int) -> bool:
        """Whether that strategy's stream may hand in so many signals now."""
        streams = sum(1 for each in self._state.strategies.values() if each.links)
        mine = self._waiting[strategy.name]
        return has_room(mine, self.queued, more, streams, self._queue.limit)

    async def freed(self) -> None:
        """Until room was made since; others may have it by then."""
        await self._freed.wait()

    def take(
        self, strategy: Strategy, batch: Batch, revision: str, done: SubmissionDone | None = None
    ) -> None:
        """A batch that passed the fence."""
        submission = Submission(
            batch=batch,
            revision=revision,
            decisions=[None] * len(batch.signals),
            left=len(batch.signals),
            known=self._known(strategy, batch.signals),
            done=done,
            taken_ns=perf_counter_ns(),
        )
        again = self._state.market.may_begin_again
        strategy.decides_in(batch.mark.session, begins_again=again)
        self._undurable.update(signal.id for signal in batch.signals)
        strategy.submissions.append(submission)
        for place, signal in enumerate(batch.signals):
            self._enqueue(Waiting(strategy, submission, place), signal)
        self._finish(strategy)

    def on_market(self) -> None:
        """Judges what waited for a message that is there now."""
        for strategy in tuple(self._parked.values()):
            self._unpark(strategy)

    def tick(self, now: float) -> None:
        self._now = now
        self.on_market()
        if self._queue.size:  # the pump may have stopped for what was not a submission's writing
            self._schedule()

    # ---- queue

    def _enqueue(self, waiting: Waiting, signal: Signal) -> None:
        full = self.queued >= self._queue.limit
        if not full and self._queue.put(waiting, signal.priority):
            self._waiting[waiting.strategy.name] += 1
            self._schedule()
            return
        self._state.counts.dropped[waiting.strategy.name, self._state.label(signal.symbol)] += 1
        self._refuse(waiting, Rejection(Reason.QUEUE_FULL, f"{self.queued} signals wait already"))

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if self._state.journal.waiting >= _MOST_WRITING:
            return  # `_durable` comes back to it
        for waiting in self._queue.take(_AT_A_TIME):
            self._meet(waiting)
        self._tell_of_room()
        if self._queue.size:
            self._schedule()

    def _meet(self, waiting: Waiting) -> None:
        strategy = waiting.strategy
        if strategy.parked or not self._is_ripe(waiting.signal):
            waiting.deadline = self._now + CAUSE_WAIT_S
            strategy.parked.append(waiting)
            self._parked[strategy.name] = strategy
            self._parked_signals += 1
        else:
            self._leave(waiting)

    def _leave(self, waiting: Waiting) -> None:
        """The queue; it is decided."""
        self._waiting[waiting.strategy.name] -= 1
        self._judge(waiting)

    def _tell_of_room(self) -> None:
        """Whoever waits now; who comes to wait afterwards waits for the next room."""
        self._freed.set()
        self._freed = asyncio.Event()

    def _is_ripe(self, signal: Signal) -> bool:
        return signal.action is Action.CANCEL or self._state.market.has_arrived(signal.cause)

    def _unpark(self, strategy: Strategy) -> None:
        parked = strategy.parked
        while parked and (self._is_ripe(parked[0].signal) or self._now >= parked[0].deadline):
            self._parked_signals -= 1
            self._leave(parked.popleft())
        if not parked:
            del self._parked[strategy.name]
            self._tell_of_room()

    # ---- decisions

    def _known(self, strategy: Strategy, signals: Sequence[Signal]) -> frozenset[str]:
        """Ids that were seen before, by the journal or on the way to it, or whose orders' ids
        somebody else has used."""
        if not signals:
            return frozenset()
        ids = [signal.id for signal in signals]
        known = self._state.archive.known(Kind.DECIDED, ids)
        known.update(self._undurable.keys() & ids)
        if self._state.has_adopted:
            known.update(self._adopted(strategy, ids))
        return frozenset(known)

    def _adopted(self, strategy: Strategy, ids: Sequence[str]) -> Iterable[str]:
        orders = {client_order_id(each): each for each in ids}
        taken = self._state.archive.known(Kind.ADOPTED, list(orders))
        taken |= {order for order in orders if strategy.order(order)}
        return (orders[order] for order in taken)

    def _judge(self, waiting: Waiting) -> None:
        signal, submission = waiting.signal, waiting.submission
        if signal.id in submission.judged:
            self._refuse(waiting, Rejection(Reason.DUPLICATE, "twice in one batch"))
        else:
            view = self._state.market.at(signal.cause)
            situation = self._state.situation(waiting.strategy, signal.symbol)
            self._note(waiting, judge(waiting.strategy, submission, signal, view, situation))
        self._finish(waiting.strategy)

    def _refuse(self, waiting: Waiting, refusal: Rejection) -> None:
        signal, submission = waiting.signal, waiting.submission
        if signal.id in submission.judged | submission.known:
            refusal = Rejection(Reason.DUPLICATE, "this signal was decided before")
        view = self._state.market.at(signal.cause)
        self._note(waiting, decided(submission, signal, view, refusal))

    def _note(self, waiting: Waiting, decision: Decided) -> None:
        submission = waiting.submission
        submission.judged.add(decision.signal.id)
        submission.decisions[waiting.place] = decision
        submission.left -= 1

    # ---- the journal

    def _finish(self, strategy: Strategy) -> None:
        while strategy.submissions and not strategy.submissions[0].left:
            self._append(strategy, strategy.submissions.popleft())

    def _append(self, strategy: Strategy, submission: Submission) -> None:
        at_ns = self._state.wall_ns()
        records: list[Record] = []
        outcomes: list[Outcome] = []
        if submission.batch.number:
            records.append(_batch_record(strategy, submission.batch, self._state.pools, at_ns))
        records += self._new_terms(strategy, submission, at_ns)
        decisions = submission.decided
        if not submission.batch.number:  # no batch's record says what they were judged by
            pools, session = self._state.pools, submission.batch.mark.session
            decisions = [_marked(strategy, pools, session, each) for each in decisions]
        for decision in decisions:
            has_outcome = _is_sized(decision) or _ends(strategy, decision)
            number = strategy.next_outcome() if has_outcome else None
            records.append(_decision_record(strategy, decision, at_ns, number))
            if number is not None:
                outcomes.append(verdict_outcome(number, decision))
        self._state.journal.append(
            records, lambda: self._durable(strategy, submission, decisions, tuple(outcomes))
        )

    def _new_terms(
        self, strategy: Strategy, submission: Submission, at_ns: int
    ) -> Iterable[Record]:
        """What these verdicts rest on, where the journal does not have it yet."""
        used = {each.judged.terms for each in submission.decided if each.judged}
        fresh = used - self._noted
        if fresh:
            self._noted |= fresh
            fresh -= self._state.archive.known(Kind.TERMS, list(fresh))
        for key in sorted(fresh):
            yield record(Kind.TERMS, strategy.terms[key], at_ns, key=key)

    def _durable(
        self,
        strategy: Strategy,
        submission: Submission,
        decisions: Sequence[Decided],
        outcomes: tuple[Outcome, ...],
    ) -> None:
        verdicts = tuple(decision.verdict for decision in decisions)
        self._count(strategy, decisions)
        for decision in decisions:
            self._tell(strategy, decision)
        for outcome in outcomes:
            strategy.told.outcome(outcome)
        self._acknowledge(strategy, submission, verdicts)
        self._state.outside.outcomes(strategy, outcomes)
        for decision in decisions:
            self._let_leave(strategy, decision)
        self._state.counts.processing.observe((perf_counter_ns() - submission.taken_ns) / 1_000)
        if self._queue.size:
            self._schedule()

    def _acknowledge(
        self, strategy: Strategy, submission: Submission, verdicts: tuple[Verdict, ...]
    ) -> None:
        batch = submission.batch
        if batch.number:
            strategy.told.batch(replace(batch, signals=()), verdicts)
            effects = strategy.grants.batch_durable(batch.epoch, batch.number, verdicts)
            self._state.outside.effects(strategy, effects)
        if submission.done is not None:
            submission.done(submission.decided[0])

    def _count(self, strategy: Strategy, decisions: Sequence[Decided]) -> None:
        """A batch at a time: most of it is alike."""
        counts, label = self._state.counts, self._state.label
        alike = Counter((each.signal.symbol, each.signal.side) for each in decisions)
        for (symbol, side), times in alike.items():
            counts.signals[strategy.name, label(symbol), side] += times
        refused = [each for each in decisions if each.reason is not None]
        if len(refused) < len(decisions):
            counts.checks["all", "passed"] += len(decisions) - len(refused)
        for decision in refused:
            self._count_refused(strategy, decision)
        for bypassed in chain.from_iterable(each.bypassed for each in decisions):
            counts.checks[bypassed, "bypassed"] += 1

    def _count_refused(self, strategy: Strategy, decision: Decided) -> None:
        reason, counts = decision.reason, self._state.counts
        assert reason is not None
        counts.checks[reason, "refused"] += 1
        counts.violations[reason, strategy.name] += 1
        counts.rejected[strategy.name, reason] += 1
        if decision.scope or reason in LIMIT_NAMES:
            level = decision.scope.partition(" ")[0] or "strategy"
            counts.levels[level, reason] += 1

    def _tell(self, strategy: Strategy, decision: Decided) -> None:
        signal = decision.signal
        self._undurable[signal.id] -= 1
        if not self._undurable[signal.id]:
            del self._undurable[signal.id]
        strategy.tally.decided(decision)
        strategy.recent.append(decision)
        if decision.order is not None:
            strategy.tally.orders += 1
            strategy.told.order(decision.order)

    def _let_leave(self, strategy: Strategy, decision: Decided) -> None:
        """What was accepted is durable: now it may go."""
        if decision.order is not None:
            order = decision.order
            account, reduces = strategy.account.account, strategy.only_reduces(order)
            generation = self._state.journal.generation
            request = order_request(order, account, generation, reduce_only=reduces)
            leaving = Leaving(strategy.name, order.client_order_id, request, venue=order.venue)
            self._state.outside.leave(leaving)
        elif decision.modification is not None and decision.signal.modifies:
            self._leave_again(strategy, decision.signal.modifies, decision.modification)
        elif decision.reason is None and decision.signal.cancels:
            self._leave_again(strategy, decision.signal.cancels)

    def _leave_again(
        self, strategy: Strategy, signal: str, modification: Modification | None = None
    ) -> None:
        """A cancel or modification goes where its order went; of one that has ended, nowhere."""
        order = strategy.order(client_order_id(signal))
        if order is not None:
            leaving = Leaving(strategy.name, order.client_order_id, None, modification, order.venue)
            self._state.outside.leave(leaving)


def _ends(strategy: Strategy, decision: Decided) -> bool:
    """Whether a verdict ends what its strategy expects of the signal.

    A duplicate of an order that is at work does not: that order's own outcomes are still to come.
    What is only observed does, or its strategy would wait for a fill for ever.
    """
    if decision.reason is Reason.DUPLICATE:
        return client_order_id(decision.signal.id) not in strategy.account.orders
    observed = decision.order is None and decision.signal.action is Action.ORDER
    return decision.reason is not None or observed


def _is_sized(decision: Decided) -> bool:
    """Whether its strategy has to be told how large an order it has asked for."""
    return decision.order is not None and decision.signal.direction is not None


def _batch_record(strategy: Strategy, batch: Batch, pools: Pools, at_ns: int) -> Record:
    taken = BatchTaken(
        batch.epoch,
        batch.number,
        batch.mark,
        batch.inputs,
        batch.stopped,
        strategy.account.watermarks,
        pools.watermarks(strategy.account.terms.symbols, strategy.account.account),
    )
    key = batch_key(strategy.name, batch.epoch, batch.number)
    return record(Kind.BATCH, taken, at_ns, strategy.name, key=key)


def _marked(strategy: Strategy, pools: Pools, session: str, decision: Decided) -> Decided:
    """With what losses are measured from when it is written: it may have been judged before what
    is written by now."""
    account = strategy.account
    together = pools.watermarks(account.terms.symbols, account.account)
    return replace(decision, watermarks=account.watermarks, together=together, session=session)


def _decision_record(
    strategy: Strategy, decision: Decided, at_ns: int, outcome: int | None
) -> Record:
    repeated = decision.reason is Reason.DUPLICATE
    return record(
        Kind.DECIDED,
        terse_decision(decision),
        at_ns,
        strategy.name,
        key=None if repeated else decision.signal.id,
        outcome=outcome,
        order=order_row(decision.order) if decision.order else None,
    )
