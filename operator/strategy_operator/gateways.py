"""One desk's risk gateway: what it says, and what it is asked for.

While this operator leads it holds a term there, and asks what the desk looks like: often while
something is in flight, else once a second. A higher term there than its own closes this desk and no
other: the Lease says who leads, a gateway only whom it obeys.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from strategy_operator import views
from strategy_operator.observed import GatewayView
from strategy_operator.queue import Key
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import (
    GatewayClient,
    GatewayRefused,
    GatewayUnavailable,
)

QUICK_S, CALM_S = 0.25, 1.0
_LEAST_S = 0.05  # between two questions
_QUICK_FOR_S = 30.0  # after the last change: what stands still is no longer waited for so eagerly
_ASKED_FOR_S = 3.0  # after something was asked of it
_SHARE = 0.1  # of the time, at most, goes into reading answers
_FOLLOWED_S = 15.0  # more than a leader goes on without renewing its Lease
_LOST_S = 3.0  # without an answer; before that the last one counts
_BACK_OFF_S = (0.25, 0.5, 1.0, 2.0, 5.0)
_COUNTS_EVERY_S = 60.0
_JITTER_S = 15.0
_CHUNK = 100  # statuses read in one turn of the loop
_NEVER = float("-inf")

log = structlog.get_logger()


class Attention(Protocol):
    """Who looks at strategies."""

    def add(self, key: Key, after_s: float = 0.0) -> None: ...


@dataclass(frozen=True, slots=True)
class Ties:
    """What a gateway's answers are held against, and who is told."""

    attention: Attention
    strategies: Callable[[str], Iterable[Key]]  # of a namespace
    orphaned: Callable[[Key], Awaitable[bool]]  # whether there is no such strategy, for certain


