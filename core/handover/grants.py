"""The gateway's half: who may trade for one strategy, and how that moves to another runner.

Pure: every input answers the effects to carry out, in order; time comes with `tick`, which is
called about every 20 ms. Nothing is sent before what it rests on is durable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from handover.effects import Effect, GrantChange
from handover.messages import (
    Batch,
    Counters,
    Hello,
    Holdings,
    Mark,
    Outcome,
    Phase,
    RunnerMessage,
)
from handover.timing import Timing
from trading.signals import Verdict


class LedgerView(Protocol):
    """What the gateway's books say of one strategy. All of it durable, all of one moment."""

    def holdings(self) -> Holdings:
        """As of the outcome `last_outcome()`."""

    def last_outcome(self) -> int: ...

    def outcomes_after(self, number: int) -> tuple[Outcome, ...]: ...

    def last_batch(self, epoch: int) -> Batch | None:
        """The last one journalled. Its signals may be left out, here and in batches_after."""

    def batches_after(self, epoch: int, number: int) -> tuple[Batch, ...]:
        """In their order; numbers may have gaps where Grants acknowledged without a Take."""

    def verdicts(self, epoch: int, number: int) -> tuple[Verdict, ...]:
        """Of a batch that is sent again. May be empty: outcomes tell the strategy, not verdicts."""


@dataclass(frozen=True, slots=True)
class RunnerView:
    instance: str
    revision: str
    role: str  # armed, standby
    phase: Phase
    epoch: int
    connected: bool
    ready: bool
    counters: Counters


class Grants:
    """The grants of one strategy. Call nothing concurrently."""

    def __init__(self, strategy: str, view: LedgerView, timing: Timing = Timing()) -> None:
        raise NotImplementedError

    @classmethod
    def restore(
        cls,
        strategy: str,
        view: LedgerView,
        changes: Iterable[GrantChange],
        timing: Timing = Timing(),
    ) -> Self:
        """As a gateway that was killed left them; no effects. The view is asked at once."""
        raise NotImplementedError

    # ---- inputs

    def deploy(self, revision: str) -> list[Effect]:
        """This revision is wanted now; answer the caller when its Persist is durable.

        While a switch is under way, that is finished first. The same revision again is nothing,
        and does not try again one that was given up.
        """
        raise NotImplementedError

    def withdraw(self, reason: str) -> list[Effect]:
        """No revision is wanted: the armed one is ended, every runner released."""
        raise NotImplementedError

    def connected(self, instance: str, hello: Hello) -> list[Effect]:
        """A stream opened and said `hello`. An older stream of the instance counts no more."""
        raise NotImplementedError

    def message(self, instance: str, message: RunnerMessage) -> list[Effect]:
        """Anything else that came over the current stream of `instance`."""
        raise NotImplementedError

    def disconnected(self, instance: str) -> list[Effect]:
        """The current stream of `instance` ended. Not to be told of a stream that was replaced."""
        raise NotImplementedError

    def durable(self, token: int) -> list[Effect]:
        """The changes of that Persist are on disk. In the order of the tokens."""
        raise NotImplementedError

    def batch_durable(
        self, epoch: int, number: int, verdicts: tuple[Verdict, ...] = ()
    ) -> list[Effect]:
        """A batch of a Take is on disk, with its verdicts. In the order of their numbers.

        The view answers it from now on (batches_after, holdings, refusals among the outcomes).
        """
        raise NotImplementedError

    def outcomes(self, outcomes: tuple[Outcome, ...]) -> list[Effect]:
        """These became durable, in the order of their numbers; the view has them."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Effect]:
        """The time, monotonic."""
        raise NotImplementedError

    # ---- how it stands

    @property
    def wanted(self) -> str: ...

    @property
    def given_up(self) -> str:
        """The wanted revision if it is no longer tried, else empty. Why is `crash_loop`."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """The revision that should run: the wanted one, or the last good one if that was given up."""
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """Of the armed one; 0 while nobody is armed."""
        raise NotImplementedError

    @property
    def revision(self) -> str:
        """Of the armed one; empty while nobody is armed."""
        raise NotImplementedError

    @property
    def instance(self) -> str: ...

    @property
    def none_reason(self) -> str:
        """Why nobody is armed; empty while somebody is."""
        raise NotImplementedError

    @property
    def handovers(self) -> int:
        """Switches from one runner to another so far, this life of the gateway."""
        raise NotImplementedError

    @property
    def mark(self) -> Mark:
        """The last place decided."""
        raise NotImplementedError

    @property
    def runners(self) -> tuple[RunnerView, ...]: ...

    @property
    def counters(self) -> Mapping[str, int]:
        """refused (signals at the fence), repeated (batches)."""
        raise NotImplementedError
