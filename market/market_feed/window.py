"""How far the replay may be ahead of its consumers, and from where it goes on after a loss.

Pure. Messages have a position in the replay (from 0). A consumer's place is the position of the
first message that reaches it and that it has not processed; what lies between the lowest place and
the last message published is kept, to be sent again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from market_data.progress import Progress
from market_feed.merge import Message

SIZE = 4_096


class Standing(NamedTuple):
    """What the report says of a consumer. `shortfall`: messages that reach it, not processed."""

    processed: int
    shortfall: int
    left: bool


@dataclass(slots=True)
class _Consumer:
    name: str
    place: int
    life: str = ""
    subscription: int = 0
    session: str = ""
    heard_s: float = 0.0  # silence is counted from here
    told_s: float = 0.0  # its last word
    present: bool = True
    processed: int = 0
    missed: int = 0
    away: int = 0  # not processed when it fell silent
    left_at: dict[str, int] | None = None  # messages of each stream when it fell silent
    streams: Mapping[str, int] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    reached: dict[str, bool] = field(default_factory=dict)  # by stream

    @property
    def link(self) -> tuple[str, int]:
        """What a lost link, or a new process, changes."""
        return self.life, self.subscription


class Window:
    """One replay's messages in flight and its consumers. `channel_of(symbol)` is where they go."""

    def __init__(
        self, channel_of: Callable[[str], str], position: int = 0, size: int = SIZE
    ) -> None:
        self.size = size
        self.position = position  # of the next message to publish
        self.counts: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self._channel_of = channel_of
        self._first = position  # of the messages kept
        self._kept: list[Message] = []
        self._consumers: dict[str, _Consumer] = {}

    @property
    def published(self) -> int:
        """Messages of the replay published at least once."""
        return self._first + len(self._kept)

    @property
    def lowest(self) -> int:
        """The place of the slowest consumer; where the replay is, without any."""
        places = [one.place for one in self._consumers.values() if one.present]
        return min(self.position, *places) if places else self.position

    @property
    def room(self) -> int:
        """How many more messages may be published now."""
        if self.position - self.lowest >= self.size:
            for consumer in self._consumers.values():
                self._move(consumer)  # past what does not reach it
        return self.size - (self.position - self.lowest)

    def names(self) -> list[str]:
        return [one.name for one in self._consumers.values() if one.present]

    def heard_in(self, session: str) -> set[str]:
        """The names of consumers that have reported in `session`."""
        return {one.name for one in self._consumers.values() if one.session == session}

    def again(self) -> Message | None:
        """The next message to send again after a rewind; None when there is none."""
        at = self.position - self._first
        if at >= len(self._kept):
            return None
        self.position += 1
        return self._kept[at]

    def add(self, message: Message) -> None:
        """`message` is the next one, and published. There was room, and nothing to send again."""
        self._kept.append(message)
        self.position += 1
        self.note(message)
        if len(self._kept) >= 2 * self.size:
            self._forget()

    def note(self, message: Message) -> None:
        """Counts a message that an earlier life of the replay has published."""
        self.counts[message.stream] = self.counts.get(message.stream, 0) + 1
        self.last[message.stream] = message.sequence

    def pass_over(self, counts: Mapping[str, int], last: Mapping[str, int]) -> None:
        """Counts whole laps that lie behind, as if each message of them had been noted."""
        self.counts, self.last = dict(counts), dict(last)

    def rewind(self) -> int:
        """Goes back to the lowest place; answers by how many messages."""
        back = self.position - self.lowest
        self.position -= back
        return back

    def expect(self, name: str, now_s: float) -> None:
        """A consumer that will report, as it is known from settings or from an earlier life."""
        if not any(one.name == name for one in self._consumers.values()):
            self._consumers[name] = _Consumer(name, self.position, heard_s=now_s)

    def report(self, progress: Progress, now_s: float) -> bool:
        """Takes a consumer's word; True when it waits for messages that it has lost."""
        consumer = self._find(progress, now_s)
        lost = self._has_lost(consumer, progress)
        if not consumer.present:
            self._return(consumer, consumer.link == (progress.life, progress.subscription))
        consumer.heard_s = consumer.told_s = now_s
        consumer.life, consumer.subscription = progress.life, progress.subscription
        consumer.session, consumer.streams = progress.session, progress.streams
        if (consumer.channels, consumer.symbols) != (progress.channels, progress.symbols):
            consumer.channels, consumer.symbols = progress.channels, progress.symbols
            consumer.reached.clear()
        self._move(consumer)
        if progress.leaving:
            consumer.present = False
            return False
        return lost

    def forget_links(self) -> None:
        """Our own link was lost: that theirs may have been too is no news then."""
        for consumer in self._consumers.values():
            consumer.subscription = 0

    def listen_from(self, now_s: float) -> None:
        """We could not hear before: nobody was silent until now."""
        for consumer in self._consumers.values():
            consumer.heard_s = max(consumer.heard_s, now_s)

    def leave_silent(self, since_s: float) -> list[str]:
        """Consumers not heard after `since_s` leave the window; answers their names."""
        silent = [c for c in self._consumers.values() if c.present and c.heard_s < since_s]
        return [self._leave(consumer) for consumer in silent]

    def leave_unheard(self, session: str) -> list[str]:
        """Consumers that have not reported in `session` leave; answers their names."""
        unheard = [c for c in self._consumers.values() if c.present and c.session != session]
        return [self._leave(consumer) for consumer in unheard]

    def standings(self) -> dict[str, Standing]:
        """By name; of consumers of one name, the sums."""
        found: dict[str, Standing] = {}
        for one in self._consumers.values():
            before = found.get(one.name, Standing(0, 0, left=True))
            found[one.name] = Standing(
                before.processed + one.processed,
                before.shortfall + self._shortfall(one),
                before.left and not one.present,
            )
        return found

    def forget(self) -> None:
        """Those that left longest ago: names come and go, and a replay may have no end."""
        left = [(one.told_s, key) for key, one in self._consumers.items() if not one.present]
        for _, key in sorted(left)[: max(0, len(left) - _MOST_LEFT)]:
            del self._consumers[key]

    def restore(self, name: str, place: int, standing: Standing, now_s: float) -> None:
        """A consumer as an earlier life of the replay knew it."""
        self._consumers[name] = _Consumer(
            name, place, heard_s=now_s, processed=standing.processed, missed=standing.shortfall
        )

    def places(self) -> dict[str, tuple[int, int, int]]:
        """Place, processed and missed of each consumer present, by name."""
        present = (one for one in self._consumers.values() if one.present)
        return {one.name: (one.place, one.processed, one.missed) for one in present}

    def _find(self, progress: Progress, now_s: float) -> _Consumer:
        """The consumer that reports: known, the successor of one gone silent, or new."""
        named = [one for one in self._consumers.values() if one.name == progress.consumer]
        for one in named:
            if one.life == progress.life:
                return one
        for one in named:
            if not one.life or not one.present or now_s - one.told_s > _SUCCESSION_S:
                return one
        key = f"{progress.consumer}|{progress.life}" if named else progress.consumer
        new = self._consumers[key] = _Consumer(progress.consumer, self.position)
        return new

    def _has_lost(self, consumer: _Consumer, progress: Progress) -> bool:
        if consumer.life == progress.life:
            return consumer.subscription not in (0, progress.subscription)
        return bool(consumer.life) and consumer.present  # it follows one that died just now

    def _leave(self, consumer: _Consumer) -> str:
        consumer.away = self._pending(consumer)
        consumer.left_at = dict(self.counts)
        consumer.present = False
        return consumer.name

    def _return(self, consumer: _Consumer, unbroken: bool) -> None:
        """Back in the window; what came while it was away is processed if its link never broke."""
        away = self._while_away(consumer)
        if unbroken:
            consumer.processed += away
        else:
            consumer.missed += away
        consumer.present, consumer.left_at, consumer.away = True, None, 0
        consumer.place = self.position

    def _shortfall(self, consumer: _Consumer) -> int:
        pending = self._pending(consumer) if consumer.present else self._while_away(consumer)
        return consumer.missed + pending

    def _while_away(self, consumer: _Consumer) -> int:
        """What it has not processed since it fell silent; nothing when it said that it leaves."""
        before = consumer.left_at
        if before is None:
            return 0
        return consumer.away + sum(
            count - before.get(stream, 0)
            for stream, count in self.counts.items()
            if self._reaches(consumer, stream)
        )

    def _pending(self, consumer: _Consumer) -> int:
        """Messages published and not processed, as far as it has said."""
        self._move(consumer)
        pending = self._kept[max(0, consumer.place - self._first) :]
        return sum(self._reaches(consumer, message.stream) for message in pending)

    def _move(self, consumer: _Consumer) -> None:
        """Moves its place over what it has processed and what does not reach it."""
        kept, streams, reached = self._kept, consumer.streams, consumer.reached
        at = max(0, consumer.place - self._first)
        if not consumer.present or not consumer.life:
            return
        while at < len(kept):
            message = kept[at]
            stream = message.stream
            reaches = reached.get(stream)
            if reaches is None:
                reaches = self._reaches(consumer, stream)
            if reaches:
                if streams.get(stream, -1) < message.sequence:
                    break
                consumer.processed += 1
            at += 1
        consumer.place = max(consumer.place, self._first + at)

    def _reaches(self, consumer: _Consumer, stream: str) -> bool:
        known = consumer.reached.get(stream)
        if known is None:
            symbol = stream.rpartition("/")[0]
            channel = self._channel_of(symbol)
            known = consumer.reached[stream] = (
                not consumer.symbols or symbol in consumer.symbols
            ) and _covers(consumer.channels, channel)
        return known

    def _forget(self) -> None:
        """Lets go of what every consumer has processed."""
        gone = self.lowest - self._first
        if gone > 0:
            del self._kept[:gone]
            self._first += gone


_MOST_LEFT = 1_000
_SUCCESSION_S = 0.3  # a consumer reports each 0.1 s: one silent for longer has a successor


def _covers(channels: Sequence[str], channel: str) -> bool:
    return any(one == channel or fnmatchcase(channel, one) for one in channels)
