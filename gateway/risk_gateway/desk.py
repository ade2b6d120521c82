"""The desk: one owner of all state. Runners' messages, grants, deployments.

Everything here runs on one event loop and returns at once; what has to be durable before its answer
is awaited by the caller (`journal.durable()`).
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence

import structlog

from handover.effects import (
    Armed,
    Close,
    Effect,
    GivenUp,
    GrantChange,
    Note,
    Persist,
    Send,
    Take,
    Why,
    change_to_json,
)
from handover.grants import Grants
from handover.messages import Alive, Batch, Hello, Outcome, RunnerMessage, Trouble
from handover.timing import Timing
from risk_gateway.admission import Admission
from risk_gateway.bounds import Bounds
from risk_gateway.breaches import BreachWatch
from risk_gateway.callers import Caller, NotWanted, Refusal, Runners, UnknownCaller
from risk_gateway.closing import Closer
from risk_gateway.content import Mode, capital_objection, parse_content
from risk_gateway.execution import Execution
from risk_gateway.fill_book import FillBook
from risk_gateway.flatten import Flattener
from risk_gateway.journal import Record
from risk_gateway.queue import PriorityQueue
from risk_gateway.records import Deployed, Flatten, Kind, Term, Withdrawn, record
from risk_gateway.route_modes import mode_objection
from risk_gateway.state import State
from risk_gateway.strategy import (
    BREACH,
    CANCELS_ONLY,
    Deployment,
    Flattening,
    Link,
    Session,
    Strategy,
    SubmissionDone,
)
from risk_gateway.told import Told
from stratops_wire import InvalidMessage
from stratops_wire.scalars import text_from
from trading.reasons import Reason
from trading.scopes import DESK, Level, Scope
from trading.signals import Signal, Verdict
from trading.standings import OPERATOR

log = structlog.get_logger()
_TIMING = Timing()
_MOST_NAMED = 10
_TROUBLES = frozenset(Why)  # a runner may say anything else
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


class NotDeployed(Exception):
    """There is no such strategy."""


class LowerTerm(Exception):
    """It is not the last term begun: somebody else supervises, or nobody does yet."""


class NotAllowed(Exception):
    """This desk does not do that."""


class Desk:
    """Call nothing concurrently."""

    def __init__(
        self,
        state: State,
        loop: asyncio.AbstractEventLoop,
        *,
        allow_live: bool = False,
        timing: Timing = _TIMING,
    ) -> None:
        self.state = state
        self.admission = Admission(state, loop, PriorityQueue())
        self.execution = Execution(state)
        self.fill_book = FillBook(state, self.execution)
        closer = Closer(state, self.admission)
        self.flattener = Flattener(state, closer)
        self.bounds = Bounds(state)
        self.breaches = BreachWatch(state, self.bounds, closer)
        self.allow_live = allow_live
        self.timing = timing
        self._loop = loop
        self._news: dict[str, list[Outcome]] = {}
        state.outside.effects = self.carry_out
        state.outside.outcomes = self.tell_outcomes

    # ---- runners

    def connect(self, session: Session, hello: Hello, caller: Caller) -> Strategy:
        """Raises UnknownCaller, NotPermitted, NotWanted."""
        strategy = self.permitted(caller, hello.strategy, hello.revision, hello.instance)
        if not strategy.expects(hello.revision):
            message = f"{hello.strategy}: revision {hello.revision} is wanted no more"
            raise NotWanted(Refusal.NOT_WANTED, message)
        former = strategy.links.pop(hello.instance, None)
        if former is not None:
            former.session.close("the instance connected again")
        strategy.links[hello.instance] = Link(session, caller, hello.revision)
        self.carry_out(strategy, strategy.grants.connected(hello.instance, hello))
        return strategy

    def message(self, strategy: Strategy, instance: str, message: RunnerMessage) -> None:
        grants = strategy.grants
        if isinstance(message, Batch):
            refused = grants.refused
            self.carry_out(strategy, grants.message(instance, message))
            self._count_refused(strategy, grants.refused - refused)
            if grants.instance == instance and grants.epoch == message.epoch:
                strategy.tally.reached(message.mark.count)
        else:
            if isinstance(message, Trouble):
                why = message.reason if message.reason in _TROUBLES else "other"
                self.state.counts.errors[strategy.name, why] += 1
            self.carry_out(strategy, grants.message(instance, message))

    def heard(self, strategy: Strategy, instance: str) -> None:
        """It has said something that waits here; what it counted is as it was."""
        counters = next(
            (run.counters for run in strategy.grants.runners if run.instance == instance), None
        )
        if counters is not None:
            self.carry_out(strategy, strategy.grants.message(instance, Alive(counters)))

    def disconnect(self, strategy: Strategy, instance: str, session: Session) -> None:
        """Nothing, when the instance has a newer session."""
        link = strategy.links.get(instance)
        if link is not None and link.session is session:
            self._unlink(strategy, instance)

    def _unlink(self, strategy: Strategy, instance: str) -> None:
        del strategy.links[instance]
        self.carry_out(strategy, strategy.grants.disconnected(instance))

    def permitted(self, caller: Caller, name: str, revision: str, instance: str = "") -> Strategy:
        """The strategy, if the caller may run that revision. Raises UnknownCaller, NotPermitted.

        Which of name, revision and token was wrong is nobody's business.
        """
        strategy = self.state.strategies.get(name)
        deployment = strategy.deployments.get(revision) if strategy is not None else None
        if strategy is None or deployment is None:
            message = "unknown strategy, revision or token"
            raise UnknownCaller(Refusal.UNKNOWN_STRATEGY, message)
        deployment.runners.check(caller, instance)
        return strategy

    def tick(self, now: float) -> None:
        """The time, monotonic; about every 20 ms."""
        for strategy in self.state.strategies.values():
            self.carry_out(strategy, strategy.grants.tick(now))
        self.flattener.tick(now)
        self.breaches.tick(now)
        self.admission.tick(now)

    def _count_refused(self, strategy: Strategy, signals: int) -> None:
        if signals:
            strategy.tally.refused(Reason.FENCED, signals)
            self.state.counts.rejected[strategy.name, Reason.FENCED] += signals

    def tell_outcomes(self, strategy: Strategy, outcomes: Sequence[Outcome]) -> None:
        """All that one commit made durable goes out in one message."""
        if not outcomes:
            return
        if not self._news:
            self._loop.call_soon(self._flush_outcomes)
        self._news.setdefault(strategy.name, []).extend(outcomes)

    def _flush_outcomes(self) -> None:
        news, self._news = self._news, {}
        for name, outcomes in news.items():
            strategy = self.state.strategies[name]
            self.carry_out(strategy, strategy.grants.outcomes(tuple(outcomes)))

    # ---- effects of the grants

    def carry_out(self, strategy: Strategy, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(instance, message) if instance in strategy.links:
                    strategy.links[instance].session.send(message)
                case Persist(token, changes):
                    self._persist(strategy, token, changes)
                case Take(_, batch):
                    self.admission.take(strategy, batch, strategy.grants.revision)
                case Close(instance, reason) if instance in strategy.links:
                    strategy.links[instance].session.close(reason)  # `disconnect` follows
                case Note(event, fields):
                    log.info(event, strategy=strategy.name, **fields)

    def _persist(self, strategy: Strategy, token: int, changes: tuple[GrantChange, ...]) -> None:
        at_ns = self.state.wall_ns()
        records = [
            Record(Kind.GRANT, change_to_json(change), at_ns, strategy.name) for change in changes
        ]
        self.state.journal.append(records, lambda: self._persisted(strategy, token, changes))

    def _persisted(self, strategy: Strategy, token: int, changes: tuple[GrantChange, ...]) -> None:
        for change in changes:
            strategy.change(change)
            self._count(strategy.name, change)
        self.carry_out(strategy, strategy.grants.durable(token))

    def _count(self, strategy: str, change: GrantChange) -> None:
        if isinstance(change, GivenUp) or (isinstance(change, Armed) and change.after):
            success = "false" if isinstance(change, GivenUp) else "true"
            self.state.counts.reloads[strategy, success] += 1

    # ---- supervisors

    def begin_term(self, holder: str) -> int:
        """Raises InvalidMessage; the term before then goes on."""
        term = Term(self.state.term + 1, text_from("holder", holder))
        self.state.term = term.term
        self._note(Kind.TERM, term)
        return self.state.term

    def deploy(self, term: int, strategy: str, deployment: Deployment) -> None:
        """The same again writes nothing. Raises LowerTerm, NotAllowed."""
        self._check_term(term)
        if deployment.content.mode is Mode.LIVE and not self.allow_live:
            raise NotAllowed(f"{strategy}: mode live, this desk allows observation and simulation")
        if unsuited := mode_objection(self.state.policies.routes, deployment.content):
            raise NotAllowed(f"{strategy}: {unsuited}: expected another mode, or another venue")
        known = self.state.strategies.get(strategy)
        foreign = capital_objection(self.state.currencies, deployment.content)
        # What was wanted before the desk said its currency may go on, to close.
        if foreign and (known is None or known.wanted_revision != deployment.revision):
            raise NotAllowed(f"{strategy}: {foreign}")
        known = known or self._new(strategy, deployment)
        account, stays = deployment.content.account, known.account.account
        if account != stays:
            message = f"account {account}, expected {stays}: it stays with its strategy"
            raise NotAllowed(f"{strategy}: {message}; make another strategy")
        if not known.stands(deployment):
            runners = deployment.runners
            body = Deployed(
                deployment.revision, deployment.text, runners.token_sha256, runners.pods
            )
            self._note(Kind.DEPLOYED, body, strategy)
            known.deploy(deployment)
            for instance, why in known.shut_out(deployment).items():
                known.links[instance].session.close(why)
                self._unlink(known, instance)
            self.state.counts.deployments[strategy,] += 1
        self.carry_out(known, known.grants.deploy(deployment.revision))

    def withdraw(self, term: int, strategy: str, reason: str, *, flatten: bool = False) -> None:
        """Once disarmed, what is at work is cancelled and, with `flatten`, what is held is closed.

        Deploy takes that back.

        Raises LowerTerm, NotDeployed.
        """
        self._check_term(term)
        known = self.state.strategies.get(strategy)
        if known is None:
            raise NotDeployed(f"{strategy}: not deployed")
        self.carry_out(known, known.grants.withdraw(reason))
        if flatten and not (known.flattening and known.flattening.closes):
            known.flattenings += 1
            known.flattening = Flattening(known.flattenings)
            self._note(Kind.FLATTEN, Flatten(known.flattenings, reason), strategy)
            log.info("flattening", strategy=strategy, number=known.flattenings, reason=reason)
        elif known.flattening is None:
            known.flattening = Flattening(CANCELS_ONLY)
            self._note(Kind.WITHDRAWN, Withdrawn(reason), strategy)

    def resume(self, reason: str, scope: Scope, source: str, by: str) -> None:
        """Takes back what that source set of that scope. Raises InvalidMessage."""
        if source in ("", OPERATOR):
            self.bounds.resume(reason, scope, by=by)
        elif source != BREACH:
            raise InvalidMessage("source", source, f"{OPERATOR} or {BREACH}")
        elif not self.breaches.lift(scope, reason, by):
            raise InvalidMessage("source", source, f"a breach in force of the {scope}")

    def check_known(self, scope: Scope) -> None:
        """Raises InvalidMessage."""
        strategies = self.state.strategies
        known: Mapping[Level, Collection[str]] = {
            Level.STRATEGY: strategies.keys(),
            Level.SYMBOL: self.state.instruments.keys(),
            Level.ACCOUNT: {each.account.account for each in strategies.values()},
        }
        if scope.name and scope.name not in known[scope.level]:
            expected = ", ".join(sorted(known[scope.level])[:_MOST_NAMED]) or "none is known yet"
            raise InvalidMessage(scope.level, scope.name, f"one of: {expected}")

    def _check_term(self, term: int) -> None:
        if term != self.state.term or not term:
            begun = f"the last one begun is {self.state.term}" if self.state.term else "none yet"
            raise LowerTerm(f"term {term}, {begun}")

    def _new(self, name: str, first: Deployment) -> Strategy:
        told = Told(name, self.state.archive)
        grants = Grants(name, told, self.timing)
        state = self.state
        made = Strategy(name, first, told, grants, state.instruments, state.policies, state.pools)
        self.state.strategies[name] = made
        return made

    def _note(self, kind: Kind, body: object, strategy: str = "") -> None:
        self.state.journal.append([record(kind, body, self.state.wall_ns(), strategy)])

    # ---- tools

    def submit(
        self, strategy: Strategy, epoch: int, signal: Signal, done: SubmissionDone
    ) -> Verdict | None:
        """Through the same fence; the verdict at once when it is refused there."""
        grants = strategy.grants
        if not grants.epoch:
            refused = Verdict(signal.id, Reason.NOT_GRANTED, grants.none_reason)
        elif epoch != grants.epoch:
            refused = Verdict(signal.id, Reason.FENCED, f"epoch {epoch}, armed is {grants.epoch}")
        else:
            batch = Batch(epoch, 0, grants.mark, (signal,))
            self.admission.take(strategy, batch, grants.revision, done)
            return None
        strategy.tally.refused(Reason(refused.reason or Reason.FENCED))
        return refused


def scope_from(strategy: str, symbol: str, account: str) -> Scope:
    """At most one of them; none: the desk. Raises InvalidMessage."""
    named = {Level.STRATEGY: strategy, Level.SYMBOL: symbol, Level.ACCOUNT: account}
    scopes = [Scope(level, name) for level, name in named.items() if name]
    if len(scopes) > 1:
        found = " and ".join(map(str, scopes))
        raise InvalidMessage("scope", found, "at most one of strategy, symbol and account")
    return scopes[0] if scopes else DESK


def name_from(text: str) -> str:
    """Raises InvalidMessage."""
    if not _NAME.fullmatch(text):
        raise InvalidMessage("strategy", text, "a name, or a namespace and a name")
    return text


def deployment_of(revision: str, content: str, runners: Runners) -> Deployment:
    """Raises InvalidMessage, which names the field."""
    text_from("revision", revision)
    return Deployment(revision, content, parse_content(content), runners)
