"""The runner's half: what one runner does with its ticks, and what it says about that.

Pure and synchronous. Messages of market data come to `on_payload` in the order of their arrival,
the gateway's to `on_message`; what it says goes to `send`, which may drop everything while there
is no link: `hello()` begins each session and tells where this runner stands.

`_RULES` is the state machine: what a message means in each phase. No entry: nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from handover.deciding import Deciding
from handover.effects import Why
from handover.following import Following
from handover.messages import (
    Ack,
    Arm,
    Follow,
    GatewayMessage,
    Go,
    Hello,
    Input,
    Mark,
    Outcomes,
    Phase,
    Progress,
    Ready,
    Refused,
    Release,
    Restore,
    RunnerMessage,
    Stop,
    Subscribed,
    Trouble,
    WantSnapshot,
    Welcome,
)
from handover.outbox import WINDOW
from handover.snapshots import Barrier
from handover.track import Host, Track

__all__ = ["HELD_LIMIT", "Host", "Identity", "Replica"]

HELD_LIMIT = 65_536
_NOWHERE = Mark()

SYNC, FOLLOW, ARMED, STOPPED = Phase.SYNC, Phase.FOLLOW, Phase.ARMED, Phase.STOPPED


@dataclass(frozen=True, slots=True)
class Identity:
    strategy: str
    revision: str
    instance: str
    token: str = ""
    state_key: str = ""  # equal keys promise: same form of state, same decisions on same ticks


class Replica:
    """One runner's part. Call nothing concurrently."""

    __slots__ = (
        "_barrier",
        "_earlier",
        "_following",
        "_held_limit",
        "_identity",
        "_phase",
        "_send",
        "_subscribed",
        "_subscription",
        "_torn",
        "_track",
        "_work",
        "gaps",
        "refused",
        "released",
    )

    def __init__(
        self,
        host: Host,
        send: Callable[[RunnerMessage], None],
        barrier: Barrier,
        identity: Identity,
        *,
        window: int = WINDOW,
        held_limit: int = HELD_LIMIT,
    ) -> None:
        """`barrier(reached)` sends a PING on the market data's connection and calls `reached` at
        its PONG. When the connection is lost before, `reached` may be forgotten."""
        self._send = send
        self._barrier = barrier
        self._identity = identity
        self._held_limit = held_limit
        self._track = Track(host)
        self._work = Deciding(self._track, self._say, barrier, window)
        self._following: Following | None = None
        self._phase = SYNC
        self._subscribed = False
        self._subscription = 0  # rises with each word of being subscribed
        self._earlier = 0  # of what is held: came before that word
        self._torn = False  # stopped, and the feed was lost
        self.gaps = 0  # how often it went on although it may have missed something
        self.refused = 0  # signals, by the fence
        self.released: str | None = None  # why this runner is no longer needed

    # ---- market data

    def on_payload(self, payload: bytes) -> None:
        """A message of market data. The same bound method may be kept for good."""
        if self._work.going:
            signals = self._track.decide(payload)
            if signals:
                self._work.take_on(signals)
        else:
            self._hold(payload)

    def on_drained(self, now: float) -> None:
        """All that had arrived was given to on_payload: a good moment to send a batch."""
        self._work.now = now
        self._work.flush_if_due()

    def on_subscribed(self) -> None:
        """Every channel is confirmed: from now on nothing is missed."""
        if self._subscribed:
            self.on_feed_lost()
        self._subscribed = True
        self._say_subscribed(self._next_subscription())

    def on_feed_lost(self) -> None:
        """What comes next may lack something."""
        self._subscribed = False
        self._work.snapshots.feed(0)
        if self._phase in (ARMED, STOPPED):
            if self._phase is ARMED:
                self._stop(Why.FEED_LOST)
            self._torn = True
        else:
            arming = self._following is not None and self._following.arm is not None
            self._resync(Why.FEED_LOST if arming else None)

    def _next_subscription(self) -> int:
        self._subscription += 1
        self._work.snapshots.feed(self._subscription)
        return self._subscription

    def _say_subscribed(self, subscription: int) -> None:
        """What comes from now on is kept. What is held already lies inside every later snapshot,
        or was missed by the armed one."""
        if self._phase is SYNC and self._subscribed and subscription == self._subscription:
            self._earlier = len(self._track.held)
            self._say(Subscribed(subscription))

    # ---- gateway

    def hello(self) -> Hello:
        """The first message of a session. Batches wait for its answer."""
        self._work.greeted = False
        who, following, outbox = self._identity, self._following, self._work.outbox
        return Hello(
            strategy=who.strategy,
            revision=who.revision,
            instance=who.instance,
            token=who.token,
            phase=self._phase,
            epoch=outbox.epoch,
            batch=following.batch if following else outbox.number,
            following=following.epoch if following else 0,
            ready=following is not None and following.ready,
            stopped=self._work.stopped,
            subscription=self._subscription if self._subscribed else 0,
            state_key=who.state_key,
        )

    def on_message(self, message: GatewayMessage) -> None:
        """What this means now, by `_RULES`."""
        if self.released is not None:
            return
        self._work.greeted = True
        kind, following = type(message), self._following
        if following is not None and following.arm is not None and kind not in _AT_ONCE:
            following.later(message)
            return
        rule = _RULES.get((self._phase, kind))
        if rule is not None:
            rule(self, message)

    def tick(self, now: float) -> None:
        """The time, monotonic, about every 20 ms: sends what is due. Alive is the caller's."""
        self._work.now = now
        self._work.flush_if_due()

    # ---- how it stands

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def epoch(self) -> int:
        """0: not armed."""
        return self._work.outbox.epoch

    @property
    def is_alone(self) -> bool:
        """Armed, and nobody follows."""
        return self._phase is ARMED and not self._track.compared

    @property
    def progress(self) -> Mapping[str, int] | None:
        """What a feed need not send again: decided and acknowledged, or applied. None: nothing
        to say yet, the window need not know this consumer."""
        if self._phase in (ARMED, STOPPED):
            return self._work.outbox.acknowledged
        return self._track.host.sequences() or None

    @property
    def held(self) -> int:
        """Messages kept and not applied."""
        return len(self._track.held)

    # ---- armed, stopped

    def _stop(self, why: str) -> None:
        self._work.stop(why)
        self._phase = STOPPED

    def _go(self, _: Go) -> None:
        self.gaps += self._torn
        self._torn = False
        self._phase = ARMED
        if not self._work.resume():
            self._resync(Why.OUTCOME_GAP)

    def _take_outcomes(self, message: Outcomes) -> None:
        if not self._work.take(message.outcomes):
            self._resync(Why.OUTCOME_GAP)

    def _welcome_back(self, welcome: Welcome) -> None:
        """A new link, or the word that the grant has ended."""
        if welcome.epoch == self.epoch:
            self._work.send_again(welcome.batch)
        else:
            self._resync()

    def _be_refused(self, refused: Refused) -> None:
        self.refused += refused.signals
        if refused.epoch == self.epoch:
            self._resync()

    # ---- not armed

    def _hold(self, payload: bytes) -> None:
        held = self._track.held
        held.append(payload)
        if self._following is not None and self._following.may_advance:
            self._advance()
        if len(held) > self._held_limit:
            self._drop_held()
            self._resync(Why.HELD_TOO_MANY)

    def _restore(self, restore: Restore) -> None:
        if not self._subscribed or restore.subscription != self._subscription:
            return  # meant for a subscription that is gone
        for _ in range(self._earlier):
            self._track.held.popleft()
        self._earlier = 0
        self._following = Following.restored(self._track, restore)
        self._phase = FOLLOW

    def _follow_successor(self, follow: Follow) -> None:
        if self._torn:
            self._resync()
            return
        self._work.forget()
        self._following = Following.successor(self._track, follow)
        self._phase = FOLLOW

    def _pursue(self, message: Progress | Follow | Arm) -> None:
        """While following: something to reach."""
        if isinstance(message, Arm) and message.fresh:
            self._begin(message)
            return
        assert self._following is not None
        _PURSUITS[type(message)](self._following, message)
        self._advance()

    def _advance(self) -> None:
        following = self._following
        assert following is not None
        was_ready = following.ready
        found = following.advance()
        if isinstance(found, Arm):
            self._go_on(found, following)
        elif found:
            # The armed one may have missed what is held here: begin anew behind its next snapshot.
            self._drop_held()
            self._resync(found)
        elif following.ready and not was_ready:
            self._say(Ready(True))

    def _welcome_standby(self, welcome: Welcome) -> None:
        """Follow on, if that is whom it follows; else begin anew."""
        if self._following is None or welcome.epoch != self._following.epoch:
            self._resync()

    def _resync(self, why: Why | None = None) -> None:
        """Needs a snapshot, or a fresh grant, before it can be of use again."""
        if why:
            self._say(Trouble(why))
        self.gaps += self._work.outbox.lacks_answers
        self._work.forget()
        self._following = None
        self._torn = False
        self._phase = SYNC
        if self._subscribed:
            self._barrier(partial(self._say_subscribed, self._next_subscription()))
        else:
            self._say(Ready(False))

    def _be_released(self, release: Release) -> None:
        self._work.forget()
        self._following = None
        self._phase = SYNC
        self._drop_held()
        self.released = release.reason

    def _drop_held(self) -> None:
        self._track.held.clear()
        self._earlier = 0

    # ---- to armed

    def _arm(self, arm: Arm) -> None:
        """While there is no place to go on from."""
        if arm.fresh:
            self._begin(arm)
        else:
            self._say(Trouble(Why.UNSYNCED))

    def _arm_again(self, arm: Arm) -> None:
        """While armed or stopped: the same Arm twice, or one of a grant that is news here."""
        if arm.epoch != self.epoch:
            self._resync()
            self._arm(arm)

    def _begin(self, arm: Arm) -> None:
        """Here, with a new strategy."""
        mark = arm.mark or _NOWHERE
        self._track.begin(mark.outcome, arm.holdings)
        self._become_armed()
        self._work.start(arm.epoch, floor=mark)

    def _go_on(self, arm: Arm, following: Following) -> None:
        """From the mark, which is reached; what came since its Arm is done afterwards."""
        mark = arm.mark or _NOWHERE
        news = tuple(each for each in arm.outcomes if each.number > mark.outcome)
        inputs = tuple(Input(mark.count, outcome.number) for outcome in news)
        self._track.catch_up(mark, news, arm.holdings, alike=following.alike)
        self._become_armed()
        self._work.start(arm.epoch, inputs, followed=True)
        for message in following.left():
            self.on_message(message)

    def _become_armed(self) -> None:
        self._following = None
        self._earlier = 0
        self._torn = False
        self._phase = ARMED

    def _say(self, message: RunnerMessage) -> None:
        if self.released is None:
            self._send(message)


