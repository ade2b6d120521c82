"""The desk: one owner of all state. Runners' messages, grants, deployments, halt.

Everything here runs on one event loop and returns at once; what has to be durable before its answer
is awaited by the caller (`journal.durable()`).
"""

import asyncio
import re
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest

import structlog

from handover.effects import (
    Close,
    Effect,
    GrantChange,
    Note,
    Persist,
    Send,
    Take,
    change_to_json,
)
from handover.grants import Grants
from handover.messages import Batch, Hello, Outcome, RunnerMessage
from handover.timing import Timing
from risk_gateway.admission import Admission
from risk_gateway.content import Mode, parse_content
from risk_gateway.execution import Execution
from risk_gateway.fill_book import FillBook
from risk_gateway.journal import Record
from risk_gateway.queue import PriorityQueue
from risk_gateway.records import Deployed, Kind, Latch, Term, record
from risk_gateway.state import State
from risk_gateway.strategy import Deployment, Session, Strategy, SubmissionDone
from risk_gateway.told import Told
from stratops_wire import InvalidMessage
from stratops_wire.scalars import text_from
from trading.reasons import Reason
from trading.signals import Signal, Verdict

log = structlog.get_logger()
_TIMING = Timing()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UnknownCaller(Exception):
    """No such strategy, or not its token; which of the two is nobody's business."""


class NotDeployed(Exception):
    """The revision is not, or no longer, one of the strategy's."""


class LowerTerm(Exception):
    """Somebody else has begun a newer term."""


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
        self.allow_live = allow_live
        self.timing = timing
        self._loop = loop
        self._news: dict[str, list[Outcome]] = {}
        state.outside.effects = self.carry_out
        state.outside.outcomes = self.tell_outcomes

    # ---- runners

    def connect(self, session: Session, hello: Hello) -> Strategy:
        """Raises UnknownCaller, NotDeployed."""
        strategy = self.authenticate(hello.strategy, hello.revision, hello.token)
        if not strategy.expects(hello.revision):
            raise NotDeployed(f"{hello.strategy}: revision {hello.revision} is not deployed")
        former = strategy.sessions.pop(hello.instance, None)
        if former is not None:
            former.close("the instance connected again")
        strategy.sessions[hello.instance] = session
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
            self.carry_out(strategy, grants.message(instance, message))

    def disconnect(self, strategy: Strategy, instance: str, session: Session) -> None:
        """Nothing, when the instance has a newer session."""
        if strategy.sessions.get(instance) is session:
            del strategy.sessions[instance]
            self.carry_out(strategy, strategy.grants.disconnected(instance))

    def authenticate(self, name: str, revision: str, token: str) -> Strategy:
        """Raises UnknownCaller."""
        strategy = self.state.strategies.get(name)
        deployment = strategy.deployments.get(revision) if strategy is not None else None
        wanted = deployment.runner_token_sha256 if deployment is not None else "-" * 64
        shown = sha256(token.encode()).hexdigest()
        if not compare_digest(shown, wanted) or strategy is None:
            self.state.counts.unknown_callers += 1
            raise UnknownCaller("unknown strategy, revision or token")
        return strategy

    def tick(self, now: float) -> None:
        """The time, monotonic; about every 20 ms."""
        for strategy in self.state.strategies.values():
            self.carry_out(strategy, strategy.grants.tick(now))
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
                case Send(instance, message) if instance in strategy.sessions:
                    strategy.sessions[instance].send(message)
                case Persist(token, changes):
                    self._persist(strategy, token, changes)
                case Take(_, batch):
                    self.admission.take(strategy, batch, strategy.grants.revision)
                case Close(instance, reason) if instance in strategy.sessions:
                    strategy.sessions[instance].close(reason)  # `disconnect` follows
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
        self.carry_out(strategy, strategy.grants.durable(token))

    # ---- supervisors

    def begin_term(self, holder: str) -> int:
        """Raises InvalidMessage; the term before then goes on."""
        term = Term(self.state.term + 1, text_from("holder", holder))
        self.state.term = term.term
        self._note(Kind.TERM, term)
        return self.state.term

    def deploy(self, term: int, strategy: str, deployment: Deployment) -> None:
        """Raises LowerTerm, NotAllowed."""
        self._check_term(term)
        if deployment.content.mode is Mode.LIVE and not self.allow_live:
            raise NotAllowed(f"{strategy}: mode live, this desk allows observation and simulation")
        known = self.state.strategies.get(strategy) or self._new(strategy, deployment)
        if known.deployments.get(deployment.revision) != deployment or (
            known.wanted_revision != deployment.revision
        ):
            body = Deployed(deployment.revision, deployment.text, deployment.runner_token_sha256)
            self._note(Kind.DEPLOYED, body, strategy)
            known.deploy(deployment)
        self.carry_out(known, known.grants.deploy(deployment.revision))

    def withdraw(self, term: int, strategy: str, reason: str) -> None:
        """Raises LowerTerm, NotDeployed."""
        self._check_term(term)
        known = self.state.strategies.get(strategy)
        if known is None:
            raise NotDeployed(f"{strategy}: not deployed")
        self.carry_out(known, known.grants.withdraw(reason))

    def halt(self, reason: str) -> None:
        """Refuses from now on; survives restarts once it is durable."""
        self.state.halted = reason or "no reason given"
        self._note(Kind.HALTED, Latch(self.state.halted))
        log.warning("halted", reason=self.state.halted)

    def resume(self, reason: str) -> None:
        self.state.halted = ""
        self._note(Kind.RESUMED, Latch(reason))
        log.warning("resumed", reason=reason)

    def _check_term(self, term: int) -> None:
        if term != self.state.term:
            raise LowerTerm(f"term {term}, the last one begun is {self.state.term}")

    def _new(self, name: str, first: Deployment) -> Strategy:
        told = Told(name, self.state.archive)
        grants = Grants(name, told, self.timing)
        made = Strategy(name, first, told, grants, self.state.instruments)
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


def name_from(text: str) -> str:
    """Raises InvalidMessage."""
    if not _NAME.fullmatch(text):
        raise InvalidMessage("strategy", text, "a name, or a namespace and a name")
    return text


def deployment_of(revision: str, content: str, runner_token_sha256: str) -> Deployment:
    """Raises InvalidMessage, which names the field."""
    text_from("revision", revision)
    if not _SHA256.fullmatch(runner_token_sha256):
        raise InvalidMessage("runner_token_sha256", runner_token_sha256, "64 hex digits")
    return Deployment(revision, content, parse_content(content), runner_token_sha256)
