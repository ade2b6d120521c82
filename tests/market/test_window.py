"""The replay's window: a model of consumers, links and processes that fail, held against it."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from market_data import Progress
from market_feed.merge import Message
from market_feed.window import Standing, Window

SIZE = 8
NAMES = ("a", "b", "c")
SYMBOLS = {"a": ("X",), "b": ("X", "Y"), "c": ("Y",)}


def message(n: int) -> Message:
    symbol = "X" if n % 3 else "Y"
    return Message(at_ns=n, stream=f"{symbol}/tick", symbol=symbol, sequence=n, wire=b"")


class Reader:
    """A consumer behind a link: what was delivered and not processed, what was processed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.joined = False
        self.linked = True
        self.waits = False  # for the replay to go back
        self.subscription = 1
        self.inbox: list[Message] = []
        self.processed: list[int] = []

    def deliver(self, one: Message) -> None:
        if self.joined and self.linked and not self.waits and one.symbol in SYMBOLS[self.name]:
            self.inbox.append(one)

    def process(self, count: int) -> None:
        for one in self.inbox[:count]:
            if not self.processed or one.sequence > self.processed[-1]:
                self.processed.append(one.sequence)
        del self.inbox[:count]

    def progress(self) -> Progress:
        streams = {f"{message(n).symbol}/tick": n for n in self.processed}
        return Progress(
            self.name, streams, ("*",), SYMBOLS[self.name], "life", self.subscription, "run"
        )


class Desk(RuleBasedStateMachine):
    """No consumer that stays misses a message, whatever fails; nobody is overrun."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(str, size=SIZE)
        self.readers = {name: Reader(name) for name in NAMES}
        self.joined_at: dict[str, int] = {}
        self.end = 0  # of what was ever published
        self.written: tuple[int, dict[str, tuple[int, int, int]]] = (0, {})

    @rule(name=st.sampled_from(NAMES))
    def report(self, name: str) -> None:
        reader = self.readers[name]
        if reader.linked:
            if not reader.joined:
                reader.joined, self.joined_at[name] = True, self.window.position
            if self.window.report(reader.progress(), 0.0):
                self.go_back()

    @rule(count=st.integers(1, 2 * SIZE))
    def publish(self, count: int) -> None:
        for _ in range(min(count, self.window.room)):
            one = self.window.again()
            if one is None:
                one = message(self.window.position)
                self.window.add(one)
                self.end = max(self.end, self.window.position)
            for reader in self.readers.values():
                reader.deliver(one)

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, SIZE))
    def process(self, name: str, count: int) -> None:
        self.readers[name].process(count)

    @rule(name=st.sampled_from(NAMES))
    def cut_the_link(self, name: str) -> None:
        reader = self.readers[name]
        reader.linked, reader.inbox = False, []

    @rule(name=st.sampled_from(NAMES))
    def link_again(self, name: str) -> None:
        reader = self.readers[name]
        if not reader.linked:
            reader.linked, reader.waits = True, reader.joined
            reader.subscription += 1

    @rule()
    def write_down(self) -> None:
        self.written = (self.window.lowest, self.window.places())

    @rule()
    def kill_the_replay(self) -> None:
        """Its next life knows what was written, and hears from everyone before it sends."""
        position, places = self.written
        if places.keys() != self.joined_at.keys():
            return  # killed within a second of somebody's first word: that one joins anew
        self.window = Window(str, position, SIZE)
        for name, (place, processed, missed) in places.items():
            self.window.restore(name, place, Standing(processed, missed, left=False), 0.0)
        for n in range(position):
            self.window.note(message(n))
        self.everyone_reports()

    @rule()
    def kill_redis(self) -> None:
        self.window.forget_links()
        for name in NAMES:
            self.cut_the_link(name)
            self.link_again(name)
        self.everyone_reports()

    def everyone_reports(self) -> None:
        """As the replay waits for: whoever does not, leaves, and that is another test's."""
        for name in self.joined_at:
            self.link_again(name)
            self.window.report(self.readers[name].progress(), 0.0)
        self.go_back()

    def go_back(self) -> None:
        """A new session: whoever is linked takes messages again."""
        self.window.rewind()
        for reader in self.readers.values():
            if reader.linked:
                reader.waits = False

    def teardown(self) -> None:
        """Once all is well again, everyone gets to the end."""
        for name in self.joined_at:
            self.link_again(name)
            self.report(name)
        for _ in range(self.end + SIZE):
            if self.window.position < self.end:
                self.publish(1)
            for name in self.joined_at:
                self.process(name, SIZE)
                self.report(name)
        for name in self.joined_at:
            assert self.window.standings()[name].shortfall == 0
            assert next(self.wanted(name)) >= self.end

    def wanted(self, name: str) -> Iterator[int]:
        """The messages it has yet to process."""
        done = self.readers[name].processed
        start = done[-1] + 1 if done else self.joined_at[name]
        return (n for n in range(start, 10**9) if message(n).symbol in SYMBOLS[name])

    @invariant()
    def nothing_is_missed(self) -> None:
        """What it has processed has no hole, from when it joined (or earlier: others went back)."""
        for name, joined_at in self.joined_at.items():
            done = self.readers[name].processed
            start = min(joined_at, *done[:1]) if done else joined_at
            end = done[-1] + 1 if done else start
            assert done == [n for n in range(start, end) if message(n).symbol in SYMBOLS[name]]

    @invariant()
    def nobody_is_overrun(self) -> None:
        for name in self.joined_at:
            assert self.window.position - next(self.wanted(name)) <= SIZE