# Not to be put behind an Arm that waits for its ticks.
_AT_ONCE = frozenset({Welcome, Arm, Restore, Refused, Release})

_RULES: dict[tuple[Phase, type], Callable[[Replica, Any], None]] = {
    (SYNC, Welcome): Replica._welcome_standby,
    (SYNC, Restore): Replica._restore,
    (SYNC, Arm): Replica._arm,
    (FOLLOW, Welcome): Replica._welcome_standby,
    (FOLLOW, Restore): Replica._restore,
    (FOLLOW, Progress): Replica._pursue,
    (FOLLOW, Follow): Replica._pursue,
    (FOLLOW, Arm): Replica._pursue,
    (ARMED, Welcome): Replica._welcome_back,
    (ARMED, WantSnapshot): lambda self, want: self._work.follow_up(want),
    (ARMED, Stop): lambda self, _: self._stop(Why.ASKED),
    (ARMED, Arm): Replica._arm_again,
    (ARMED, Ack): lambda self, ack: self._work.acknowledged(ack.batch),
    (ARMED, Refused): Replica._be_refused,
    (ARMED, Outcomes): Replica._take_outcomes,
    (STOPPED, Welcome): Replica._welcome_back,
    (STOPPED, WantSnapshot): lambda self, want: self._work.follow_up(want),
    (STOPPED, Go): Replica._go,
    (STOPPED, Follow): Replica._follow_successor,
    (STOPPED, Arm): Replica._arm_again,
    (STOPPED, Ack): lambda self, ack: self._work.acknowledged(ack.batch),
    (STOPPED, Refused): Replica._be_refused,
    (STOPPED, Outcomes): lambda self, message: self._work.keep(message.outcomes),
    **{(phase, Release): Replica._be_released for phase in Phase},
}

_PURSUITS: dict[type, Callable[[Following, Any], None]] = {
    Progress: Following.progress,
    Follow: Following.follow,
    Arm: Following.take_over,
}
