"""The runner's half: what one runner does with its ticks, and what it says about that.

Pure and synchronous. Messages of market data come to `on_payload` in the order of their arrival,
the gateway's to `on_message`; what it says goes to `send`, which may drop everything while there
is no link: `hello()` begins each session and tells where this runner stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from handover.messages import GatewayMessage, Hello, Holdings, Mark, Outcome, Phase, RunnerMessage
from trading.signals import Signal

HELD_LIMIT = 65_536


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


@dataclass(frozen=True, slots=True)
class Identity:
    strategy: str
    revision: str
    instance: str
    token: str = ""
    state_key: str = ""  # equal keys promise: same form of state, same decisions on same ticks


class Replica:
    """One runner's part. Call nothing concurrently."""

    def __init__(
        self,
        host: Host,
        send: Callable[[RunnerMessage], None],
        barrier: Callable[[Callable[[], None]], None],
        identity: Identity,
        *,
        window: int = 2,
        held_limit: int = HELD_LIMIT,
    ) -> None:
        """`barrier(reached)` sends a PING on the market data's connection and calls `reached` at
        its PONG. When the connection is lost before, `reached` may be forgotten."""
        raise NotImplementedError

    # ---- market data

    def on_payload(self, payload: bytes) -> None:
        """A message of market data. The same bound method may be kept for good."""
        raise NotImplementedError

    def on_drained(self, now: float) -> None:
        """All that had arrived was given to on_payload: a good moment to send a batch."""
        raise NotImplementedError

    def on_subscribed(self) -> None:
        """Every channel is confirmed: from now on nothing is missed."""
        raise NotImplementedError

    def on_feed_lost(self) -> None:
        """What comes next may lack something."""
        raise NotImplementedError

    # ---- gateway

    def hello(self) -> Hello:
        """The first message of a session."""
        raise NotImplementedError

    def on_message(self, message: GatewayMessage) -> None: ...

    def tick(self, now: float) -> None:
        """The time, monotonic, about every 20 ms: sends what is due. Alive is the caller's."""
        raise NotImplementedError

    # ---- how it stands

    @property
    def phase(self) -> Phase:
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """0: not armed."""
        raise NotImplementedError

    @property
    def progress(self) -> Mapping[str, int] | None:
        """What a feed need not send again: decided and acknowledged, or applied. None: nothing
        to say yet, the window need not know this consumer."""
        raise NotImplementedError

    @property
    def released(self) -> str | None:
        """Why this runner is no longer needed; None while it is."""
        raise NotImplementedError

    @property
    def held(self) -> int:
        """Messages kept and not applied."""
        raise NotImplementedError

    @property
    def gaps(self) -> int:
        """How often it went on deciding after its feed had been lost."""
        raise NotImplementedError

    @property
    def refused(self) -> int:
        """Signals that the fence refused."""
        raise NotImplementedError