class Gateway:
    def __init__(self, namespace: str, client: GatewayClient, identity: str, ties: Ties) -> None:
        self._namespace = namespace
        self._client = client
        self._identity = identity
        self._ties = ties
        self._views: dict[str, GatewayView] = {}  # by name of the strategy
        self._written_at: dict[str, float] = {}
        self._counts_due_at: dict[str, float] = {}
        self._halted = ""
        self._lost_at: float | None = time.monotonic()  # nothing was heard yet
        self._reachable = False
        self._followed_at: float | None = None  # when a higher term was seen
        self._changed_at = self._asked_at = _NEVER
        self._poke = asyncio.Event()

    @property
    def reachable(self) -> bool:
        return self._reachable

    def view(self, name: str) -> tuple[GatewayView | None, float | None]:
        """The last answer about a strategy; since when there is none."""
        if not self._reachable:
            return None, self._lost_at
        return self._views.get(name, GatewayView(halted=self._halted)), None

    # ---- What it is asked for

    async def deploy(self, name: str, revision: str, content: str, pods: tuple[str, ...]) -> None:
        ref = f"{self._namespace}/{name}"
        await self._asked(name, self._client.deploy(ref, revision, content, runner_pods=pods))
        before = self._views.get(name, GatewayView(halted=self._halted))
        # Known before its next answer says so.
        self._views[name] = replace(
            before,
            known=True,
            wanted=revision,
            runner_pods=frozenset(pods),
            given_up="" if before.given_up == revision else before.given_up,
        )

    async def withdraw(self, name: str, reason: str, *, flatten: bool) -> None:
        ref = f"{self._namespace}/{name}"
        await self._asked(name, self._client.withdraw(ref, reason, flatten=flatten))
        before = self._views.get(name, GatewayView(halted=self._halted))
        left = before.flattening or ("to be closed" if flatten else "orders to be cancelled")
        self._views[name] = replace(before, known=True, wanted="", flattening=left)

    async def _asked(self, name: str, call: Awaitable[None]) -> None:
        self._asked_at = time.monotonic()
        try:
            await call
        finally:
            self._written_at[name] = time.monotonic()
            self._poke.set()  # the next answer says more, also of a lower term

    # ---- While this operator leads

    async def serve(self) -> None:
        """Ends when it is cancelled."""
        failures = 0
        async with self._client:
            while True:
                self._poke.clear()
                try:
                    pause_s = await self._look()
                    failures = 0
                except (GatewayUnavailable, GatewayRefused) as error:
                    pause_s = self._failed(error, failures)
                    failures += 1
                await self._poked(pause_s)

    async def _poked(self, within_s: float) -> None:
        """Not at once: many are deployed at the same time."""
        try:
            async with asyncio.timeout(within_s):
                await asyncio.sleep(_LEAST_S)
                await self._poke.wait()
        except TimeoutError:
            pass

    async def _look(self) -> float:
        """Returns for how long what it said is good."""
        if not self._client.term:
            term = await self._client.begin_term(self._identity)
            self._followed_at = None
            log.info("term_begun", namespace=self._namespace, term=term)
        began = time.monotonic()
        desk = await self._client.get_desk()
        if desk.term > self._client.term:
            raise self._followed_by(desk.term)
        if desk.term < self._client.term:  # it lost its journal, and our term with it
            self._client.term = 0
            return 0.0
        spent_s = await self._take(desk, began)
        return max(QUICK_S if self._is_quick() else CALM_S, spent_s / _SHARE)

    def _followed_by(self, term: int) -> GatewayUnavailable:
        """Whoever still leads a while later has renewed its Lease since: it may begin again."""
        now = time.monotonic()
        if self._followed_at is None:
            self._followed_at = now
            log.warning("term_ended", namespace=self._namespace, term=term)
        if now - self._followed_at >= _FOLLOWED_S:
            self._client.term = 0
        return GatewayUnavailable(f"risk gateway: it obeys term {term}, not ours")

    def _is_quick(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at < _ASKED_FOR_S:
            return True
        recent = now - self._changed_at < _QUICK_FOR_S
        return recent and any(views.in_flight(view) for view in self._views.values())

    def _failed(self, error: Exception, failures: int) -> float:
        now = time.monotonic()
        if self._lost_at is None or not failures:
            self._lost_at = self._lost_at or now
            log.warning("gateway_lost", namespace=self._namespace, why=str(error))
        if self._reachable and now - self._lost_at >= _LOST_S:
            self._reachable = False
            self._all()
        pause = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
        return pause * random.uniform(0.75, 1.0)  # noqa: S311  # no secret

    # ---- What an answer says

    async def _take(self, desk: pb.Desk, asked_at: float) -> float:
        """Returns the time of the processor that it took to read, in seconds."""
        halted, self._halted = self._halted, desk.halted
        spent_s = await self._read(desk, asked_at)
        # Not before all is read: who is not noted yet looks disarmed and flat.
        is_back, self._reachable, self._lost_at = not self._reachable, True, None
        if is_back or halted != desk.halted:
            self._all()
        await self._withdraw_orphans(desk)
        return spent_s

    async def _read(self, desk: pb.Desk, asked_at: float) -> float:
        """Returns the time of the processor that this took, without what others did meanwhile."""
        there, spent_s = set(), 0.0
        for start in range(0, len(desk.strategies), _CHUNK):
            began = time.thread_time()
            for status in desk.strategies[start : start + _CHUNK]:
                name = self._name(status)
                there.add(name)
                if name and self._is_untouched(name, asked_at):
                    self._note(name, status)
            spent_s += time.thread_time() - began
            await asyncio.sleep(0)
        for name in self._views.keys() - there:
            if self._is_untouched(name, asked_at):
                self._forget(name)
        return spent_s

    def _is_untouched(self, name: str, since: float) -> bool:
        return self._written_at.get(name, _NEVER) < since

    def _forget(self, name: str) -> None:
        """Its journal was lost, or is an older one."""
        log.warning("strategy_unknown_to_gateway", strategy=f"{self._namespace}/{name}")
        del self._views[name]
        self._changed_at = time.monotonic()
        self._ties.attention.add((self._namespace, name))

    def _name(self, status: pb.StrategyStatus) -> str:
        """Empty: it is of no namespace, or of another."""
        namespace, _, name = status.strategy.rpartition("/")
        return name if namespace == self._namespace else ""

    def _note(self, name: str, status: pb.StrategyStatus) -> None:
        before = self._views.get(name, GatewayView())
        now = self._views[name] = views.view_of(status, self._halted)
        if views.calls_for_a_look(before, now):
            self._changed_at = time.monotonic()
            self._ties.attention.add((self._namespace, name))
        elif views.counts_differ(before, now):
            self._ties.attention.add((self._namespace, name), self._until_counts(name))

    def _until_counts(self, name: str) -> float:
        """Those of one strategy are looked at once a minute at most, not all at the same time."""
        now = time.monotonic()
        due_at = self._counts_due_at.get(name, _NEVER)
        if due_at > now:
            return due_at - now
        self._counts_due_at[name] = now + _COUNTS_EVERY_S + random.uniform(0, _JITTER_S)  # noqa: S311  # as above
        return 0.0

    async def _withdraw_orphans(self, desk: pb.Desk) -> None:
        """What is still wanted there and has no Strategy: it was deleted while nobody was told."""
        for status in desk.strategies:
            name = self._name(status)
            if (
                status.wanted_revision
                and name
                and await self._ties.orphaned((self._namespace, name))
            ):
                log.info("orphan_withdrawn", strategy=status.strategy)
                await self._client.withdraw(status.strategy, "its Strategy is gone")

    def _all(self) -> None:
        for key in self._ties.strategies(self._namespace):
            self._ties.attention.add(key)
