"""What `Grants` asks the gateway's books."""

from typing import Protocol

from handover.messages import Batch, Holdings, Outcome
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
