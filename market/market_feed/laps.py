"""A replay that begins again at its end, as one that has none: lap after lap of the same messages.

A lap follows the one before at the mean distance of two messages, in time and in the sequences of
each stream, so everything goes on rising. All of it is arithmetic on the first lap: a position says
its lap and its place there, to whoever asks.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from market_feed.files import InvalidRow, Source
from market_feed.merge import Message, Shift, messages, open_all

_MAX_NS = 2**63 - 1
_MAX_SEQUENCE = 2**64 - 1
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class _Extent:
    """Numbers that do not fall."""

    first: int = 0
    last: int = 0
    count: int = 0

    def note(self, value: int) -> None:
        self.first = value if not self.count else self.first
        self.last = value
        self.count += 1

    @property
    def span(self) -> int:
        return self.last - self.first

    @property
    def distance(self) -> int:
        return self.span // max(1, self.count - 1)

    def in_lap(self, lap: int, stride: int) -> int:
        """The last number of that lap."""
        return self.last + lap * stride


@dataclass(slots=True)
class Course:
    """What one lap consists of, once each of its messages was noted. Laps count from 0."""

    _times: _Extent = field(default_factory=_Extent)
    _streams: dict[str, _Extent] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Messages."""
        return self._times.count

    def note(self, message: Message) -> None:
        self._times.note(message.at_ns)
        self._streams.setdefault(message.stream, _Extent()).note(message.sequence)

    def shift(self, lap: int) -> Shift:
        """What is added to the messages of the files in that lap."""
        return Shift(
            lap * self._stride_ns,
            {name: lap * _stride(extent) for name, extent in self._streams.items()},
        )

    def has(self, lap: int) -> bool:
        """Whether a message of that lap can be written, and the first lap had any."""
        return bool(self.length) and (
            self._times.in_lap(lap, self._stride_ns) <= _MAX_NS
            and all(e.in_lap(lap, _stride(e)) <= _MAX_SEQUENCE for e in self._streams.values())
        )

    def before(self, lap: int) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """By stream: how many messages all laps before that one have, and their last sequence."""
        streams = self._streams.items() if lap else ()
        counts = {name: lap * extent.count for name, extent in streams}
        return counts, {name: e.in_lap(lap - 1, _stride(e)) for name, e in streams}

    def lap_after(self, sequences: Mapping[str, int]) -> int:
        """The first lap of which everything comes after `sequences`, by stream."""
        laps = (
            (sequences[name] - extent.first) // _stride(extent) + 1
            for name, extent in self._streams.items()
            if name in sequences
        )
        return max(0, *laps, 0)

    @property
    def _stride_ns(self) -> int:
        """One that takes no time at all would be repeated without rest."""
        return self._times.span + self._times.distance if self._times.span else _SECOND_NS


def _stride(sequences: _Extent) -> int:
    return sequences.span + max(1, sequences.distance)


class Laps:
    """The messages of the files: once, or with `repeat` without end. Iterate it.

    Made anew from the same files it is the same, message by message.
    """

    def __init__(
        self, sources: list[Source], on_invalid: Callable[[InvalidRow], None], *, repeat: bool
    ) -> None:
        self.course = Course()
        self.lap = 0
        self.repeats = repeat
        self._sources = sources
        self._paths = [source.path for source in sources]
        self._on_invalid = on_invalid
        self._surveyed = False
        self._messages = self._from(0)

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        return next(self._messages)

    def survey(self) -> Iterator[None]:
        """Learns the course, a message at a time: whoever goes on in a later lap needs it first."""
        if not self._surveyed:
            self.course = Course()
            on_invalid = self._on_invalid if self._sources else _said
            with self._opened() as sources:
                for message in messages(sources, on_invalid):
                    self.course.note(message)
                    yield
            self._surveyed = True

    def begin(self, lap: int) -> None:
        """Goes on with the first message of that lap; beyond the first, `survey` comes before."""
        self._messages.close()
        self._messages = self._from(lap)

    def close(self) -> None:
        """Closes the files."""
        self._messages.close()
        for source in self._sources:
            source.close()

    def _from(self, first: int) -> Generator[Message, None, None]:
        for lap in count(first) if self.repeats else (first,):
            self.lap = lap
            if lap and not self.course.has(lap):
                return
            yield from self._lap()
            self._surveyed = True

    def _lap(self) -> Iterator[Message]:
        with self._opened() as sources:
            if self._surveyed:  # what is wrong with the files was said
                yield from messages(sources, _said, self.course.shift(self.lap))
                return
            self.course = Course()
            for message in messages(sources, self._on_invalid):
                self.course.note(message)
                yield message

    @contextmanager
    def _opened(self) -> Iterator[list[Source]]:
        """Raises InvalidFile."""
        sources, self._sources = self._sources or open_all(self._paths), []
        try:
            yield sources
        finally:
            for source in sources:
                source.close()


def _said(_: InvalidRow) -> None:
    pass


class LostLife:
    """What consumers have seen of a life of this feed of which nothing else is left.

    They would drop all that they have seen, so it matters to a feed that begins anew.
    """

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}  # the last of each stream, as far as that is ahead

    def is_known_by(self, streams: Mapping[str, int], last: Mapping[str, int]) -> bool:
        """Takes a consumer's word; True when it is ahead of what this life has published."""
        ahead = {name: at for name, at in streams.items() if at > last.get(name, -1)}
        for name, at in ahead.items():
            self.sequences[name] = max(at, self.sequences.get(name, -1))
        return not last.keys().isdisjoint(ahead)
