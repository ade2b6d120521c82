"""One runner's track through the market data: what it has applied, and what it holds.

`count` and `crc` say which messages were applied and in which order, since an origin that
snapshots hand on; two runners at equal marks have seen the same. The sum is kept only while two
runners are to be compared: a follower has the armed one's with the snapshot, and both go on.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol
from zlib import crc32

from handover.effects import Why
from handover.messages import Holdings, Input, Mark, Outcome
from trading.signals import Signal


class Host(Protocol):
    """The strategy's side: it decides messages, and keeps its account and its place."""

    def apply(self, payload: bytes) -> tuple[Signal, ...] | None:
        """The signals that the strategy makes on this message; () is none.

        None: the message was dropped (malformed, or its sequence is not above the last one of its
        stream) and is as if it had never been. Never raises: the strategy's errors are counted
        and mean (). The order is part of the state; nothing here asks the clock.
        """

    def expect(self, signal: Signal) -> None:
        """The strategy's own signal, now on its way (or, following, known to be)."""

    def take(self, outcome: Outcome) -> None:
        """A fill or an end of one of its orders; unknown ids are ignored."""

    def begin(self, holdings: Holdings) -> None:
        """A new strategy with this account; the place in the data stays."""

    def restore(self, mark: Mark, state: bytes, holdings: Holdings) -> None:
        """Becomes what `snapshot()` was taken of, account included, and ignores `holdings`.

        Without state: a new strategy with these holdings. From now on `apply` drops what lies at
        or below `mark.sequences`, and takes what lies above, whatever it had seen before.
        """

    def snapshot(self) -> bytes:
        """State and account. Empty: this strategy has none to give."""

    def set_holdings(self, holdings: Holdings) -> None:
        """The account as the ledger has it, in place of the own."""

    def is_warm(self) -> bool: ...

    def digest(self) -> int:
        """Of state and account, never 0: equal where two replicas are to decide alike."""

    def sequences(self) -> Mapping[str, int]:
        """The last sequence applied of each stream; a new mapping each time."""

    def session(self) -> str:
        """Of the last message applied, without what a restarted feed appended."""


class Track:
    """Where `host` stands, and the messages that it has not been given yet."""

    __slots__ = ("_apply", "_session", "compared", "count", "crc", "held", "host", "outcome")

    def __init__(self, host: Host) -> None:
        self.host = host
        self._apply = host.apply
        self.held: deque[bytes] = deque()
        self.count = self.crc = self.outcome = 0
        self.compared = True  # False: nobody follows, and this one follows nobody
        self._session = ""  # the last one that the host could name

    def decide(self, payload: bytes) -> tuple[Signal, ...] | None:
        """As Host.apply. This is the hot path."""
        signals = self._apply(payload)
        if signals is not None:
            self.count += 1
            if self.compared:
                self.crc = crc32(payload, self.crc)
        return signals

    def follow(self, inputs: Iterable[Input], outcomes: Mapping[int, Outcome], count: int) -> bool:
        """Applies what is held up to `count`, each outcome in its place. False: ticks are missing.

        The signals made on the way are the armed one's own; they become expected, and go nowhere.
        """
        for place in inputs:
            if not self._shadow(place.after):
                return False
            if place.outcome in outcomes:
                self.take(outcomes[place.outcome])
        return self._shadow(count)

    def warm(self, count: int) -> bool:
        """Applies what is held up to `count`; signals and outcomes are somebody else's."""
        while self.count < count:
            if not self.held:
                return False
            self.decide(self.held.popleft())
        return True

    def take(self, outcome: Outcome) -> bool:
        """Gives the strategy the next outcome; False for one that it has had."""
        if outcome.number <= self.outcome:
            return False
        self.outcome = outcome.number
        self.host.take(outcome)
        return True

    def catch_up(
        self, mark: Mark, news: Iterable[Outcome], holdings: Holdings, *, alike: bool
    ) -> None:
        """At `mark`, where the successor takes over: the outcomes since, or the ledger's word."""
        if alike:
            for outcome in news:
                self.take(outcome)
            return
        self.outcome = max([mark.outcome, *(outcome.number for outcome in news)])
        self.host.set_holdings(holdings)

    def begin(self, outcome: int, holdings: Holdings) -> None:
        """A new strategy, and a new origin, at this place."""
        self.count = self.crc = 0
        self.outcome = outcome
        self.host.begin(holdings)

    def restore(self, mark: Mark, state: bytes, holdings: Holdings) -> None:
        self.count, self.crc, self.outcome = mark.count, mark.crc, mark.outcome
        self.host.restore(mark, state, holdings)

    def mark(self, *, digest: bool) -> Mark:
        host = self.host
        self._session = host.session() or self._session
        return Mark(
            self.count,
            self.crc,
            self.outcome,
            host.digest() if digest else 0,
            host.sequences(),
            self._session,
        )

    def difference(self, mark: Mark, *, alike: bool) -> Why | None:
        """How this runner, having come to `mark`, differs from the one that made it."""
        if (self.count, self.crc) != (mark.count, mark.crc):
            return Why.STREAM_DIFFERS
        if not alike:
            return None
        if self.outcome != mark.outcome or (mark.digest and self.host.digest() != mark.digest):
            return Why.STATE_DIFFERS
        return None

    def _shadow(self, count: int) -> bool:
        while self.count < count:
            if not self.held:
                return False
            for signal in self.decide(self.held.popleft()) or ():
                self.host.expect(signal)
        return True
