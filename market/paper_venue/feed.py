"""The venue's ear: market data into the venue, as messages and quotes."""

from time import monotonic_ns

import msgspec

from market_data import Intake
from paper_venue.venue import PaperVenue
from strategy_sdk.market import Book, Candle, Event, Tick, Trade
from trading.market import Quote

_PATIENCE_S = 2.0  # a replay that goes back for us has done so by then
_MOST_KEPT = 65_536  # messages; a replay keeps a window far smaller
_TYPES: dict[type, str] = {Tick: "tick", Trade: "trade", Book: "book", Candle: "candle"}


class Feed:
    """Passes on what the intake accepts. `take` is what a subscription gives payloads to.

    A venue that was restarted in the middle of a replay is `behind` in the session its predecessor
    knew: the replay will go back for it, in a new session. What comes before that is kept back: it
    will come again, in its order. If the replay has nothing to go back for, it is taken after all.
    """

    def __init__(self, intake: Intake, venue: PaperVenue, behind: str = "") -> None:
        self.take = self._keep_back if behind else self._pass_on
        self._accept = intake.accept
        self._venue = venue
        self._behind = behind
        self._kept: list[bytes] = []
        self._patience_ends_s = 0.0
        self._streams: dict[tuple[type, str], str] = {}

    def look(self, now_s: float) -> None:
        """Call it now and then; `now_s` is monotonic."""
        if self._kept and not self._patience_ends_s:
            self._patience_ends_s = now_s + _PATIENCE_S
        elif self._kept and now_s >= self._patience_ends_s:
            self._catch_up(self._kept)

    def _pass_on(self, payload: bytes) -> None:
        event = self._accept(payload)
        if event is not None:
            self._venue.meet(self._stream(event), event.sequence, quote_of(event))

    def _keep_back(self, payload: bytes) -> None:
        self._kept.append(payload)
        if _session_of(payload) not in (self._behind, None):
            self._catch_up(self._kept[-1:])
        elif len(self._kept) >= _MOST_KEPT:
            self._catch_up(self._kept)

    def _catch_up(self, payloads: list[bytes]) -> None:
        self.take, self._kept = self._pass_on, []
        for payload in payloads:
            self._pass_on(payload)

    def _stream(self, event: Event) -> str:
        key = (event.__class__, event.symbol)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = f"{event.symbol}/{_TYPES[event.__class__]}"
        return stream


class _Message(msgspec.Struct):
    session: str = ""


_decode = msgspec.json.Decoder(_Message).decode


def _session_of(payload: bytes) -> str | None:
    """None for what cannot be read."""
    try:
        return _decode(payload).session
    except (msgspec.MsgspecError, RecursionError):
        return None


def quote_of(event: Event) -> Quote | None:
    """Best bid and ask; trades and candles have none. The event has passed the intake."""
    if isinstance(event, Tick):
        return Quote(
            event.symbol,
            event.sequence,
            event.timestamp,  # type: ignore[arg-type]  # the intake made it an integer
            event.bid_price,
            event.bid_size,
            event.ask_price,
            event.ask_size,
            monotonic_ns(),
        )
    if isinstance(event, Book):
        return _quote_of_book(event)
    return None


def _quote_of_book(book: Book) -> Quote:
    (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
    return Quote(
        book.symbol, book.sequence, book.at_ns, bid, bid_size, ask, ask_size, monotonic_ns()
    )