Desk.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDesk = Desk.TestCase


def filled(count: int, *names: str) -> Window:
    window = Window(str, size=SIZE)
    for name in names:
        window.report(Progress(name, {}, ("*",), (), name, 1, "run"), 0.0)
    for n in range(count):
        window.add(message(n))
    return window


def test_a_full_window_has_no_room() -> None:
    assert filled(SIZE, "a").room == 0


def test_without_consumers_there_is_always_room() -> None:
    assert filled(1000).room == SIZE


def test_a_consumer_is_not_waited_for_on_channels_it_does_not_read() -> None:
    window = Window(str, size=SIZE)
    window.report(Progress("y", {}, ("Y",), (), "1"), 0.0)
    for n in (1, 2, 4, 5, 7, 8, 10, 11):  # all of X
        window.add(message(n))
    assert window.room == SIZE


def test_a_silent_consumer_leaves_and_its_shortfall_is_counted_on() -> None:
    window = filled(5, "a", "b")
    window.report(Progress("b", {"X/tick": 4, "Y/tick": 3}, ("*",), (), "b", 1, "run"), 3.0)
    assert window.leave_silent(since_s=1.0) == ["a"]
    window.add(message(5))
    assert window.standings()["a"] == Standing(processed=0, shortfall=6, left=True)
    assert window.standings()["b"] == Standing(processed=5, shortfall=1, left=False)


def test_a_consumer_that_was_only_silent_has_no_shortfall() -> None:
    window = filled(5, "a")
    window.leave_silent(since_s=1.0)
    window.report(Progress("a", {"X/tick": 4, "Y/tick": 3}, ("*",), (), "a", 1, "run"), 3.0)
    assert window.standings()["a"] == Standing(processed=5, shortfall=0, left=False)


def test_a_consumer_that_says_goodbye_is_not_waited_for_and_has_no_shortfall() -> None:
    window = filled(SIZE, "a")
    window.report(Progress("a", {}, ("*",), (), "a", 1, "run", leaving=True), 0.1)
    assert window.room == SIZE
    assert window.standings()["a"] == Standing(processed=0, shortfall=0, left=True)


def test_a_successor_goes_on_where_the_dead_one_was() -> None:
    window = filled(5, "a")
    window.report(Progress("a", {"X/tick": 2, "Y/tick": 0}, ("*",), (), "a", 1, "run"), 0.0)
    assert window.report(Progress("a", {}, ("*",), (), "next", 1, "run"), 1.0)
    window.rewind()
    assert window.again() == message(3)


def test_a_successor_of_one_that_has_left_begins_where_the_replay_is() -> None:
    window = filled(5, "a")
    window.leave_silent(since_s=1.0)
    assert not window.report(Progress("a", {}, ("*",), (), "next", 1, "run"), 3.0)
    assert window.rewind() == 0
    assert window.standings()["a"] == Standing(processed=0, shortfall=5, left=False)


def test_two_consumers_of_one_name_are_both_waited_for() -> None:
    window = filled(4, "a")
    assert not window.report(Progress("a", {}, ("*",), (), "other", 1, "run"), 0.1)
    window.report(Progress("a", {"X/tick": 2, "Y/tick": 3}, ("*",), (), "a", 1, "run"), 0.1)
    assert len(window.names()) == 2
