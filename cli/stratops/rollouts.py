"""From the strategies that the manifests want to runners, and to what the gateway is asked for.

One task reconciles: what was missed while the gateway was away is done when it is back. The gateway
alone decides who is armed; this side starts the runner of the wanted revision beside the old one,
and the old one ends when the gateway releases it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stratops.manifests import CheckedStrategy
from stratops.notices import Kind, Notices
from stratops.supervisor import Child, Death
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayRefused, GatewayUnavailable

CRASHES = 3  # of a revision that was never armed; then it is given up
RETRY_S = 0.5
LEAVE_S = 5.0  # for a runner that is no longer wanted to end by itself
GIVEN_UP = "crash_loop"  # the gateway's reason why nobody is armed


@dataclass(slots=True, eq=False)
class Runner:
    """The runner of one revision, whichever process fills it."""

    strategy: CheckedStrategy
    token: str
    spec: Path
    instance: str = ""  # of the process that lives now
    connected_at: float | None = None  # when the gateway last said so (monotonic)
    leaving_since: float | None = None
    child: Child | None = None

    def next_instance(self, life: int) -> str:
        self.instance = f"{self.strategy.revision}-{life}-{secrets.token_hex(3)}"
        self.connected_at = None
        return self.instance

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.alive


class Grantor(Protocol):
    """The gateway, as far as revisions are concerned. Both raise what GatewayClient raises."""

    async def deploy(
        self, strategy: str, revision: str, content: bytes, runner_token: str
    ) -> None: ...

    async def withdraw(self, strategy: str, reason: str) -> None: ...


class Seats(Protocol):
    """Where runners are started; `again` says whether a life follows one with that exit code."""

    def write_spec(self, strategy: CheckedStrategy) -> Path: ...

    def seat(
        self, runner: Runner, on_death: Callable[[Death], None], again: Callable[[int], bool]
    ) -> Child: ...


@dataclass(slots=True)
class Place:
    """One strategy on this desk."""

    wanted: CheckedStrategy | None = None  # None: withdrawn
    asked: str = ""  # the revision that the gateway was last asked for
    armed: CheckedStrategy | None = None  # the last one of ours that the gateway armed
    former: CheckedStrategy | None = None  # the last other one before that
    epoch: int = 0
    none_reason: str = ""  # why nobody is armed, as the gateway said last
    crashes: int = 0
    runners: dict[str, Runner] = field(default_factory=dict)  # by revision
    given_up: dict[str, str] = field(default_factory=dict)  # revision -> why


class Rollouts:
    def __init__(self, gateway: Grantor, seats: Seats, notices: Notices) -> None:
        self._gateway = gateway
        self._seats = seats
        self._notices = notices
        self._places: dict[str, Place] = {}
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()

    def want(self, strategies: Iterable[CheckedStrategy]) -> None:
        """These and no others. A revision that was given up is not tried again."""
        wanted = {strategy.ref: strategy for strategy in strategies}
        for ref in {**self._places, **wanted}:
            self._want(ref, wanted.get(ref))
        self._settled.clear()
        self._changed.set()

    def forget_others(self, known: Iterable[str]) -> None:
        """Strategies that the gateway remembers of an earlier run and nobody wants now."""
        for ref in known:
            self._places.setdefault(ref, Place(asked="an earlier run's"))
        self._changed.set()

    async def settled(self) -> None:
        """Returns when everything wanted was asked for and has its runner."""
        await self._settled.wait()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._reconcile()
            except GatewayUnavailable:
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    def observe(self, desk: pb.Desk) -> None:
        """Takes in what the gateway says of the strategies and their runners."""
        for status in desk.strategies:
            place = self._places.get(status.strategy)
            if place is not None:
                self._observe(place, status)

    def starting(self, desk: pb.Desk | None) -> Mapping[str, Sequence[str]]:
        """Revisions, by strategy, whose process lives and that the gateway does not list yet."""
        listed = {
            one.instance for status in (desk.strategies if desk else ()) for one in status.runners
        }
        found: dict[str, list[str]] = {}
        for runner in self.runners:
            if runner.alive and runner.instance not in listed:
                found.setdefault(runner.strategy.ref, []).append(runner.strategy.revision)
        return found

    @property
    def runners(self) -> Iterator[Runner]:
        for place in self._places.values():
            yield from tuple(place.runners.values())

    def _want(self, ref: str, strategy: CheckedStrategy | None) -> None:
        place = self._places.setdefault(ref, Place())
        if strategy is None or strategy.revision not in place.given_up:
            if strategy is None or strategy.revision != place.asked:
                self._notices.solved(ref)
            place.wanted = strategy

    # ---- What is asked for

    async def _reconcile(self) -> None:
        for ref, place in tuple(self._places.items()):
            try:
                if place.wanted is None:
                    await self._withdraw(ref, place)
                else:
                    await self._deploy(ref, place, place.wanted)
            except GatewayRefused as refusal:
                self._notices.stands(ref, str(refusal))
        self._settled.set()

    async def _withdraw(self, ref: str, place: Place) -> None:
        if place.asked:
            await self._gateway.withdraw(ref, "no manifest names it")
            place.asked = ""
            self._notices.say(Kind.WITHDRAWN, ref, "no manifest names it any more")
        for runner in place.runners.values():
            runner.leaving_since = runner.leaving_since or time.monotonic()
        if not place.runners:
            self._places.pop(ref, None)

    async def _deploy(self, ref: str, place: Place, strategy: CheckedStrategy) -> None:
        runner = self._runner(place, strategy)
        if place.asked != strategy.revision:
            await self._gateway.deploy(ref, strategy.revision, strategy.content, runner.token)
            after = f" after {place.asked}" if place.asked else ""
            place.asked, place.crashes = strategy.revision, 0
            self._notices.say(Kind.DEPLOYED, ref, f"revision {strategy.revision}{after}")
        runner.leaving_since = None
        if runner.child is None or runner.child.ended:
            self._seat(ref, place, runner)

    def _runner(self, place: Place, strategy: CheckedStrategy) -> Runner:
        runner = place.runners.get(strategy.revision)
        if runner is None:
            spec = self._seats.write_spec(strategy)
            runner = Runner(strategy, secrets.token_urlsafe(24), spec)
            place.runners[strategy.revision] = runner
        return runner

    def _seat(self, ref: str, place: Place, runner: Runner) -> None:
        def again(_code: int) -> bool:
            return place.wanted is not None and place.wanted.revision == runner.strategy.revision

        def on_death(death: Death) -> None:
            self._on_death(ref, place, runner, death)

        runner.child = self._seats.seat(runner, on_death, again)

    # ---- What happens to runners

    def _on_death(self, ref: str, place: Place, runner: Runner, death: Death) -> None:
        revision = runner.strategy.revision
        if death.delay_s is None:
            place.runners.pop(revision, None)
            kind = Kind.RELEASED if death.code == 0 else Kind.DIED
            self._notices.say(kind, ref, f"runner of {revision} ended ({death.cause})")
            self._changed.set()
            return
        self._notices.say(
            Kind.DIED, ref, f"runner of {revision}: {death.cause}; again in {death.delay_s:.1f} s"
        )
        if place.armed is None or place.armed.revision != revision:
            self._crashed_unarmed(ref, place, runner, death)

    def _crashed_unarmed(self, ref: str, place: Place, runner: Runner, death: Death) -> None:
        place.crashes += 1
        if place.crashes < CRASHES:
            return
        revision = runner.strategy.revision
        if place.armed is None:
            self._notices.stands(ref, f"revision {revision} keeps ending: {death.cause}")
            return
        why = f"it ended {CRASHES} times before it was armed; last: {death.cause}"
        self._give_up(ref, place, revision, place.armed, why)

    def _give_up(
        self, ref: str, place: Place, revision: str, good: CheckedStrategy, why: str
    ) -> None:
        """Asks for the last good one again; this one is not tried any more."""
        place.given_up[revision] = f"crash_loop: revision {revision} is given up: {why}"
        place.wanted = good
        self._notices.say(Kind.GIVEN_UP, ref, place.given_up[revision])
        self._notices.stands(ref, f"{place.given_up[revision]}; {good.revision} goes on")
        runner = place.runners.pop(revision, None)
        if runner is not None and runner.child is not None:
            runner.child.dismiss()
        self._changed.set()

    def _observe(self, place: Place, status: pb.StrategyStatus) -> None:
        self._note_switch(place, status)
        self._note_loss(place, status)
        now = time.monotonic()
        instances = {one.instance for one in status.runners if one.connected}
        for runner in tuple(place.runners.values()):
            if runner.instance in instances:
                runner.connected_at = now
            if place.wanted is None or status.role == "armed":
                self._let_go(place, runner, now)

    def _note_switch(self, place: Place, status: pb.StrategyStatus) -> None:
        if status.role != "armed" or status.epoch == place.epoch:
            return
        before, place.epoch = place.armed, status.epoch
        runner = place.runners.get(status.revision)
        place.armed = runner.strategy if runner else place.armed
        if place.wanted is not None and status.revision == place.wanted.revision:
            place.crashes = 0
        now = f"{status.revision} armed, epoch {status.epoch}"
        if before is None or before.revision == status.revision:
            self._notices.say(Kind.ARMED, status.strategy, now)
        else:
            place.former = before
            self._notices.say(Kind.SWITCHED, status.strategy, f"{before.revision} -> {now}")

    def _note_loss(self, place: Place, status: pb.StrategyStatus) -> None:
        """Nobody is armed: says so once, and falls back when the gateway has given up."""
        before, place.none_reason = place.none_reason, status.none_reason
        if status.none_reason and status.none_reason != before and place.epoch:
            self._notices.say(Kind.DISARMED, status.strategy, status.none_reason)
        wanted = place.wanted.revision if place.wanted else ""
        good = next((one for one in (place.armed, place.former) if _is_other(one, wanted)), None)
        asked = wanted and place.asked == wanted == status.wanted_revision
        if status.none_reason == GIVEN_UP and asked and good is not None:
            why = f"the gateway saw it end {CRASHES} times, soon after it was armed"
            self._give_up(status.strategy, place, wanted, good, why)

    def _let_go(self, place: Place, runner: Runner, now: float) -> None:
        """A runner that nobody wants ends by itself, or is ended when it does not."""
        if place.wanted is not None and runner.strategy in (place.wanted, place.armed):
            runner.leaving_since = None
            return
        runner.leaving_since = runner.leaving_since or now
        if now - runner.leaving_since > LEAVE_S and runner.child is not None:
            runner.child.kill("not_released: it outstayed its revision")


def _is_other(strategy: CheckedStrategy | None, revision: str) -> bool:
    return strategy is not None and strategy.revision != revision
