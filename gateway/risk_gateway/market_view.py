"""The market as the gateway judges by it: its own tape of the feed, and the desk's clock.

On the market's clock a signal is judged at the quote that stood at its cause, and at its cause's
time, so that two runs of a replay decide alike. On the wall's, at the latest quote by its age.
"""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from market_data.intake import Intake
from risk_gateway.metrics import Log2Histogram
from risk_gateway.settings import Clock
from strategy_sdk.market import Book, Event, Tick
from trading.intentions import Sampled, unsampled
from trading.market import Market, Quote, Tape, Touch, mid_of
from trading.samples import Sampler
from trading.signals import Cause
from trading.values import value

_SECOND_NS = 1_000_000_000
_FORGOTTEN_NS = 2**62  # older than the tape: staler than any limit


@value(frozen=True, slots=True)
class View:
    """What one signal is judged by."""

    now_ns: int
    market: Market
    sampled: Sampled = unsampled  # up to the same place


def _unknown(_: str) -> None:
    return None


class MarketView:
    """Fed by the subscription; read by the desk. Both on one loop."""

    def __init__(
        self,
        intake: Intake,
        clock: Clock,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.tape = Tape()
        self.intake = intake
        self.received = 0
        self.age = Log2Histogram() if clock is Clock.WALL else None  # of messages, on arrival
        self._counted: dict[str, int] = {}  # by stream
        self._newest_ns: int | None = None  # the market's own time of what came last
        self._clock = clock
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._streams: dict[tuple[type, str], str] = {}
        self.sampler: Sampler | None = None  # while anybody asks for samples
        self._seen: tuple[str, str, int] | None = None
        self._view = View(0, _unknown)  # of `_seen`
        # By symbol: a quote that was looked at, and its prices. It is of one quote at a time.
        self._read: dict[str, tuple[Quote, Decimal, Decimal]] = {}

    def on_payload(self, payload: bytes) -> None:
        self.received += 1
        event = self.intake.accept(payload)
        if event is not None:
            stream = self._stream(event)
            self._counted[stream] += 1
            self._newest_ns = event.at_ns
            quote = self._quote(event)
            self.tape.append(stream, event.sequence, quote)
            if self.sampler is not None:
                self.sampler.see(self._wall_ns() if self.age is not None else event.at_ns, quote)
            if self.age is not None:
                self.age.observe(max(0, self._wall_ns() - event.at_ns) / 1_000)

    @property
    def received_by_stream(self) -> dict[tuple[str, ...], int]:
        """By symbol and type."""
        return {tuple(stream.rsplit("/", 1)): count for stream, count in self._counted.items()}

    @property
    def may_begin_again(self) -> bool:
        """Whether the clock is a replay's, which another session sets back."""
        return self._clock is Clock.MARKET

    def has_arrived(self, cause: Cause) -> bool:
        """Whether a signal of that cause can be judged; on the wall's clock it always can."""
        if self._clock is Clock.WALL or (cause.symbol, cause.type, cause.sequence) == self._seen:
            return True
        if not cause.type:
            return True
        return self.tape.place(cause) is not None

    def now(self) -> View | None:
        """What stands is looked at by; None: the market's time is not known yet."""
        now_ns = self._wall_ns() if self._clock is Clock.WALL else self._newest_ns
        return None if now_ns is None else View(now_ns, self.latest)

    def at(self, cause: Cause) -> View:
        """What a signal of that cause is judged by. Of a cause that has not arrived, nothing is;
        without a cause (no type) it is the latest.
        """
        if self._clock is Clock.WALL:
            return View(self._wall_ns(), self.latest, self._sampled_so_far)
        if not cause.type:
            return View(cause.at_ns, self.latest, self._sampled_so_far)
        key = (cause.symbol, cause.type, cause.sequence)
        if key != self._seen:  # the signals of one batch mostly have one cause
            place = self.tape.place(cause)
            if place is None:
                return View(cause.at_ns, _unknown)
            if not self.tape.holds(cause):  # lost with a link: nobody knows what stood there
                place = 0
            self._seen, self._view = key, self._view_from(cause, place)
        return self._view

    def _view_from(self, cause: Cause, place: int) -> View:
        """What stood at a place stands there for good, so each price is read once."""
        known: dict[str, Touch | None] = {}

        def touch(symbol: str) -> Touch | None:
            if symbol not in known:
                known[symbol] = self._touch(symbol, place)
            return known[symbol]

        return View(self._time_of(cause, place), touch, self._sampled_until(place))

    def _sampled_so_far(self, symbol: str, step_s: int, count: int) -> Sequence[Decimal] | None:
        return self._sampled_until(self.tape.arrived)(symbol, step_s, count)

    def _sampled_until(self, place: int) -> Sampled:
        """By the times that the quotes themselves have: no clock of ours is in it."""

        def sampled(symbol: str, step_s: int, count: int) -> list[Decimal] | None:
            quotes = self.tape.stood(symbol, place, step_s * _SECOND_NS, count)
            mids = [mid_of(Touch.of(quote)) for quote in quotes if quote is not None]
            known = [mid for mid in mids if mid is not None]
            return known if len(known) == count else None

        return sampled

    def latest(self, symbol: str) -> Touch | None:
        quote = self.tape.latest(symbol)
        if quote is None:
            return None
        age_ns = self._monotonic_ns() - quote.arrived_ns if self._clock is Clock.WALL else 0
        return self._touch_of(quote, age_ns)

    def _touch_of(self, quote: Quote, age_ns: int) -> Touch:
        """Most signals are judged by a quote that one before them was judged by."""
        read = self._read.get(quote.symbol)
        if read is None or read[0] is not quote:
            read = self._read[quote.symbol] = (quote, quote.bid, quote.ask)
        return Touch(read[1], read[2], age_ns)

    def latest_at_ns(self, symbol: str) -> int | None:
        """The market's own time of its latest quote."""
        quote = self.tape.latest(symbol)
        return quote.at_ns if quote is not None else None

    def _touch(self, symbol: str, place: int) -> Touch | None:
        quote = self.tape.quote(symbol, place) if place else None
        if quote is not None:
            return self._touch_of(quote, 0)
        latest = self.tape.latest(symbol)
        gone = latest is not None and (not place or self.tape.forgot(symbol))
        return Touch.of(latest, _FORGOTTEN_NS) if latest is not None and gone else None

    def _time_of(self, cause: Cause, place: int) -> int:
        """The tape's word before the runner's: limits of rates and days are measured by it."""
        quote = self.tape.quote(cause.symbol, place)
        if quote is not None and quote.place == place and quote.sequence == cause.sequence:
            return quote.at_ns
        return cause.at_ns

    def _stream(self, event: Event) -> str:
        key = (event.__class__, event.symbol)
        stream = self._streams.get(key)
        if stream is None:
            kind = event.__class__.__name__.lower()
            stream = self._streams[key] = f"{event.symbol}/{kind}"
            self._counted[stream] = 0
        return stream

    def _quote(self, event: Event) -> Quote | None:
        if isinstance(event, Tick):
            return Quote(
                event.symbol,
                event.sequence,
                event.at_ns,
                event.bid_price,
                event.bid_size,
                event.ask_price,
                event.ask_size,
                self._monotonic_ns(),
            )
        if isinstance(event, Book):
            (bid, bid_size), (ask, ask_size) = event.bids[0], event.asks[0]
            return Quote(
                event.symbol,
                event.sequence,
                event.at_ns,
                bid,
                bid_size,
                ask,
                ask_size,
                self._monotonic_ns(),
            )
        return None
